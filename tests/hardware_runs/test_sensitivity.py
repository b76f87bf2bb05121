"""Study `sensitivity`: coverage without a disturbance, effects by a second way, whole folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from backends.conformance.predict import ideal, predicted
from backends.disturb import Crosstalk, OverRotation, PairedReadout, disturbed
from backends.registry import Spec
from hardware_runs.scores import FIGURES, Asked
from hardware_runs.studies import sensitivity as study
from hardware_runs.studies.devices import DEVICES
from hardware_runs.treated import checkpoints
from qmoe.agreement import total_variation
from qmoe.cell import Cell
from qmoe.errors import InputError, QmoeError
from qmoe.plan import carry_out
from qmoe.retrained import retrained
from qmoe.store import Store
from qmoe.studies.families import MOONS
from qmoe.suite import setup
from qmoe.train import TrainConfig
from qmoe.trial import search
from qmoe.tune import tune
from tests.backends.planted import FoldsCancelled, Sound

pytestmark = pytest.mark.usefixtures("unchecked")

SMALL = Cell(
    MOONS[1],
    *study.ROUTER,
    trials=search(2, 0),
    seeds=(0, 1),
    sizes=(150, 100, 60),
    config=TrainConfig(epochs=30),
)
OPTIONS = {"draws": 1, "inputs": 500, "shots": 300, "repeats": 39, "rows": 500}


class Bench:
    """A vendor with a small noisy device, and one whose compiler undoes folds."""

    def load(self, spec: Spec) -> Sound:
        made = {"sound": Sound, "cancels": FoldsCancelled}[spec.target]()
        made.spec = str(spec)
        return made


VENDOR = Bench()


@pytest.fixture(autouse=True)
def bench(tmp_path, monkeypatch):
    """`VENDOR` installed as a third party's, by the entry points of a package."""
    info = tmp_path / "bench-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[qmoe.backends]\nbench = {__name__}:VENDOR\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture(scope="module")
def result():
    return tune(SMALL)


@pytest.fixture(scope="module")
def routers(result):
    return checkpoints(retrained(SMALL, result))


def figures(result, target: str = "bench:sound", **changes):
    """By name, effect (or scale), strength and figure."""
    options = {"target": target, **OPTIONS, **changes}
    found = study.on_target(cell=SMALL, result=result, **options)
    keys = ("effect", "scale", "strength", "figure")
    return {(f.name, *(f.labels[k] for k in keys if k in f.labels)): f for f in found}


def test_without_a_disturbance_predictions_cover_what_they_promise(result):
    found = figures(result, draws=20, inputs=40, shots=1000)
    for name in FIGURES:
        calm = found["prediction coverage", "none", 0.0, name]
        # between the ends of 39 draws lies another one with a chance of 38 / 40, and more where
        # figures tie; fewer hits than this happen once in a million
        assert calm.value * 40 >= binom.ppf(1e-6, 40, 0.95)
        assert calm.labels["shots"] == 1000 and calm.note == "2 routers x 20 draws of inputs"
        assert calm.low < calm.value
    key = ("correlated readout", 0.02, "total variation")
    # a mean of 40 distances, each with a standard deviation of at most .5 / sqrt(1000), moved by
    # at least 3 of its own is outside 95 % intervals more often than not
    assert found["effect of the disturbance", *key].value > 3 * 0.5 / np.sqrt(1000 * 40)
    assert found["prediction coverage", *key].value < 0.5


def test_an_effect_is_the_mean_change_of_the_exact_figure(result, routers):
    # one draw of all 60 test inputs: nothing is left to chance
    found = figures(result)
    target = Sound()
    for effect, strength, kinds in (
        ("crosstalk", 0.1, (Crosstalk(0.1),)),
        ("coherent error", 0.05, (OverRotation(0.05, 0.05),)),
        ("correlated readout", 0.02, (PairedReadout(0.02),)),
    ):
        changes = {name: [] for name in FIGURES}
        for routed, data in routers:
            asked = Asked.of(routed, data.X_test, data.y_test)
            x = routed.features(data.X_test)
            np.testing.assert_allclose(asked.ideal, ideal(routed.template, x), atol=1e-12)
            told = target.compile(routed.template)
            before, after = predicted(told, x), predicted(disturbed(told, kinds), x)
            for name in FIGURES:
                changes[name].append(asked.score(name, after) - asked.score(name, before))
        for name, values in changes.items():
            figure = found["effect of the disturbance", effect, strength, name]
            assert figure.value == pytest.approx(np.mean(values), abs=6e-7)  # six digits
            assert figure.per_seed == tuple(round(v, 5) for v in values)
            assert figure.labels["shots"] == 0
    assert {key[1] for key in found if key[0] == "effect of the disturbance"} == set(
        study.EFFECTS
    ) - {"none"}


def test_scores_are_what_they_are_called(routers):
    routed, data = routers[0]
    asked = Asked.of(routed, data.X_test[:50], data.y_test[:50])
    assert asked.score("total variation", asked.ideal) == 0
    assert asked.score("top-1 agreement", asked.ideal) == 1
    turned = np.roll(asked.ideal, 1, axis=1)
    gates = [routed.answer(asked.X, p).gate_weights.argmax(1) for p in (turned, asked.ideal)]
    assert asked.score("top-1 agreement", turned) == (gates[0] == gates[1]).mean() < 1
    distance = total_variation(turned, asked.ideal).mean()
    assert asked.score("total variation", turned) == pytest.approx(distance) and distance > 0.01
    said = routed.answer(asked.X, turned).probabilities.argmax(1)
    assert asked.score("accuracy", turned) == (said == asked.y).mean()


def test_what_is_retained_falls_with_the_folds(result, routers):
    found = figures(result, rows=40)
    target = Sound()
    for scale in (1, 5):
        expected, kept = [], []
        for routed, data in routers:
            asked = Asked.of(routed, data.X_test[:40], data.y_test[:40])
            x = routed.features(asked.X)
            told = target.compile(routed.template)
            p = predicted(target.emit(told.native.folded(scale), told), x)
            expected.append(asked.score("total variation", p))
            answered, best = asked.score("accuracy", p), asked.score("accuracy", asked.ideal)
            even = (routed.even(asked.X).probabilities.argmax(1) == asked.y).mean()
            kept.append((answered - even) / (best - even) if best - even >= 0.02 else None)
        figure = found["retention by folding", scale, "total variation"]
        assert figure.value == pytest.approx(np.mean(expected), abs=6e-7)
        share = found["retention by folding", scale, "routing retention"]
        assert share.per_seed == pytest.approx(
            tuple(None if k is None else round(k, 5) for k in kept)
        )
    lost = [found["retention by folding", s, "total variation"].value for s in study.SCALES]
    assert lost == sorted(lost) and lost[0] < lost[-1]


def test_a_fold_that_is_undone_is_an_error(result):
    with pytest.raises(QmoeError, match="two-qubit gates on bench:cancels after folding"):
        figures(result, "bench:cancels")


def test_figures_repeat_from_their_seed(result):
    again = {"draws": 2, "inputs": 20, "shots": 50, "rows": 20}
    assert figures(result, **again) == figures(result, **again)


def test_the_plan_has_every_target_and_one_cell():
    made = setup(0, 10, 1)
    plan = study.sensitivity(made)
    assert tuple(m.options["target"] for m in plan.measurements) == DEVICES
    (of,) = {m.of.key for m in plan.measurements}
    assert of and plan.measurements[0].of.seeds == tuple(range(study.ROUTERS))
    few = study.sensitivity(setup(0, 3, 1)).measurements[0].of
    assert few.seeds == (0, 1, 2)


def test_a_target_that_is_not_installed_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr("backends.registry.find_spec", lambda name: None)
    plan = study.sensitivity(setup(0, 2, 1), targets="torch ibm:fake_boston")
    assert [m.call.partition(":")[2] for m in plan.measurements] == ["on_target", "left_out"]
    done = carry_out([replace(plan, measurements=plan.measurements[1:])], store=Store(None))
    (figure,) = done.figures[plan.measurements[1].key].figures
    assert figure.value is None and "pip install 'qmoe-bench[ibm]'" in figure.note


@pytest.mark.parametrize(
    "options",
    [{"shots": 0}, {"draws": 0}, {"repeats": 38}, {"routers": 0}, {"targets": "refrence"}],
)
def test_bad_options_are_refused_before_anything_is_trained(options):
    with pytest.raises(InputError):
        study.sensitivity(setup(0, 2, 1), **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=pytest.mark.xdist_group(t.partition(":")[0])) for t in DEVICES]
)
def test_every_device_has_its_figures(result, target):
    found = figures(result, target, inputs=60)
    assert all(found["prediction coverage", "none", 0.0, name].value > 0 for name in FIGURES)
    distances = [found["retention by folding", s, "total variation"].value for s in study.SCALES]
    assert distances == sorted(distances)
