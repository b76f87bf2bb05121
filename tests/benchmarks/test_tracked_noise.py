"""Tracked noise: the figures against the reference simulator, and noise that got lost is seen."""

from __future__ import annotations

import numpy as np
import pytest

from backends.ibm import snapshots
from benchmarks import noise, stored
from qmoe.channel import Channel
from qmoe.noise import NoiseModel
from qmoe.routed import RoutedCircuit
from qmoe.simulate import transfer
from tests.benchmarks.asked import tracked
from tests.qmoe.simulate import density


def test_every_snapshot_can_be_asked_for():
    assert tuple(f"ibm:{name}" for name in snapshots.names()) == noise.SNAPSHOTS


@pytest.mark.parametrize("placement", ["gate", "notebook"])
def test_added_errors_are_those_of_the_readable_simulator(placement):
    found = stored.load("wine")
    wrong = {0.0: 0, 0.05: 0}
    for model, X, y in zip(found.routers[stored.QUANTUM], found.X, found.y, strict=True):
        routed = RoutedCircuit(model.build(), np.array(model.weights))
        scaled = model.scaled(X)
        for strength in wrong:
            ops = NoiseModel(placement, depolarizing=strength).place(routed.circuit)
            outcomes = density.probabilities(
                ops, 2, (0, 1), routed.angles, routed.features(scaled), None
            )
            answer = routed.answer(scaled, outcomes)
            wrong[strength] += int((answer.probabilities.argmax(1) != np.array(y)).sum())
    rows = sum(map(len, found.y))
    (error,) = tracked(noise.AddedError, "wine", placement, 0.05)
    assert error == pytest.approx((wrong[0.05] - wrong[0.0]) / rows, abs=1e-12)


def test_the_tolerance_is_the_last_strength_before_accuracy_falls_too_far():
    (lost,) = tracked(noise.LostTolerance, "wine", "gate")
    most = round(noise.MOST - lost, 2)
    errors = {
        strength: np.mean(
            stored.load("wine").errors(
                stored.QUANTUM, {"noise": f"placement=gate,depolarizing={strength}"}
            )
        )
        for strength in np.arange(1, round(most / noise.STEP) + 2) * noise.STEP
    }
    *tolerated, first = errors.values()
    limit = np.mean(stored.load("wine").errors(stored.QUANTUM)) + noise.MARGIN
    assert max(tolerated) <= limit < first


@pytest.mark.usefixtures("unchecked")
def test_a_device_takes_something_and_mitigation_gives_some_back():
    lost, apart = tracked(noise.OnDevice, "ibm:fake_lima", "none")
    kept, closer = tracked(noise.OnDevice, "ibm:fake_lima", "readout+zne")
    assert 0 < closer < apart / 5 and kept <= lost < 0.2
    assert tracked(noise.OnDevice, "reference", "none") == (0.0, 0.0)


DISTANCES = [
    (noise.ToClosedForm, ("wire",)),
    (noise.ToClosedForm, ("gate",)),
    (noise.TwinToVendor, ("ibm:fake_torino", "paper n=3 L=2")),
    (noise.TwinToVendor, ("cirq:willow_pink", "reupload n=2 L=2")),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("kind", "which"), DISTANCES)
def test_lost_noise_moves_the_distances_from_nothing(kind, which, monkeypatch):
    assert tracked(kind, *which) == (0.0,)
    kept = transfer.factors

    def ideal(ops, measured):
        return kept([op for op in ops if not isinstance(op, Channel)], measured)

    monkeypatch.setattr(transfer, "factors", ideal)
    transfer._transfer.cache_clear()
    (found,) = tracked(kind, *which)
    transfer._transfer.cache_clear()  # of what was planted
    assert found > 1e-3


def test_noise_that_is_not_placed_moves_the_closed_form(monkeypatch):
    monkeypatch.setattr(NoiseModel, "place", lambda self, circuit: circuit.ops)
    for placement in noise.PLACEMENTS:
        (found,) = tracked(noise.ToClosedForm, placement)
        assert found > 0.01


def test_what_a_commit_lacks_is_no_failure(monkeypatch):
    monkeypatch.delattr("qmoe.predict.evaluate")
    with pytest.raises(NotImplementedError, match=r"no qmoe\.predict:evaluate"):
        tracked(noise.AddedError, "wine", "gate", 0.01)
