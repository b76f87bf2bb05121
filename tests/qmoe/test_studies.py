"""The suites and studies end to end, small: which routers, on which data, scored how."""

from __future__ import annotations

import sys

import pytest

from qmoe import cli
from qmoe.results import comparisons, load, summary
from qmoe.rundir import Run
from qmoe.studies import ablation
from qmoe.suite import setup


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["qmoe", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0


@pytest.mark.usefixtures("unchecked")
def test_quick_trains_eight_families_on_the_same_fresh_data_per_seed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "run", "quick", "--seeds", "2", "--trials", "2", "--workers", "1")
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-quick")
    table = load("latest")
    assert list(dict.fromkeys(table["router"])) == [
        "linear",
        "MLP h=4",
        "MLP h=16",
        "trig-product D=1",
        "product",
        "dephased L=2",
        "constant",
        "quantum L=2",
    ]
    assert set(table["dataset"]) == {"moons(noise=0.1)"}
    assert set(table["population"]) == {"new data + new init"}
    assert set(table["accuracy_on"]) == {"test"}
    assert (table["rows_test"] == 5000).all()
    assert (table["setting_experts"] == 4).all()
    # paired: one data set per seed for all routers, another for each seed
    assert (table.groupby("seed")["dataset_digest"].nunique() == 1).all()
    assert table["dataset_digest"].nunique() == 2

    parameters = dict(zip(table["router"], table["router_parameters"], strict=True))
    assert parameters["quantum L=2"] == parameters["dephased L=2"] == 4
    assert parameters["product"] == 2
    assert parameters["trig-product D=1"] == 36
    accuracy = table.groupby("router")["accuracy"].mean()
    assert accuracy["constant"] < 0.90 < accuracy["trig-product D=1"]

    assert (table["trials"] == 2).all()
    # the registered comparison with the best control reads untuned, the exploratory ones nothing
    assert set(comparisons(table)["verdict"]) == {"untuned", ""}
    maps = dict(Run.open(folder).maps())
    assert set(maps) == set(table["router"])
    assert len(list((folder / "checkpoints").iterdir())) == 8
    page = (folder / "report/index.html").read_text()
    assert "untuned" in page.lower() and "Nothing here ran on quantum hardware" in page


@pytest.mark.usefixtures("unchecked")
def test_the_notebook_protocol_is_the_published_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        ablation,
        "PUBLISHED",
        [f for f in ablation.PUBLISHED if f[0] != "mlp" or f[1]["hidden"] < 5],
    )
    run(monkeypatch, "study", "ablation", "--protocol", "notebook", "--seeds", "1", "--out", "r")
    table = load("r").set_index("router")
    assert set(table["accuracy_on"]) == {"train"}
    assert set(table["population"]) == {"init only"}
    assert (table["rows_train"] == 1000).all()
    assert (table["steps"] == 30 * 32).all()  # 30 epochs, 31 batches of 32 and one of 8
    assert (table["setting_experts"] == 2).all()
    counts = table["router_parameters"]
    assert counts["linear"] == 6
    assert (counts["MLP h=2"], counts["MLP h=4"]) == (12, 22)
    assert counts["quantum notebook L=3 z"] == 24
    assert "accuracy_test" not in summary(load("r")).columns


def test_the_ablation_tunes_the_registered_cells_and_reuses_their_choice_elsewhere():
    plan = ablation.controlled(setup(0, 2, 12), "moons")
    grid = {}
    for cell in plan.cells:
        layers = cell.options.get("layers", 0) if cell.router != "quantum" else None
        if cell.router == "quantum" and cell.options.get("ansatz") is None:
            grid[cell.experts, cell.options["layers"]] = cell
        assert layers is None or layers in (0, *ablation.LAYERS)
    assert set(grid) == {(e, n) for e in (1, 2, 3, 4, 8) for n in (1, 2, 3, 4, 12)}
    for (size, layers), cell in grid.items():
        registered = size in (2, 4) and layers in (1, 2, 4, 12)
        source = size == 4  # what the others reuse
        assert (cell.like is None) == (registered or source)
        assert len(cell.trials) == (12 if cell.like is None else 0)
        if cell.like is not None:
            assert cell.like.key == grid[4, layers].key
    # more experts than outcomes of two qubits: a learned map, still two qubits
    assert grid[8, 2].options["outcome_map"] == "adapter" and grid[8, 2].options["num_qubits"] == 2
    keys = [cell.key for cell in plan.cells]
    assert len(set(keys)) == len(keys)
