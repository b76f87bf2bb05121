"""One depolarizing strength: exact where that is the noise, wrong by a known amount elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from backends.compiled import two_qubit_gates
from backends.execute import execute, expansion_stream
from backends.mitigation import Run, load
from backends.mitigation.rescale import LEAST_F, clifford, strength
from qmoe.agreement import total_variation
from qmoe.ansatz import paper
from qmoe.circuit import Circuit, Feature, Op, Sum
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.simulate import reference
from tests.backends.mitigation.simulated import Noisy, White
from tests.qmoe.strategies import circuits

X = np.random.default_rng(5).uniform(-np.pi, np.pi, (4, 3))


def bound(n: int = 3, layers: int = 2) -> Circuit:
    circuit = paper(n, layers)
    return circuit.bind_weights(np.linspace(-2, 1, circuit.num_weights))


IDEAL = reference.probabilities(bound(), (), X)
GATES = sum(not op.is_mark for op in bound().ops)


def treated(backend: Any, text: str, shots: Any = None, seed: int = 11) -> Any:
    return execute(backend, backend.compile(bound()), load(text), X, shots, seed)


@pytest.mark.parametrize("text", ["rescale", "rescale,circuits=1", "rescale+zne", "zne+rescale"])
def test_global_depolarizing_is_undone_exactly(text: str) -> None:
    found = treated(White(0.98), text)
    assert total_variation(treated(White(0.98), "none").quasi, IDEAL).min() > 0.05
    np.testing.assert_allclose(found.quasi, IDEAL, atol=1e-10)


def test_readout_error_is_removed_from_the_training_too() -> None:
    """Gates that are noise-free but for the x gates of the calibration, which have none."""

    class WhiteMisread(White):
        def probabilities(self, compiled: Any, features: Any) -> Any:
            prepared = {op.gate for op in compiled.native.ops} <= {"x"}
            kept = Noisy.probabilities if prepared else White.probabilities
            true = kept(self, compiled, features)
            return true if prepared else true @ compiled.confusion.T

    backend = WhiteMisread(0.98)
    backend.noise = NoiseModel(read_1_of_0=0.03, read_0_of_1=0.06)
    found = treated(backend, "readout+rescale")
    np.testing.assert_allclose(found.quasi, IDEAL, atol=1e-10)
    alone = treated(backend, "rescale")
    assert total_variation(alone.quasi, IDEAL).min() > 0.01


def test_amplitude_damping_is_not_undone_by_as_much_as_theory_says() -> None:
    """One qubit, one RY: z becomes (1 - g) z + g. Clifford angles 0 and pi have z = 1 and -1.

    So f = 1 - g + g * mean(z of training), and what is left is ((1 - g) z + g) / f.
    """
    g = 0.2
    circuit = Circuit(1, (Op("ry", (0,), (Feature(0),)),), (0,), 1)
    backend: Any = Noisy(NoiseModel(amplitude_damping=g))
    x = np.linspace(-3, 3, 7)[:, None]
    found = execute(backend, backend.compile(circuit), load("rescale"), x, None, 3)
    trained = [
        reference.probabilities(run.circuit) @ [1, -1]
        for run in found.runs
        if run.role == "training"
    ]
    f = 1 - g + g * np.mean(trained)
    z = found.quasi @ [1, -1]
    np.testing.assert_allclose(z, ((1 - g) * np.cos(x[:, 0]) + g) / f, atol=1e-10)
    assert np.abs(z - np.cos(x[:, 0])).max() > 0.1


def test_the_strength_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    trained = [clifford(bound(), rng) for _ in range(5)]
    ideal = np.array([reference.probabilities(each) for each in trained])
    noisy = 0.6 * ideal + 0.4 / 8 + rng.normal(0, 0.02, ideal.shape)
    (f,), *_ = np.linalg.lstsq((ideal - 1 / 8).reshape(-1, 1), (noisy - 1 / 8).ravel(), rcond=None)
    assert strength(trained, list(noisy[:, None])) == pytest.approx(f, abs=1e-12)
    assert f == pytest.approx(0.6, abs=0.05)


@settings(max_examples=40)
@given(circuits(num_weights=0))
def test_training_circuits_are_clifford_and_of_the_same_structure(circuit: Circuit) -> None:
    """Outcomes of stabilizer states: a power of two of them, all as likely; never all of them."""
    try:
        made = clifford(circuit, np.random.default_rng(0))
    except InputError:
        return
    assert made.num_features == 0
    assert made.measured == circuit.measured
    assert [(op.gate, op.qubits) for op in made.ops] == [(op.gate, op.qubits) for op in circuit.ops]
    assert two_qubit_gates(made) == two_qubit_gates(circuit)
    p = reference.probabilities(made)
    likely = p[p > 1e-9]
    assert len(likely) < len(p)
    assert len(likely).bit_count() == 1
    np.testing.assert_allclose(likely, 1 / len(likely), atol=1e-9)


def test_angles_that_are_clifford_stay() -> None:
    quarter = np.pi / 2
    kept = [Op("rz", (0,), (3 * quarter,)), Op("phased_xz", (0,), (quarter, 0.0, -np.pi))]
    free = [Op("ry", (0,), (Sum((Feature(0),), np.pi),)), Op("rx", (0,), (0.3,))]
    circuit = Circuit(1, (*kept, *free), (0,), 1)
    drawn = {clifford(circuit, np.random.default_rng(seed)).ops for seed in range(30)}
    assert all(ops[:2] == tuple(kept) for ops in drawn)
    assert len(drawn) > 5
    turns = np.array([op.angles[0] for ops in drawn for op in ops[2:]], dtype=float) / quarter
    assert set(turns.tolist()) <= {0, 1, 2, 3}


def test_circuits_repeat_from_their_seed() -> None:
    def drawn(seed: int) -> Any:
        return load("rescale").expand((Run(bound()),), expansion_stream(seed))

    assert drawn(4) == drawn(4)
    assert drawn(4) != drawn(5)


def test_shots_of_training_are_charged() -> None:
    found = treated(White(0.99), "rescale,circuits=4,share=0.2", 1000)
    assert [run.shots(1000, 4) for run in found.runs] == [800] + [200] * 4
    assert found.overhead.shots == 4000
    assert sum(run.share for run in found.runs) == pytest.approx(1)


def test_combine_gives_back_what_expand_was_given() -> None:
    step = load("rescale,circuits=2")
    calibration = Run(Circuit(3, (), (0,)), "calibration", share=0.1, path=("readout",))
    given_ = (
        Run(bound(), share=0.5, label="a", coefficient=-2.0),
        calibration,
        Run(bound(), share=0.3, scale=3.0, path=("zne",)),
        Run(clifford(bound(), np.random.default_rng(1)), "training", share=0.1, path=("other",)),
    )
    runs = step.expand(given_, np.random.default_rng(0))
    assert len(runs) == 3 + 1 + 3 + 1  # training circuits of others are not trained on again
    kept = {1.0: 0.5, 3.0: 0.25}
    read = [
        kept[run.scale]
        * reference.probabilities(run.circuit.bind([0.1] * run.circuit.num_features))
        + (1 - kept[run.scale]) / 2 ** len(run.circuit.measured)
        for run in runs
    ]
    left, found = step.combine(runs, [each[None] for each in read])
    assert [(r.circuit, r.role, r.path, r.label, r.coefficient, r.scale) for r in left] == [
        (r.circuit, r.role, r.path, r.label, r.coefficient, r.scale) for r in given_
    ]
    np.testing.assert_allclose([run.share for run in left], [0.5, 0.1, 0.3, 0.1])
    ideal = reference.probabilities(bound().bind([0.1] * 3))
    np.testing.assert_allclose(found[0][0], ideal, atol=1e-12)
    np.testing.assert_allclose(found[2][0], ideal, atol=1e-12)


def test_nothing_is_divided_by_almost_nothing() -> None:
    kept = (0.8 * LEAST_F) ** (1 / GATES)
    with pytest.raises(InputError, match=r"at least 0\.05"):
        treated(White(kept), "rescale")
    assert np.isfinite(treated(White(kept**0.8), "rescale").quasi).all()


def test_a_structure_without_a_lesson_is_refused() -> None:
    even = Circuit(2, (Op("h", (0,)), Op("h", (1,)), Op("rz", (0,), (Feature(0),))), (0, 1), 1)
    backend: Any = White(0.9)
    with pytest.raises(InputError, match="outcomes were even"):
        execute(backend, backend.compile(even), load("rescale"), [[0.1]], None, 0)


def test_a_target_that_compiles_again_is_unsupported() -> None:
    class Recompiling(Noisy):
        foldable = False

    with pytest.raises(InputError, match="unsupported"):
        treated(Recompiling(NoiseModel()), "rescale")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("rescale,circuits=0", "whole number >= 1"),
        ("rescale,circuits=1.5", "whole number"),
        ("rescale,circuits=101", "at most 100"),
        ("rescale,share=1", "between 0 and 1"),
        ("rescale,share=-0.1", "between 0 and 1"),
        ("rescale,circuit=3", "did you mean 'circuits'"),
    ],
)
def test_bad_options_are_one_line_errors(text: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text)
    assert hint in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [("rescale", "rescale"), ("rescale,share=.5,circuits=3", "rescale,circuits=3,share=0.5")],
)
def test_names_are_canonical(text: str, name: str) -> None:
    assert load(text).name == name
    assert load(name) == load(text)
