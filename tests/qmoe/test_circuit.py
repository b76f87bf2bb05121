from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmoe.angles import add, affine, angle_of, negate, scaled
from qmoe.circuit import GATES, MARKS, Circuit, Feature, Op, Sum, Weight
from qmoe.errors import InputError
from qmoe.simulate.reference import final_state, probabilities
from tests.qmoe.strategies import (
    EXAMPLES,
    GATE_NAMES,
    angles,
    circuits,
    same_up_to_phase,
    spread,
    values,
)

FEW_GATES = {"num_features": 2, "num_weights": 3}


def unitary(circuit: Circuit) -> np.ndarray:
    """The matrix of a bound circuit, column by column: X gates prepare each basis state."""
    n = circuit.num_qubits
    columns = []
    for index in range(2**n):
        flips = tuple(Op("x", (q,)) for q in range(n) if index >> (n - 1 - q) & 1)
        columns.append(final_state(Circuit(n, flips + circuit.ops, (0,))).reshape(-1))
    return np.array(columns).T


def bound(circuit: Circuit) -> Circuit:
    theta, x = values(circuit)
    return circuit.bind_weights(theta).bind(x[0])


class TestAngles:
    @given(angles(2, 2), angles(2, 2))
    def test_writer_undoes_reader_and_sums_add_up(self, left, right):
        part = affine(left)
        assert affine(angle_of(part.features, part.weights, part.offset)) == part
        total = affine(add(left, right))
        other = affine(right)
        for index in (0, 1):
            expected = part.features.get(index, 0) + other.features.get(index, 0)
            assert total.features.get(index, 0) == expected
        assert total.offset == part.offset + other.offset

    @given(angles(2, 2))
    def test_an_angle_minus_itself_is_zero(self, angle):
        assert add(angle, negate(angle)) == 0.0
        assert affine(scaled(angle, 2.0)) == affine(add(angle, angle))

    def test_sums_have_one_normal_form(self):
        left = Sum((Weight(1), Feature(3), Feature(0), Feature(3)), -0.0)
        right = Sum((Feature(0), Feature(3, 2.0), Weight(1), Weight(0, 0.0)))
        assert left == right
        assert hash(left) == hash(right)
        assert math.copysign(1, left.offset) == 1

    def test_features_and_weights_never_meet(self):
        assert Feature(0) != Weight(0)
        assert len({Feature(0), Weight(0)}) == 2
        assert hash(Feature(0)) != hash(Weight(0))
        left, right = (
            Circuit(1, (Op("ry", (0,), (angle,)),), (0,), 1, 1) for angle in (Feature(0), Weight(0))
        )
        assert left != right
        assert hash(left) != hash(right)
        assert left.to_json() != right.to_json()
        assert left.digest != right.digest

    @pytest.mark.parametrize(
        ("angle", "normal"),
        [
            (Sum((Feature(1),)), Feature(1)),
            (Sum((Weight(1, 0.5), Weight(1, 0.5))), Weight(1)),
            (Sum((), 0.25), 0.25),
            (Feature(0, 0.0), 0.0),
            (np.float32(0.5), 0.5),
            (3, 3.0),
            (-0.0, 0.0),
            (Sum((Feature(0),), 1.0), Sum((Feature(0),), 1.0)),
        ],
    )
    def test_an_op_stores_the_simplest_equal_angle(self, angle, normal):
        stored = Op("rz", (np.int64(0),), (angle,)).angles[0]
        assert stored == normal
        assert type(stored) is type(normal)
        assert str(stored) == str(normal)  # tells 0.0 from -0.0


class TestGateTable:
    @pytest.mark.parametrize("name", GATE_NAMES)
    def test_columns_agree_with_the_matrix(self, name):
        row = GATES[name]
        matrices = [
            row.unitary(*point[: row.num_angles]) for point in ((0.7, 1.9, 2.3), (3.0, 1.0, 2.0))
        ]
        assert row.real == all(np.all(m.imag == 0) for m in matrices)
        assert row.diagonal == all(np.all(m == np.diag(np.diag(m))) for m in matrices)
        for matrix in matrices:
            assert matrix.shape == (2**row.num_qubits,) * 2
            assert np.allclose(matrix @ matrix.conj().T, np.eye(len(matrix)), rtol=0, atol=1e-12)
        assert bool(row.axis) == (name in ("rx", "ry", "rz"))

    @EXAMPLES
    @given(circuits(max_ops=1, gates=GATE_NAMES))
    def test_lower_and_inverse_equal_the_matrix_up_to_phase(self, circuit):
        expected = unitary(bound(circuit))
        lowered = Circuit(
            circuit.num_qubits,
            tuple(step for op in circuit.ops for step in op.lower()),
            circuit.measured,
            **FEW_GATES,
        )
        for op in lowered.ops:
            assert not op.angles or GATES[op.gate].axis
        assert same_up_to_phase(unitary(bound(lowered)), expected)
        assert same_up_to_phase(unitary(bound(circuit.inverse())), expected.conj().T)

    @pytest.mark.parametrize("name", MARKS)
    def test_marks_have_no_matrix(self, name):
        assert Op(name, (2, 0)).inverse() == Op(name, (2, 0)).lower() == (Op(name, (2, 0)),)
        with pytest.raises(TypeError, match="is a mark"):
            GATES[name].unitary()


class TestInverseAndFold:
    @EXAMPLES
    @given(circuits(max_ops=10))
    def test_inverse_composes_to_the_identity(self, circuit):
        both = Circuit(
            circuit.num_qubits,
            circuit.ops + circuit.inverse().ops,
            circuit.measured,
            **FEW_GATES,
        )
        assert same_up_to_phase(unitary(bound(both)), np.eye(2**circuit.num_qubits) + 0j)

    @EXAMPLES
    @given(circuits(max_ops=10), st.sampled_from([1, 3, 5]))
    def test_folding_keeps_the_distribution_and_multiplies_two_qubit_gates(self, circuit, scale):
        theta, x = values(circuit)
        folded = circuit.folded(scale)
        expected = probabilities(circuit, theta, x)
        assert spread(probabilities(folded, theta, x), expected) < 1e-12

        def count(ops, chosen):
            return sum(chosen(op) for op in ops)

        for chosen in (lambda op: GATES[op.gate].num_qubits == 2, lambda op: op.is_mark):
            assert count(folded.ops, chosen) == scale * count(circuit.ops, chosen)
        assert folded.measured == circuit.measured

    def test_folding_by_one_changes_nothing(self):
        circuit = Circuit(2, (Op("s", (0,)), Op("cx", (0, 1)), Op("mark_layer", ())), (1,))
        assert circuit.folded(1) == circuit

    @pytest.mark.parametrize("scale", [0, -1, 2, 4])
    def test_other_scales_are_refused(self, scale):
        with pytest.raises(InputError, match=f"fold scale {scale}"):
            Circuit(1, (), (0,)).folded(scale)


class TestBinding:
    @EXAMPLES
    @given(circuits())
    def test_binding_leaves_nothing_free_and_keeps_the_distribution(self, circuit):
        theta, x = values(circuit)
        template = circuit.bind_weights(theta)
        assert (template.num_features, template.num_weights) == (circuit.num_features, 0)
        one = template.bind(x[0])
        assert (one.num_features, one.num_weights) == (0, 0)
        expected = probabilities(circuit, theta, x[0])
        assert spread(probabilities(template, (), x[0]), expected) < 1e-12
        assert spread(probabilities(one), expected) < 1e-12

    def test_binding_merges_the_sum(self):
        circuit = Circuit(
            1, (Op("ry", (0,), (Sum((Feature(0), Weight(0, 2.0)), 0.5),)),), (0,), 1, 1
        )
        template = circuit.bind_weights([0.25])
        assert template.ops == (Op("ry", (0,), (Sum((Feature(0),), 1.0),)),)
        assert template.bind([1.0]).ops == (Op("ry", (0,), (2.0,)),)

    @pytest.mark.parametrize("weights", [[], [1.0, 2.0], [math.nan], [True]])
    def test_bad_weights_are_refused(self, weights):
        circuit = Circuit(1, (Op("ry", (0,), (Weight(0),)),), (0,), 0, 1)
        with pytest.raises(InputError, match="weights"):
            circuit.bind_weights(weights)


class TestBadInput:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Op("rxx", (0, 1), (0.5,)), "did you mean 'rx'|did you mean 'rzz'"),
            (lambda: Op("cz", (0,)), "expected 2 qubits"),
            (lambda: Op("h", (0, 1)), "expected 1 qubits"),
            (lambda: Op("ry", (0,)), "ry with 0 angles"),
            (lambda: Op("h", (0,), (0.1,)), "h with 1 angles"),
            (lambda: Op("cx", (1, 1)), "qubits that differ"),
            (lambda: Op("mark_layer", (1, 1)), "qubits that differ"),
            (lambda: Op("h", (-1,)), "qubit -1"),
            (lambda: Op("h", (True,)), "qubit True"),
            (lambda: Op("h", (0.0,)), "qubit 0.0"),
            (lambda: Op("h", 0), "qubits 0"),
            (lambda: Op("ry", (0,), (math.nan,)), "angle nan"),
            (lambda: Op("ry", (0,), (math.inf,)), "angle inf"),
            (lambda: Op("ry", (0,), (True,)), "angle True"),
            (lambda: Op("ry", (0,), ("x",)), "angle 'x'"),
            (lambda: Op("ry", (0,), (1j,)), "angle"),
            (lambda: Op("ry", (0,), (10**400,)), "finite"),
            (lambda: Feature(-1), "feature index -1"),
            (lambda: Feature(True), "feature index True"),
            (lambda: Weight(0, math.inf), "weight scale inf"),
            (lambda: Weight(0.5), "weight index 0.5"),
            (lambda: Sum((0.5,)), "sum term 0.5"),
            (lambda: Sum((), math.nan), "angle offset nan"),
            (lambda: Circuit(0, (), ()), "num_qubits 0"),
            (lambda: Circuit(True, (), (0,)), "num_qubits True"),
            (lambda: Circuit(1, (), ()), "one or more"),
            (lambda: Circuit(2, (), (0, 0)), "one or more qubits that differ"),
            (lambda: Circuit(2, (), (2,)), "measured qubit 2"),
            (lambda: Circuit(1, (Op("cz", (0, 1)),), (0,)), "qubit of cz 1"),
            (lambda: Circuit(1, ("h",), (0,)), "expected an Op"),
            (lambda: Circuit(1, (Op("ry", (0,), (Feature(0),)),), (0,)), "feature index 0"),
            (
                lambda: Circuit(1, (Op("ry", (0,), (Weight(2),)),), (0,), num_weights=2),
                "less than num_weights = 2",
            ),
            (lambda: Circuit(1, (), (0,), num_features=-1), "num_features -1"),
        ],
    )
    def test_one_line_says_what_is_wrong(self, make, message):
        with pytest.raises(InputError, match=message) as caught:
            make()
        assert "\n" not in str(caught.value)

    def test_lists_and_numpy_integers_are_normalised(self):
        circuit = Circuit(np.int64(2), [Op("cz", [np.int32(1), 0])], [np.int8(1)])
        assert circuit == Circuit(2, (Op("cz", (1, 0)),), (1,))
        assert all(type(q) is int for q in (*circuit.ops[0].qubits, *circuit.measured))
