"""Error rates from stored weights are exact, refuse damage, and see what they are there to see."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest

from benchmarks import stored
from benchmarks.accuracy import ErrorRate, ErrorToBestControl, TrainedError
from qmoe.ansatz import paper
from qmoe.data import DataSpec
from qmoe.epochs import Adam
from qmoe.errors import InputError
from qmoe.scaling import Scaler
from qmoe.simulate import reference
from qmoe.simulate.program import Program
from qmoe.studies.ablation import QUICK
from tests.benchmarks.asked import tracked

SMALL = {"moons-0.1": stored.DATA["moons-0.1"]}


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(stored.FOLDER, tmp_path / "stored")
    return tmp_path / "stored"


def rates(data, router):
    (error,) = tracked(ErrorRate, data, router)
    return error


def difference(data):
    (found,) = tracked(ErrorToBestControl, data)
    return found


def test_the_routers_are_those_of_suite_quick():
    assert sorted(map(repr, stored.ROUTERS.values())) == sorted(map(repr, QUICK))


def test_everything_is_stored_small_and_with_its_digest():
    files = sorted(path.name for path in stored.FOLDER.iterdir())
    assert files == sorted([stored.SUMS, *(f"{name}.json" for name in stored.DATA)])
    assert sum(path.stat().st_size for path in stored.FOLDER.iterdir()) < 400_000
    for line in (stored.FOLDER / stored.SUMS).read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((stored.FOLDER / name).read_bytes()).hexdigest() == digest
    for name in stored.DATA:
        found = stored.load(name)
        assert found.seeds == stored.SEEDS and set(found.routers) == set(stored.ROUTERS)


@pytest.mark.parametrize("name", ["moons-0.1", "spirals", "wine"])
def test_the_quantum_errors_are_those_of_the_readable_simulator(name):
    found = stored.load(name)
    for model, X, y in zip(found.routers[stored.QUANTUM], found.X, found.y, strict=True):
        X, y = X[:150], y[:150]  # the readable simulator is slow
        scaled = Scaler.from_dict(model.scaler).transform(np.array(X)).X
        angles, rest = np.split(np.array(model.weights), [4])
        classes, gate = model.spec["num_classes"], model.spec["gate"]
        seen = scaled * model.spec.get("embedding_scale", 1.0)
        routed = reference.probabilities(paper(2, 2, measured=(0, 1)), angles, seen)
        if gate == "temperature":
            powers = np.exp(routed * np.exp(-rest[-1]))
            routed, rest = powers / powers.sum(1, keepdims=True), rest[:-1]
        matrix, bias = np.split(rest, [4 * classes * 2])
        opinions = (scaled @ matrix.reshape(-1, 2).T + bias).reshape(len(y), 4, classes)
        logits = np.einsum("be,bec->bc", routed, opinions)
        assert model.wrong(X, y) == (logits.argmax(1) != np.array(y)).sum()


def test_two_readings_agree_exactly_and_errors_are_those_of_trained_models():
    assert ErrorRate.params == (tuple(stored.DATA), tuple(stored.ROUTERS))
    for data in ("moons-0.1", "spirals", "wine"):
        found = stored.load(data)
        guessing = np.mean([1 - np.bincount(y).max() / len(y) for y in found.y])
        for router in ErrorRate.params[1]:
            assert rates(data, router) == sum(found.errors(router)) / len(stored.SEEDS)
        assert rates(data, stored.QUANTUM) < guessing / 2


def test_the_best_control_is_validation_s_and_no_quantum_router():
    for data in ErrorToBestControl.params[0]:
        found = stored.load(data)
        best = found.best_control()
        validated = {k: sum(m.validation_error for m in v) for k, v in found.routers.items()}
        assert best in stored.CONTROLS
        assert validated[best] <= min(validated[name] for name in stored.CONTROLS) + 1e-12
        paired = np.subtract(found.errors(stored.QUANTUM), found.errors(best))
        assert difference(data) == pytest.approx(paired.mean(), abs=1e-15)


def test_writing_reads_back_and_training_stays_out_of_reading(tmp_path, monkeypatch):
    few = {name: stored.ROUTERS[name] for name in (stored.QUANTUM, "linear")}
    monkeypatch.setattr(stored, "ROUTERS", few)
    monkeypatch.setattr(stored, "SIZES", (100, 50, 60))
    stored.write(tmp_path, SMALL, epochs=3)
    again = tmp_path / "again"
    stored.write(again, SMALL, epochs=3)
    assert (again / stored.SUMS).read_bytes() == (tmp_path / stored.SUMS).read_bytes()
    for name in ("qmoe.tune.tune", "qmoe.train.train", "qmoe.data.splits"):
        monkeypatch.setattr(name, None)
    found = stored.load("moons-0.1", tmp_path)
    assert all(0 <= error <= 1 for router in few for error in found.errors(router))


def test_damaged_swapped_missing_and_large_files_are_refused_in_one_line(folder):
    moons, circles = folder / "moons-0.1.json", folder / "circles.json"
    whole = moons.read_bytes()
    for data in (whole[:-2], whole.replace(b"0.1", b"0.2", 1), circles.read_bytes(), b""):
        moons.write_bytes(data)
        refused("moons-0.1", folder, "not as it was written")
    moons.write_bytes(whole + b" " * stored.MAX_BYTES)
    refused("moons-0.1", folder, "a larger")
    moons.unlink()
    refused("moons-0.1", folder, "No such file")
    # swapped together with its digest
    moons.write_bytes(circles.read_bytes())
    sums = folder / stored.SUMS
    digest = hashlib.sha256(moons.read_bytes()).hexdigest()
    sums.write_text(f"{digest}  moons-0.1.json\n")
    refused("moons-0.1", folder, "of 'circles'")
    sums.write_text("")
    refused("moons-0.1", folder, "not as it was written")


def refused(name, folder, why):
    with pytest.raises(InputError, match=why) as caught:
        stored.load(name, folder)
    assert "\n" not in str(caught.value)


def test_a_wrong_bit_order_raises_the_quantum_error(monkeypatch):
    before = {data: (rates(data, stored.QUANTUM), difference(data)) for data in ErrorRate.params[0]}
    forward = Program.forward

    def reversed_bits(self, *args):
        outcomes, saved = forward(self, *args)
        return outcomes[:, [0, 2, 1, 3]], saved

    monkeypatch.setattr(Program, "forward", reversed_bits)
    rises = [rates(data, stored.QUANTUM) - error for data, (error, _) in before.items()]
    assert max(rises) > 0.05
    assert max(difference(data) - was for data, (_, was) in before.items()) > 0.05


@pytest.fixture
def few(monkeypatch):
    """The benchmark of one data set and two routers."""
    monkeypatch.setattr(TrainedError, "params", (("moons-0.1",), (stored.QUANTUM, "linear")))
    return TrainedError()


def test_a_weaker_training_step_raises_the_trained_error(few, monkeypatch):
    before = few.setup_cache()
    assert few.setup_cache() == before
    key = ("moons-0.1", stored.QUANTUM)
    few.setup(before, *key)
    assert few.track_error(before, *key) == before[key]
    start = Adam.__init__
    monkeypatch.setattr(Adam, "__init__", lambda self, w, rates: start(self, w, rates / 10))
    after = few.setup_cache()
    assert max(after[key] - before[key] for key in before) > 0.02


def test_a_commit_that_cannot_train_says_so(few, monkeypatch):
    monkeypatch.delattr("qmoe.tune.tune")
    with pytest.raises(NotImplementedError, match=r"no qmoe\.tune:tune"):
        few.setup(few.setup_cache(), "moons-0.1", "linear")


@pytest.mark.parametrize("which", [ErrorRate, ErrorToBestControl, TrainedError])
def test_every_benchmark_says_what_its_number_is(which):
    assert which.version and which.unit == "error rate" and which.timeout > 0 and which.__doc__
    assert len(which.params) == len(which.param_names)
    assert which.deterministic is (which is not TrainedError)
    assert set(which.params[0]) <= set(stored.DATA)
    for source in stored.DATA.values():
        spec = DataSpec.parse(source.data)
        assert str(spec).count("=") == source.data.count("=")  # no option is left to a default
