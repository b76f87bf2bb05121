"""Plans: parts are shared, resumed and spread over processes without changing a number."""

from __future__ import annotations

import multiprocessing

import pytest

from qmoe.cell import Cell
from qmoe.data import DataSpec
from qmoe.errors import InputError, QmoeError
from qmoe.figure import Figure, Measurement
from qmoe.plan import Plan, all_cells, carry_out
from qmoe.store import Store, folder_of
from qmoe.train import TrainConfig
from qmoe.trial import Trial

TRIALS = (Trial(), Trial(0.3, "standard", 0.1, "temperature", 2.0))
PROBE = Measurement("qmoe.studies.efficiency:eta_readings")


def cell(router: str = "linear", **changes) -> Cell:
    wanted = {
        "trials": TRIALS,
        "seeds": (0, 1),
        "config": TrainConfig(epochs=4, evaluate_every=2),
        "sizes": (40, 30, 30),
    }
    return Cell(DataSpec("moons"), router, **{**wanted, **changes})


def plans() -> tuple[Plan, ...]:
    reusing = cell(experts=2, trials=(), like=cell())
    return (
        Plan("first", (cell("quantum"), reusing)),
        Plan("second", (cell("quantum"), cell("constant"))),
    )


def numbers(done) -> dict:
    return {key: r.model_copy(update={"seconds": 0.0}) for key, r in done.cells.items()}


def test_cells_are_listed_once_and_after_what_they_reuse():
    keys = [c.key for c in all_cells(plans())]
    assert len(keys) == len(set(keys)) == 4
    assert keys.index(cell().key) < keys.index(cell(experts=2, trials=(), like=cell()).key)


def test_processes_find_the_numbers_of_one(tmp_path):
    alone = carry_out(plans(), store=Store(None))
    told: list[int] = []
    spread = carry_out(plans(), store=Store(tmp_path / "s"), workers=2, advance=told.append)
    assert numbers(spread) == numbers(alone)
    assert told[0] == 0 and told[-1] == 4 + 4 + 4 + 2 and told == sorted(told)
    assert spread.results(plans()[1])[0].router == "quantum L=2"


def test_a_worker_that_fails_says_why_in_one_line():
    wrong = Plan("wrong", (cell("linear"), cell("quantum", options={"layers": 0})))
    with pytest.raises(InputError, match="number of layers"):
        carry_out([wrong], store=Store(None), workers=2)


def test_a_worker_that_dies_is_one_line_and_loses_nothing_finished(tmp_path):
    store = Store(tmp_path / "s")

    def kill_one(done: int) -> None:
        if done:
            multiprocessing.active_children()[0].kill()

    many = Plan("many", tuple(cell(experts=size) for size in range(1, 13)))
    with pytest.raises(QmoeError, match=r"a worker process died.*fewer --workers"):
        carry_out([many], store=store, workers=2, advance=kill_one)
    assert store.count() >= 1
    assert len(carry_out([many], store=store).cells) == 12


def test_what_is_finished_is_not_trained_again(tmp_path):
    store = Store(tmp_path / "s")
    with pytest.raises(KeyboardInterrupt):
        carry_out(plans(), store=store, advance=_interrupt_after(6))
    kept = store.count()
    assert 0 < kept < 4
    before = {c.key: store.cell(c.key) for c in all_cells(plans())}
    done = carry_out(plans(), store=store)
    assert numbers(done) == numbers(carry_out(plans(), store=Store(None)))
    # the seconds are those of the first time: nothing was computed twice
    assert all(done.cells[key] == result for key, result in before.items() if result is not None)
    store.drop()
    assert store.count() == 0 and not (tmp_path / "s").exists()


def _interrupt_after(models: int):
    def advance(done: int) -> None:
        if done >= models:
            raise KeyboardInterrupt

    return advance


def test_a_damaged_part_is_refused_with_what_to_do(tmp_path):
    store = Store(tmp_path)
    carry_out([Plan("p", (cell(),))], store=store)
    (path,) = tmp_path.glob("*.json")
    path.write_text(path.read_text().replace('"experts":4', '"experts":5'))
    with pytest.raises(InputError, match="delete that file"):
        store.cell(cell().key)


def test_the_folder_of_a_run_follows_its_name_and_versions(tmp_path):
    versions = {"torch": "1"}
    first = folder_of(tmp_path, "paper", versions)
    assert first == folder_of(tmp_path, "paper", versions)
    assert first.name.startswith(".unfinished-paper-")
    assert first != folder_of(tmp_path, "paper", {"torch": "2"})
    assert first != folder_of(tmp_path, "quick", versions)


def test_measurements_run_beside_cells_and_are_kept(tmp_path):
    store = Store(tmp_path)
    done = carry_out([Plan("p", (), (PROBE,))], store=store)
    found = done.figures[PROBE.key]
    assert found.figures and all(isinstance(f, Figure) for f in found.figures)
    assert store.figures(PROBE.key) == found


def test_a_measurement_can_only_name_the_project():
    with pytest.raises(InputError, match=r"os:getcwd"):
        Measurement("os:getcwd").run()
