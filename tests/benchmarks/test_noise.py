"""The benchmark of noisy training compares like with like: agreement and ratios, never times."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.figures import noise
from benchmarks.figures.speed.timing import Timing
from qmoe.ansatz import paper
from qmoe.channel import Channel
from qmoe.simulate import reference


@pytest.mark.parametrize("shape", [(2, 2), (3, 1)])
def test_the_native_list_is_the_same_circuit_and_the_device_adds_noise_alone(shape):
    circuit = paper(*shape)
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=circuit.num_weights), rng.normal(size=(3, shape[0]))
    native = noise.native(circuit)
    assert {op.gate for op in native.ops} <= {"sx", "rz", "cz", "mark_embedding", "mark_layer"}
    expected = reference.probabilities(circuit, weights, x)
    np.testing.assert_allclose(reference.probabilities(native, weights, x), expected, atol=1e-12)
    steps = noise.device(circuit)
    assert tuple(step for step in steps if not isinstance(step, Channel)) == native.ops
    assert all(0.98 < step.fidelity < 1 for step in steps if isinstance(step, Channel))


def test_steps_take_equal_inputs_and_only_noise_moves_their_results():
    work = noise.Work(2, 1, 3)
    found = {name: step() for name, step in noise.programs(work).items()}
    ideal, gradient = found[noise.IDEAL]
    assert ideal.shape == (3, 4, noise.BATCH)
    torch.testing.assert_close(found[noise.SAME], (ideal, gradient), rtol=0, atol=1e-10)
    far = {name: float((found[name][0] - ideal).abs().max()) for name in found}
    assert far[noise.NOISY] > far[noise.DEVICE] > 1e-3


def test_ratios_are_those_of_the_medians():
    seconds = {noise.SAME: 2.0, noise.NOISY: 3.0, noise.DEVICE: 4.0, noise.IDEAL: 0.5}
    timings = {name: Timing.of([value]) for name, value in seconds.items()}
    text = noise.report(noise.Work(2, 2, 1), timings, 2.0)
    assert "noise / the same engine without: 1.50 (at most 2 wanted)" in text
    assert "device / real amplitudes without noise: 8.00" in text
    assert "wanted" not in noise.report(noise.Work(2, 2, 64), timings, 2.0)
