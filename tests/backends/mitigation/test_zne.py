"""Folds keep what a circuit does; each fit recovers the ideal under its own noise and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import backends
from backends.compiled import two_qubit_gates
from backends.execute import execute
from backends.mitigation import Run, load
from backends.mitigation.zne import (
    FOLDINGS,
    MOST_SCALE,
    ZeroNoise,
    at_zero,
    exponential,
    folded,
    walsh_hadamard,
)
from qmoe.agreement import total_variation
from qmoe.ansatz import paper
from qmoe.circuit import Circuit
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.simulate import reference
from tests.backends.mitigation.simulated import Noisy, White
from tests.qmoe.strategies import circuits, spread, values

RNG = np.random.default_rng(0)
X = np.random.default_rng(5).uniform(-np.pi, np.pi, (4, 3))
NATIVE = ("cx", "cz", "ecr", "rzz", "sx", "phased_xz", "rz", "mark_layer")
SETS = ("1/3", "1/3/5", "1/5/9/11")


def bound(n: int = 3, layers: int = 2) -> Circuit:
    circuit = paper(n, layers)
    return circuit.bind_weights(np.linspace(-2, 1, circuit.num_weights))


IDEAL = reference.probabilities(bound(), (), X)


def treated(backend: Any, text: str, shots: Any = None) -> Any:
    return execute(backend, backend.compile(bound()), load(text), X, shots, 11)


@settings(max_examples=40)
@given(circuits(gates=NATIVE, max_qubits=3, max_ops=10), st.sampled_from(FOLDINGS))
def test_folds_of_native_gates_do_the_same_with_exactly_so_many_more(
    circuit: Circuit, folding: str
) -> None:
    weights, x = values(circuit)
    plain = reference.probabilities(circuit, weights, x)
    for scale in (1, 3, 5):
        made = folded(circuit, scale, folding)
        assert spread(reference.probabilities(made, weights, x), plain) < 1e-12
        assert two_qubit_gates(made) == scale * two_qubit_gates(circuit)
        assert made.measured == circuit.measured
    assert folded(circuit, 1, folding) == circuit


def test_local_folds_stand_beside_their_gates() -> None:
    ops = bound(2, 1).ops
    made = folded(bound(2, 1), 3, "local").ops
    assert made[::3] == ops
    assert len(made) == 3 * len(ops)  # every inverse of ry, cz and marks is one gate


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param("ibm:fake_boston", marks=pytest.mark.xdist_group("ibm")),
        pytest.param("cirq:willow_pink", marks=pytest.mark.xdist_group("cirq")),
        pytest.param("braket:emulator", marks=pytest.mark.xdist_group("braket")),
        pytest.param("braket:emulator,properties=ionq", marks=pytest.mark.xdist_group("braket")),
    ],
)
def test_folds_pass_a_device_unchanged(spec: str) -> None:
    """What is emitted, not what was asked for, is counted and simulated without noise."""
    backend = backends.load(spec)
    compiled = backend.compile(bound())
    base = compiled.two_qubit_gates
    assert base > 0
    assert spread(reference.probabilities(compiled.native, (), X), IDEAL) < 1e-12
    for folding in FOLDINGS:
        for scale in (1, 3, 5):
            emitted = backend.emit(folded(compiled.native, scale, folding), compiled)
            assert emitted.two_qubit_gates == scale * base
            assert two_qubit_gates(emitted.native) == scale * base
            assert emitted.physical == compiled.physical
            assert spread(reference.probabilities(emitted.native, (), X), IDEAL) < 1e-12


# ---- fits


@pytest.mark.parametrize("scales", SETS)
def test_linear_fits_agree_with_mitiq_on_vectors(scales: str) -> None:
    zne = pytest.importorskip("mitiq.zne", reason="mitiq is not installed")
    factors = tuple(map(int, scales.split("/")))
    measured = RNG.dirichlet(np.ones(8), size=(len(factors), 5))
    flat = measured.reshape(len(factors), -1)
    fits = {
        "linear": zne.LinearFactory.extrapolate(factors, flat),
        "richardson": zne.RichardsonFactory.extrapolate(factors, flat),
    }
    for order in range(1, len(factors)):
        fits[f"polynomial,order={order}"] = zne.PolyFactory.extrapolate(factors, flat, order)
    for fit, theirs in fits.items():
        step = load(f"zne,scales={scales},fit={fit}")
        assert isinstance(step, ZeroNoise)
        ours = step.extrapolated(measured)
        np.testing.assert_allclose(ours, np.reshape(theirs, (5, 8)), atol=1e-10)


@pytest.mark.parametrize("scales", SETS)
@pytest.mark.parametrize("sign", [1, -1])
def test_exponentials_agree_with_mitiq_component_by_component(scales: str, sign: int) -> None:
    """Noisy decays that stay clear of 0, where our guard and mitiq's own have nothing to do."""
    zne = pytest.importorskip("mitiq.zne", reason="mitiq is not installed")
    factors = tuple(map(int, scales.split("/")))
    decay = np.exp(-np.outer(factors, RNG.uniform(0.02, 0.1, 20)))
    measured = sign * (decay * RNG.uniform(0.5, 1, 20) + RNG.normal(0, 0.01, decay.shape))
    ours = exponential(factors, measured, 0.02)
    theirs = [
        zne.ExpFactory.extrapolate(factors, column.tolist(), asymptote=0.0) for column in measured.T
    ]
    np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_an_exponential_is_left_out_where_there_is_none() -> None:
    planted = np.array(
        [
            [0.5, 0.3, 0.03, -0.4, 0.0, 0.5, -0.025],
            [0.4, -0.1, 0.02, -0.2, 0.0, 0.021, -0.021],
            [0.3, 0.1, 0.01, -0.1, 0.0, 0.021, -0.001],
        ]
    )
    found = exponential((1, 3, 5), planted, 0.02)
    kept = np.array([False, True, True, False, True, False, True])  # sign, size, size
    np.testing.assert_array_equal(found[kept], planted[0, kept])
    assert (np.abs(found[~kept]) > np.abs(planted[0, ~kept])).all()
    assert np.isfinite(found).all()


@given(arrays(np.float64, (2, 8), elements=st.floats(-1, 1)))
def test_walsh_hadamard_components_are_expectations_of_z_strings(p: Any) -> None:
    found = walsh_hadamard(p)
    for string in range(8):
        signs = [(-1) ** (string & outcome).bit_count() for outcome in range(8)]
        np.testing.assert_allclose(found[:, string], p @ signs, atol=1e-12)
    np.testing.assert_allclose(walsh_hadamard(found) / 8, p, atol=1e-12)


@given(st.lists(st.integers(0, 20), min_size=2, max_size=5, unique=True), st.data())
def test_weights_at_zero_undo_every_polynomial_of_their_degree(halves: Any, data: Any) -> None:
    scales = [2 * k + 1 for k in sorted(halves)]
    degree = data.draw(st.integers(1, min(3, len(scales) - 1)))
    weights = at_zero(scales, degree)
    assert weights.sum() == pytest.approx(1, abs=1e-9)
    for power in range(1, degree + 1):
        terms = weights * np.asarray(scales, dtype=float) ** power
        assert terms.sum() == pytest.approx(0, abs=1e-9 * np.abs(terms).max())


# ---- what it recovers, and what it does not


def planted(scales: tuple[int, ...], *slopes: Any) -> list[Any]:
    """Values that are a polynomial of the scale with value IDEAL at 0."""
    return [IDEAL + sum(s ** (k + 1) * slope for k, slope in enumerate(slopes)) for s in scales]


def test_richardson_recovers_the_ideal_under_polynomial_noise_and_linear_does_not() -> None:
    a, b = (RNG.normal(0, 0.01, IDEAL.shape) for _ in range(2))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    richardson, linear = load("zne,fit=richardson,scales=1/3/5"), load("zne,scales=1/3")
    runs = richardson.expand((Run(bound()),), RNG)
    assert [run.scale for run in runs] == [1, 3, 5]
    (left,), (found,) = richardson.combine(runs, planted((1, 3, 5), a, b))
    np.testing.assert_allclose(found, IDEAL, atol=1e-12)
    assert (left.path, left.scale, left.circuit) == ((), 1, bound())

    runs = linear.expand((Run(bound()),), RNG)
    _, (found,) = linear.combine(runs, planted((1, 3), a, b))
    # 3/2 (a + b) - 1/2 (3 a + 9 b) = -3 b
    np.testing.assert_allclose(found, IDEAL - 3 * b, atol=1e-12)
    _, (found,) = linear.combine(runs, planted((1, 3), a))
    np.testing.assert_allclose(found, IDEAL, atol=1e-12)


@pytest.mark.parametrize("scales", SETS)
def test_exponential_recovers_the_ideal_under_global_depolarizing(scales: str) -> None:
    """The whole register keeps .985 for each gate: .985^(gates x scale), as folds are made."""
    backend = White(0.985)
    found = treated(backend, f"zne,fit=exponential,scales={scales},guard=0")
    np.testing.assert_allclose(found.quasi, IDEAL, atol=1e-10)
    linear = treated(backend, "zne")
    # by theory: 3/2 f - 1/2 f^3 of the structure is left
    gates = sum(not op.is_mark for op in bound().ops)
    kept = 1.5 * 0.985**gates - 0.5 * 0.985 ** (3 * gates)
    np.testing.assert_allclose(linear.quasi, kept * (IDEAL - 1 / 8) + 1 / 8, atol=1e-10)
    assert abs(kept - 1) > 0.03


def test_no_fit_undoes_readout_error_alone() -> None:
    """It does not grow with the folds: every fit gives back what was read."""
    backend = Noisy(NoiseModel(read_1_of_0=0.03, read_0_of_1=0.06))
    raw = treated(backend, "none").quasi
    assert total_variation(raw, IDEAL).min() > 0.01
    for fit in ("linear", "polynomial", "richardson", "exponential"):
        np.testing.assert_allclose(treated(backend, f"zne,fit={fit}").quasi, raw, atol=1e-12)
    np.testing.assert_allclose(treated(backend, "readout+zne").quasi, IDEAL, atol=1e-10)


def order_of_what_is_left(text: str) -> float:
    strong, weak = (
        np.abs(treated(Noisy(NoiseModel(depolarizing=p)), text).quasi - IDEAL).max()
        for p in (1e-3, 1e-4)
    )
    return float(np.log10(strong / weak))


@pytest.mark.parametrize("scales", ["1/3", "1/3/5", "1/3/5/7"])
def test_each_scale_takes_an_order_from_local_folds(scales: str) -> None:
    """A gate's depolarizing D commutes with it, so G (G^-1 G)^k has the noise D^scale.

    That is a power series in the scale: k scales leave an error of order p^k.
    """
    left = order_of_what_is_left(f"zne,fit=richardson,scales={scales},folding=local")
    assert left == pytest.approx(scales.count("/") + 1, abs=0.15)


def test_global_folds_leave_the_second_order_however_many_scales() -> None:
    """Noise of one gate need not commute with that of another, and U^-1 has them in reverse.

    So k + 1 times the commutators of U, less k times those of U^-1, leave one at every scale.
    """
    left = order_of_what_is_left("zne,fit=richardson,scales=1/3/5/7")
    assert left == pytest.approx(2, abs=0.3)


# ---- shares, chains, targets that cannot


def test_shots_are_split_evenly_and_the_overhead_is_that_of_the_weights() -> None:
    found = treated(White(0.99), "zne,fit=richardson,scales=1/3/5", 3000)
    assert [run.shots(3000, 4) for run in found.runs] == [1000] * 3
    assert found.overhead.shots == 12_000
    # 15/8, -5/4, 3/8
    assert found.overhead.gamma == pytest.approx(3.5)
    np.testing.assert_allclose([run.coefficient for run in found.runs], [1.875, -1.25, 0.375])


def test_training_is_extrapolated_too_and_calibration_is_not() -> None:
    step = load("zne")
    training = Run(bound().bind([0.0] * 3), "training", share=0.3, path=("rescale",), label="2")
    calibration = Run(Circuit(3, (), (0,)), "calibration", share=0.1, path=("readout",))
    given_ = (Run(bound(), share=0.6), training, calibration)
    runs = step.expand(given_, RNG)
    assert [run.scale for run in runs] == [1, 3, 1, 3, 1]
    read = [np.full((1, 8), float(k)) for k in range(5)]
    left, found = step.combine(runs, read)
    assert [(run.circuit, run.role, run.path, run.label) for run in left] == [
        (run.circuit, run.role, run.path, run.label) for run in given_
    ]
    np.testing.assert_allclose([run.share for run in left], [0.6, 0.3, 0.1])
    np.testing.assert_allclose([each[0, 0] for each in found], [-0.5, 1.5, 4], atol=1e-12)


def test_a_target_that_compiles_again_is_unsupported_before_anything_runs() -> None:
    class Recompiling(Noisy):
        foldable = False

        def probabilities(self, compiled: Any, features: Any) -> Any:
            raise AssertionError("ran")

    for text in ("zne", "readout+zne"):
        with pytest.raises(InputError, match="unsupported"):
            treated(Recompiling(NoiseModel()), text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("zne,scales=1/2", "odd whole numbers"),
        ("zne,scales=1/3/3", "each once"),
        ("zne,scales=3/5", "rising from 1"),
        ("zne,scales=1/5/3", "rising"),
        ("zne,scales=1/2.5", "odd whole numbers"),
        ("zne,scales=1/-3", "odd whole numbers"),
        ("zne,scales=1//3", "odd whole numbers"),
        (f"zne,scales=1/{MOST_SCALE + 2}", "at most"),
        (f"zne,scales=1/{10**12 + 1}", "at most"),
        ("zne,scales=1", "order 1 with 1 scales"),
        ("zne,fit=richardson,scales=1", "with 1 scales"),
        ("zne,fit=exponential,scales=1", "with 1 scales"),
        ("zne,fit=polynomial,order=2,scales=1/3", "order 2 with 2 scales"),
        ("zne,fit=polynomial,order=0", "order 0"),
        ("zne,fit=polynomial,order=-1", "whole number"),
        ("zne,fit=polynomial,order=1.5", "whole number"),
        ("zne,fit=linear,order=2", "fit=polynomial only"),
        ("zne,guard=0.1", "fit=exponential only"),
        ("zne,fit=exponential,guard=1", "guard < 1"),
        ("zne,fit=quadratic", "fit of zne"),
        ("zne,folding=random", "folding of zne"),
        ("zne,scale=1/3", "did you mean 'scales'"),
    ],
)
def test_bad_options_are_one_line_errors(text: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text)
    assert hint in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("zne", "zne,fit=linear,scales=1/3"),
        ("zne,scales=01/3", "zne,fit=linear,scales=1/3"),
        ("zne,fit=richardson", "zne,fit=richardson,scales=1/3/5"),
        ("zne,fit=polynomial", "zne,fit=polynomial,scales=1/3/5"),
        (
            "zne,order=3,fit=polynomial,scales=1/3/5/7",
            "zne,fit=polynomial,scales=1/3/5/7,order=3",
        ),
        (
            "zne,folding=local,fit=exponential,guard=0",
            "zne,fit=exponential,scales=1/3/5,folding=local,guard=0.0",
        ),
    ],
)
def test_names_are_canonical(text: str, name: str) -> None:
    assert load(text).name == name
    assert load(name) == load(text)
