"""Study `device`: equal budgets, null routers, calibrations A and B, one recommendation."""

from __future__ import annotations

import numpy as np
import pytest

from hardware_runs.studies import device as study
from hardware_runs.studies.devices import DEVICES
from hardware_runs.treated import REFIT_ROWS, Treatment
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.plan import carry_out
from qmoe.store import Store
from qmoe.suite import setup
from qmoe.tune import tune
from tests.backends.mitigation.simulated import Noisy

SEEDS, SHOTS, INPUTS = 2, 400, 100
PLAN = study.device(
    setup(0, SEEDS, 1), targets="torch", shots=SHOTS, validation=INPUTS, test=INPUTS, drift=0.3
)
(MEASURED,) = PLAN.measurements
NOISE = NoiseModel(depolarizing=0.02, read_1_of_0=0.03, read_0_of_1=0.06)


@pytest.fixture(scope="module")
def result():
    return tune(MEASURED.of)


@pytest.fixture(scope="module")
def figures(result):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "load", lambda spec: Noisy(NOISE))
        return study.on_device(cell=MEASURED.of, result=result, **MEASURED.options)


def of(figures, name, **labels):
    return {
        str(f.labels.get("treatment")): f
        for f in figures
        if f.name == name and labels.items() <= f.labels.items()
    }


def test_every_device_is_asked_for_and_trained_for_once():
    plan = study.device(setup(0, 30, 12))
    assert [m.options["target"] for m in plan.measurements] == list(DEVICES)
    assert len(DEVICES) >= 8 and sum(spec.startswith("ibm:") for spec in DEVICES) >= 5
    assert len({m.of.key for m in plan.measurements}) == 1


def test_every_treatment_has_one_value_per_seed_on_both_parts(figures):
    for part, calibration in (("validation", "A"), ("test", "B: drift 0.3")):
        for name in ("device accuracy", "device total variation", "device top-1 agreement"):
            found = of(figures, name, part=part, calibration=calibration)
            assert list(found) == [one.name for one in study.TREATMENTS]
            assert all(len(f.per_seed) == SEEDS for f in found.values())


def test_all_treatments_get_the_same_budget(figures):
    """Floors lose at most a shot per row and circuit; a refit is part of what it costs."""
    spent = of(figures, "treatment shots")
    for treatment in study.TREATMENTS:
        got = spent[treatment.name].value
        if treatment.exact:
            assert got == 0
        else:
            circuits = of(figures, "treatment circuits")[treatment.name].value
            assert SHOTS * INPUTS - circuits <= got <= SHOTS * INPUTS + REFIT_ROWS


def test_readout_and_training_know_nothing_of_what_the_test_inputs_meet(figures):
    """Calibrating takes shots there: its figure on the later calibration is another one."""
    now, later = (of(figures, "device total variation", part=p) for p in ("validation", "test"))
    assert now["none"].per_seed != later["none"].per_seed
    # 3 to 6 % misread bits are far above 400 shots' noise: readout halves what they do
    assert later["readout"].value < 0.75 * later["none"].value


def test_null_routers_lose_what_routing_gives(figures):
    found = of(figures, "device accuracy", part="test")
    exact = next(f for f in figures if f.name == "exact accuracy" and f.labels["part"] == "test")
    assert found["exact"].per_seed == exact.per_seed
    for name in ("null: shuffled", "null: random"):
        assert found[name].value < found["exact"].value - 0.03


def test_recommendations_leave_out_what_is_no_treatment(figures):
    notes = [f.note for f in figures if f.name == "recommendation"]
    assert len(notes) == 2
    assert all(note.startswith("none: ") and "checkpoints are needed" in note for note in notes)
    (verdict,) = [f for f in figures if f.name == "device minus exact accuracy"]
    assert "n too small" in verdict.note


def test_figures_repeat_from_their_seed(figures, result, monkeypatch):
    monkeypatch.setattr(study, "load", lambda spec: Noisy(NOISE))
    np.random.seed(123)
    again = study.on_device(cell=MEASURED.of, result=result, **MEASURED.options)
    assert again == figures


def test_names_say_what_is_done():
    assert [one.name for one in study.TREATMENTS][:2] == ["none", "readout"]
    assert Treatment("readout", trained=True, refitted=True).name == (
        "readout+trained-for-device+refit"
    )
    assert len({one.name for one in study.TREATMENTS}) == len(study.TREATMENTS)


def test_a_target_that_is_not_installed_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr("backends.registry.find_spec", lambda name: None)
    plan = study.device(setup(0, 2, 1), targets="ibm:fake_boston")
    done = carry_out([plan], store=Store(None))
    (figure,) = done.figures[plan.measurements[0].key].figures
    assert figure.value is None and "pip install 'qmoe-bench[ibm]'" in figure.note


@pytest.mark.parametrize("options", [{"shots": 0}, {"test": 0}, {"targets": "imb:fake_boston"}])
def test_bad_options_are_refused_before_anything_is_trained(options):
    with pytest.raises(InputError):
        study.device(setup(0, 2, 1), **options)
