from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from qmoe.ansatz import ANSATZE, build, paper, reupload
from qmoe.circuit import Circuit, Feature, Op, Sum, Weight
from qmoe.simplify import compact, cone_features, prune, simplify
from qmoe.simulate.reference import probabilities
from tests.qmoe.strategies import EXAMPLES, GATE_NAMES, circuits, spread, values

# Deep circuits of few gates on few wires: where merging across and cancelling go wrong first.
DENSE = {"max_qubits": 3, "max_ops": 24, "gates": ("h", "cz", "cx", "rx", "ry", "rz", "s", "x")}


def gates(circuit: Circuit) -> list[tuple[str, tuple[int, ...]]]:
    return [(op.gate, op.qubits) for op in circuit.ops if not op.is_mark]


def marks(circuit: Circuit) -> list[Op]:
    return [op for op in circuit.ops if op.is_mark]


def circuit_of(*ops: Op, measured: tuple[int, ...] = (0, 1, 2)) -> Circuit:
    return Circuit(3, ops, measured, 3, 3)


def ry(angle, qubit: int = 0) -> Op:
    return Op("ry", (qubit,), (angle,))


@EXAMPLES
@given(circuits())
def test_the_distribution_stays(circuit):
    theta, x = values(circuit)
    expected = probabilities(circuit, theta, x)
    for shorter in (simplify(circuit), prune(circuit), compact(circuit)[0]):
        assert spread(probabilities(shorter, theta, x), expected) < 1e-12
        assert len(shorter.ops) <= len(circuit.ops)
        assert shorter.num_features == circuit.num_features
        assert shorter.num_weights == circuit.num_weights


@EXAMPLES
@given(circuits(**DENSE))
def test_the_distribution_stays_in_deep_circuits(circuit):
    theta, x = values(circuit)
    expected = probabilities(circuit, theta, x)
    assert spread(probabilities(simplify(circuit), theta, x), expected) < 1e-12


@EXAMPLES
@given(circuits(**DENSE))
def test_simplify_is_idempotent_and_keeps_marks(circuit):
    once = simplify(circuit)
    assert simplify(once) == once
    assert marks(once) == marks(circuit)
    assert circuit.simplify() == once


@EXAMPLES
@given(circuits())
def test_prune_only_leaves_out(circuit):
    pruned = prune(circuit)
    remaining = iter(circuit.ops)
    assert all(op in remaining for op in pruned.ops)
    assert prune(pruned) == pruned
    assert marks(pruned) == marks(circuit)


@EXAMPLES
@given(circuits(max_ops=8, gates=GATE_NAMES))
def test_a_circuit_and_its_inverse_simplify_away(circuit):
    # Inverses of s and sx are other gates, and phased_xz is not merged.
    ops = tuple(op for op in circuit.ops if op.gate not in ("s", "sx", "phased_xz", "rzz"))
    circuit = Circuit(circuit.num_qubits, ops, circuit.measured, 2, 3)
    both = Circuit(circuit.num_qubits, ops + circuit.inverse().ops, circuit.measured, 2, 3)
    assert simplify(both).ops == ()


def test_paper_loses_its_last_entanglers_and_merges_the_first_rotations():
    simple = paper(4, 2).simplify()
    assert gates(simple) == [
        *(("ry", (q,)) for q in range(4)),
        *(("cz", (q, q + 1)) for q in range(3)),
        *(("ry", (q,)) for q in range(4)),
    ]
    assert simple.ops[0] == ry(Sum((Feature(0), Weight(0))))
    assert [op.gate for op in marks(simple)] == ["mark_embedding", "mark_layer", "mark_layer"]


def test_reupload_merges_embedding_and_layer_rotations():
    simple = reupload(2, 3).simplify()
    assert sum(gate == "ry" for gate, _ in gates(simple)) == 6
    assert sum(gate == "cz" for gate, _ in gates(simple)) == 2


def test_a_merged_gate_stands_where_the_earlier_was():
    circuit = circuit_of(
        ry(Feature(0)), Op("mark_embedding", ()), ry(Weight(0)), Op("h", (0,)), measured=(0,)
    )
    assert simplify(circuit).ops == (
        ry(Sum((Feature(0), Weight(0)))),
        Op("mark_embedding", ()),
        Op("h", (0,)),
    )


def test_rotations_merge_across_gates_that_commute():
    circuit = circuit_of(
        Op("h", (0,)),
        Op("h", (1,)),
        Op("rz", (0,), (Feature(0),)),
        Op("cz", (0, 1)),
        Op("cx", (0, 2)),
        Op("rz", (0,), (Weight(0),)),
        Op("h", (0,)),
        Op("h", (1,)),
    )
    merged = [op for op in simplify(circuit).ops if op.gate == "rz"]
    assert merged == [Op("rz", (0,), (Sum((Feature(0), Weight(0))),))]


def test_rotations_do_not_merge_across_gates_that_do_not():
    circuit = circuit_of(ry(Feature(0)), ry(0.4, 1), Op("cz", (0, 1)), ry(Weight(0)))
    assert sum(op.gate == "ry" for op in simplify(circuit).ops) == 3


def test_pairs_cancel_inside_out_and_across_commuting_gates():
    noise = [Op("h", (0,)), Op("h", (1,)), Op("h", (2,))]
    nested = [Op("cx", (0, 1)), ry(0.3, 0), Op("x", (2,)), Op("cz", (2, 1))]
    undone = [Op("cz", (1, 2)), Op("x", (2,)), ry(-0.3, 0), Op("cx", (0, 1))]
    circuit = circuit_of(*noise, *nested, *undone, *noise)
    assert simplify(circuit).ops == ()
    across = circuit_of(*noise, Op("cz", (0, 1)), Op("cz", (1, 2)), Op("cz", (1, 0)), *noise)
    assert sum(op.gate == "cz" for op in simplify(across).ops) == 1


def test_cx_has_a_direction():
    circuit = circuit_of(ry(0.3), ry(0.4, 1), Op("cx", (0, 1)), Op("cx", (1, 0)))
    assert sum(op.gate == "cx" for op in simplify(circuit).ops) == 2


@pytest.mark.parametrize("angle", [0.0, 2 * np.pi, -4 * np.pi, 1e-17])
def test_rotations_by_nothing_go(angle):
    assert simplify(circuit_of(ry(angle))).ops == ()


def test_identity_at_bound_angles_goes_for_any_gate():
    mixed = [Op("h", (0,)), Op("h", (1,))]
    circuit = circuit_of(
        *mixed,
        Op("rzz", (0, 1), (0.0,)),
        Op("phased_xz", (0,), (0.0, 0.0, 0.7)),
        ry(0.3),
        ry(0.2, 1),
    )
    assert gates(simplify(circuit)) == [*gates(circuit_of(*mixed)), ("ry", (0,)), ("ry", (1,))]


@pytest.mark.parametrize(
    "idle",
    [
        Op("cz", (0, 1)),  # |0> controls nothing
        Op("cx", (0, 1)),
        Op("rz", (0,), (Feature(0),)),
        Op("s", (0,)),
        Op("rzz", (0, 2), (Weight(0),)),
    ],
)
def test_gates_that_only_give_the_start_a_phase_go(idle):
    circuit = circuit_of(ry(0.3, 1), idle, ry(0.5), ry(0.4, 1), ry(0.1, 2))
    assert idle not in prune(circuit).ops
    assert idle in prune(circuit_of(ry(0.2), ry(0.3, 1), idle, ry(0.5), ry(0.4, 1), ry(1, 2))).ops


def test_gates_before_the_measurement_go_where_it_cannot_see_them():
    circuit = circuit_of(
        ry(0.3),
        ry(0.4, 1),
        Op("cx", (1, 2)),
        Op("rz", (1,), (Weight(0),)),
        Op("cz", (0, 1)),
        Op("s", (0,)),
    )
    assert gates(prune(circuit)) == [("ry", (0,)), ("ry", (1,)), ("cx", (1, 2))]
    # Unmeasured, the target of cx only dephases its control, and Z outcomes do not show that.
    unmeasured = circuit_of(*circuit.ops, measured=(0, 1))
    assert gates(prune(unmeasured)) == [("ry", (0,)), ("ry", (1,))]


def test_the_light_cone_is_local_and_large_registers_are_fine():
    layers = 3
    circuit = paper(200, layers, measured=(100, 101))
    features = cone_features(circuit)
    assert features == set(range(98, 104))
    small, qubits = compact(simplify(circuit))
    assert qubits == tuple(range(98, 104))
    assert small.measured == (2, 3)
    theta, x = values(circuit)
    near = paper(10, layers, measured=(4, 5))
    window = theta.reshape(layers, 200)[:, 96:106].reshape(-1)
    expected = probabilities(near, window, x[:, 96:106])
    assert spread(probabilities(small, theta, x), expected) < 1e-12


def test_the_cone_of_one_layer_is_the_measured_qubits():
    assert cone_features(paper(8, 1, measured=(2, 5))) == {2, 5}
    assert cone_features(build("notebook", 4, 1)) == set(range(4))


@pytest.mark.parametrize("name", ANSATZE)
def test_compact_keeps_all_qubits_of_an_ansatz(name):
    circuit = build(name, 3, 2)
    assert compact(circuit) == (circuit, (0, 1, 2))


def test_compact_relabels_and_keeps_the_measured_order():
    circuit = Circuit(
        9,
        (Op("x", (7,)), Op("mark_layer", ()), Op("mark_layer", (1, 7)), Op("mark_layer", (0,))),
        (7, 3),
    )
    small, qubits = compact(circuit)
    assert qubits == (3, 7)
    assert small == Circuit(
        2, (Op("x", (1,)), Op("mark_layer", ()), Op("mark_layer", (1,))), (1, 0)
    )
