from __future__ import annotations

import numpy as np
import pytest

from qmoe.ansatz import ANSATZE, build, check_features, notebook, paper, reupload
from qmoe.circuit import Feature, Op, Weight, affine
from qmoe.errors import InputError
from qmoe.simulate.reference import probabilities
from tests.qmoe.strategies import spread, values


def test_paper_is_embedding_then_rotations_and_a_chain():
    assert paper(2, 1).ops == (
        Op("ry", (0,), (Feature(0),)),
        Op("ry", (1,), (Feature(1),)),
        Op("mark_embedding", ()),
        Op("ry", (0,), (Weight(0),)),
        Op("ry", (1,), (Weight(1),)),
        Op("cz", (0, 1)),
        Op("mark_layer", ()),
    )


def test_reupload_repeats_the_embedding():
    ops = reupload(2, 3).ops
    assert sum(op.gate == "mark_embedding" for op in ops) == 3
    assert ops[:7] == paper(2, 1).ops
    assert reupload(3, 1, entangler="ring") == paper(3, 1, entangler="ring")


def test_notebook_is_rot_then_a_ring_with_growing_reach():
    circuit = notebook(3, 3)
    pairs = [op.qubits for op in circuit.ops if op.gate == "cx"]
    near, far = [(0, 1), (1, 2), (2, 0)], [(0, 2), (1, 0), (2, 1)]
    assert pairs == near + far + near
    first = [(op.gate, op.angles) for op in circuit.ops if op.qubits == (1,)][:4]
    assert first == [
        ("rx", (Feature(1),)),
        ("rz", (Weight(3),)),
        ("ry", (Weight(4),)),
        ("rz", (Weight(5),)),
    ]
    assert not any(op.gate == "cx" for op in notebook(1, 2).ops)


@pytest.mark.parametrize("name", ANSATZE)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_sizes_weight_order_and_marks(name, layers, n):
    circuit = build(name, n, layers)
    per_qubit = 3 if name == "notebook" else 1
    assert circuit.num_weights == per_qubit * n * layers
    assert (circuit.num_qubits, circuit.num_features) == (n, n)
    assert circuit.measured == tuple(range(n))
    indices = [i for op in circuit.ops for angle in op.angles for i in affine(angle).weights]
    assert indices == list(range(circuit.num_weights))
    assert sum(op.gate == "mark_layer" for op in circuit.ops) == layers
    assert sum(op.gate == "mark_embedding" for op in circuit.ops) == (
        layers if name == "reupload" else 1
    )


@pytest.mark.parametrize("ansatz", [paper, reupload])
def test_a_ring_closes_the_chain_from_three_qubits_on(ansatz):
    for n in (1, 2):
        assert ansatz(n, 2, entangler="ring") == ansatz(n, 2)
    chain, ring = (
        {op.qubits for op in ansatz(4, 1, entangler=e).ops if op.gate == "cz"}
        for e in ("chain", "ring")
    )
    assert ring - chain == {(3, 0)}


@pytest.mark.parametrize("entangler", ["chain", "ring"])
def test_one_layer_of_paper_is_a_product_distribution(entangler):
    circuit = paper(4, 1, entangler=entangler)
    theta, x = values(circuit)
    one = np.sin((x + theta) / 2) ** 2
    bits = np.arange(16)[:, None] >> np.arange(3, -1, -1) & 1
    expected = np.prod(np.where(bits, one[:, None, :], 1 - one[:, None, :]), axis=-1)
    assert spread(probabilities(circuit, theta, x), expected) < 1e-12


def test_measured_is_taken_as_given():
    assert build("paper", 4, 1, measured=[3, 1]).measured == (3, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build("papr", 2, 1), "did you mean 'paper'"),
        (lambda: build("notebook", 2, 1, entangler="ring"), "its CNOT ring is fixed"),
        (lambda: build("paper", 2, 1, entangler="rng"), "did you mean 'ring'"),
        (lambda: paper(0, 1), "number of qubits 0"),
        (lambda: paper(2, -1), "number of layers -1"),
        (lambda: reupload(2, 0), "number of layers 0"),
        (lambda: notebook(-2, 1), "number of qubits -2"),
        (lambda: paper(2, 1, measured=()), "one or more"),
        (lambda: paper(2, 1, measured=(2,)), "measured qubit 2"),
        (lambda: check_features(5, 4), r"more features than qubits.*PCA \(--pca 4\)"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_as_many_features_as_qubits_pass():
    check_features(4, 4)
    check_features(1, 4)
