from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from qmoe.errors import InputError
from qmoe.provenance import Provenance
from qmoe.record import Record
from qmoe.rundir import RoutingMap, Run, RunWriter

PROVENANCE = Provenance(
    command="qmoe run quick",
    qmoe="0.1.0",
    python="3.11.2",
    platform="Linux x86_64",
    versions={},
    created="2025-01-02T03:04:05Z",
    seed=0,
)


def record(seed: int = 0) -> Record:
    return Record(
        study="ablation",
        protocol="controlled",
        dataset="moons",
        dataset_digest="sha256:00",
        population="init only",
        router="linear",
        family="linear",
        seed=seed,
        source="exact",
        router_parameters=12,
        router_parameters_paper=12,
        model_parameters=36,
        metrics={"accuracy_test": 0.9},
        rows={"test": 100},
        expert_load=(0.5, 0.5),
        provenance=PROVENANCE,
    )


def routing_map(**changes: object) -> RoutingMap:
    rng = np.random.default_rng(0)
    fields: dict[str, object] = {
        "extent": (-1.0, 2.0, -0.5, 1.0),
        "probabilities": rng.random((6, 8)),
        "gates": rng.random((3, 6, 8)),
        "points": rng.random((5, 2)),
        "labels": np.array([0, 1, 1, 0, 1]),
        "protocol": "controlled",
        "dataset": "moons",
        "seed": 0,
    }
    return RoutingMap(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    with RunWriter("quick", PROVENANCE, root=tmp_path / "runs") as writer:
        for seed in range(3):
            writer.add(record(seed))
        writer.add_map("linear", routing_map())
        writer.path("checkpoints/linear.txt").write_text("weights")
    return Run.open(writer.out)


def test_a_run_reads_back(run: Run, tmp_path: Path) -> None:
    assert run.id == "20250102T030405Z-quick"
    assert run.path == tmp_path / "runs" / run.id
    assert (run.suite, run.provenance) == ("quick", PROVENANCE)
    assert run.records == tuple(record(seed) for seed in range(3))
    assert (run.path / "checkpoints/linear.txt").read_text() == "weights"
    [(name, found)] = run.maps()
    assert name == "linear"
    assert found.extent == (-1.0, 2.0, -0.5, 1.0)
    assert found.gates == pytest.approx(routing_map().gates, abs=1e-7)
    assert np.array_equal(found.labels, routing_map().labels)
    assert found.class_probabilities.sum(axis=0) == pytest.approx(np.ones((6, 8)))


def test_a_run_is_found_by_folder_id_and_as_the_latest(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    later = PROVENANCE.model_copy(update={"created": "2025-01-03T00:00:00Z"})
    with RunWriter("quick", later, root=root) as writer:
        writer.add(record())
    assert Run.open(run.path, root) == run
    assert Run.open(str(run.path), root) == run
    assert Run.open(run.id, root) == run
    assert Run.open("latest", root).id == "20250103T000000Z-quick"


def test_two_runs_of_one_second_get_two_folders(run: Run, tmp_path: Path) -> None:
    with RunWriter("quick", PROVENANCE, root=tmp_path / "runs") as writer:
        writer.add(record())
    assert writer.out.name == "20250102T030405Z-quick-2"
    assert len(Run.open(run.id, tmp_path / "runs").records) == 3


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_a_run_that_fails(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with RunWriter("quick", PROVENANCE, out=tmp_path / "deep" / "out") as writer:
            writer.add(record())
            writer.path("checkpoints/half").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with RunWriter("quick", PROVENANCE, out=out) as writer:
        writer.add(record())
    before = sorted(path.name for path in out.iterdir())
    with (
        pytest.raises(InputError, match="already holds something"),
        RunWriter("quick", PROVENANCE, out=out),
    ):
        pytest.fail("the block must not run")
    assert sorted(path.name for path in out.iterdir()) == before
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="already holds something"):
        RunWriter("quick", PROVENANCE, out=tmp_path / "file").__enter__()
    with pytest.raises(InputError, match="can be made"):
        RunWriter("quick", PROVENANCE, out=tmp_path / "file" / "below").__enter__()


@pytest.mark.parametrize("name", ["../escape", "/absolute", "a/../../b", ""])
def test_files_stay_inside_the_run(tmp_path: Path, name: str) -> None:
    with (
        RunWriter("quick", PROVENANCE, out=tmp_path / "out") as writer,
        pytest.raises(ValueError, match="inside"),
    ):
        writer.path(name)


def said(path: Path | str, root: Path = Path("nowhere")) -> str:
    with pytest.raises(InputError) as caught:
        list(Run.open(path, root).maps())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_runs(run: Run, tmp_path: Path) -> None:
    root = run.path.parent
    assert "no run under" in said("latest", tmp_path / "empty")
    assert f"did you mean '{run.id}'?" in said(run.id[:-1], root)
    assert "the folder of a run" in said(tmp_path / "absent")
    assert "no file" in said(tmp_path)


def test_damaged_runs(run: Run) -> None:
    header = run.path / "run.json"
    whole = header.read_text()
    header.write_text(whole[:-10])
    assert "not JSON" in said(run.path)
    header.write_text(json.dumps(json.loads(whole) | {"format": 2}))
    assert "of format 2; expected format 1 or older" in said(run.path)
    header.write_text(json.dumps(json.loads(whole) | {"suite": ""}))
    assert "with suite = ''" in said(run.path)
    header.write_text(" " * (2**20 + 1))
    assert "more than" in said(run.path)
    header.write_text(whole)
    records = run.path / "records.jsonl"
    lines = records.read_text()
    records.write_text(lines[:-5])
    assert "expected 3 records" in said(run.path)
    records.unlink()
    assert "no file" in said(run.path)


def test_damaged_maps(run: Run) -> None:
    path = run.path / "maps" / "0000.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert "expected a safetensors file" in said(run.path)
    save_file({"gates": np.zeros(3)}, path)
    assert "without a format number" in said(run.path)
    arrays = {name: np.zeros((2, 2)) for name in ("probabilities", "gates", "points")}
    head = json.dumps(
        {
            "format": 1,
            "router": "linear",
            "extent": [0, 1, 0, 1],
            "protocol": "controlled",
            "dataset": "moons",
            "seed": 0,
            "features": ["a", "b"],
        }
    )
    save_file(arrays | {"labels": np.zeros(2)}, path, {"qmoe": head})
    assert "labels of integers" in said(run.path)
    save_file(arrays | {"labels": np.zeros(2, dtype=np.int64)}, path, {"qmoe": head})
    assert "arrays of (2, 2, 2, 1) axes" in said(run.path)
    path.write_bytes(whole.replace(b'format\\": 2', b'format\\": 3'))
    assert "of format 3; expected format 2 or older" in said(run.path)
    path.unlink()
    assert "expected 1 routing maps" in said(run.path)


def test_a_map_of_a_target_says_which_and_whence(tmp_path: Path) -> None:
    made = routing_map(target="ibm:fake_boston", source="twin")
    made.write(tmp_path / "map.safetensors", "quantum L=2")
    name, found = RoutingMap.read(tmp_path / "map.safetensors")
    assert (name, found.target, found.source) == ("quantum L=2", "ibm:fake_boston", "twin")


def test_a_map_of_format_1_is_still_read(tmp_path: Path) -> None:
    """As the version before wrote it: without target and source."""
    made = routing_map()
    arrays = {
        "probabilities": made.probabilities.astype(np.float32),
        "gates": made.gates.astype(np.float32),
        "points": made.points,
        "labels": made.labels,
    }
    head = {
        "format": 1,
        "router": "linear",
        "extent": [-1.0, 2.0, -0.5, 1.0],
        "protocol": "controlled",
        "dataset": "moons",
        "seed": 3,
        "features": ["a", "b"],
    }
    save_file(arrays, tmp_path / "old.safetensors", {"qmoe": json.dumps(head)})
    name, found = RoutingMap.read(tmp_path / "old.safetensors")
    assert (name, found.seed, found.features) == ("linear", 3, ("a", "b"))
    assert (found.target, found.source) == ("", "")
    assert found.gates == pytest.approx(made.gates, abs=1e-7)


def test_the_centres_are_where_the_values_of_the_grid_belong() -> None:
    """A grid of 6 rows and 8 columns over 3 by 1.5: cells of 0.375 by 0.25."""
    centres = routing_map().centres.reshape(6, 8, 2)
    assert centres[0, 0] == pytest.approx([-1 + 0.1875, -0.5 + 0.125])
    assert centres[0, 1] == pytest.approx([-1 + 3 * 0.1875, -0.5 + 0.125])
    assert centres[5, 7] == pytest.approx([2 - 0.1875, 1 - 0.125])


@pytest.mark.parametrize(
    "changes",
    [
        {"extent": (1.0, 0.0, 0.0, 1.0)},
        {"extent": (0.0, np.inf, 0.0, 1.0)},
        {"gates": np.zeros((3, 6, 7))},
        {"points": np.zeros((4, 2))},
        {"probabilities": np.full((6, 8), np.nan)},
    ],
    ids=["order", "infinite", "grid", "points", "nan"],
)
def test_maps_whose_arrays_do_not_fit(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^got "):
        routing_map(**changes)
