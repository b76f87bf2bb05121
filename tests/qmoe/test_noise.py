from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest

from qmoe import channels
from qmoe.ansatz import notebook, paper, reupload
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Feature, Op, Sum, Weight
from qmoe.errors import InputError
from qmoe.noise import PLACEMENTS, NoiseModel
from tests.qmoe.simulate.density import probabilities


def skeleton(steps) -> list[tuple[str, tuple[int, ...]]]:
    """What stands where; channels are called "*"."""
    return [(s.gate, s.qubits) if isinstance(s, Op) else ("*", s.qubits) for s in steps]


TWO = Circuit(
    3,
    (
        Op("ry", (0,), (Feature(0),)),
        Op("mark_embedding", ()),
        Op("cz", (1, 2)),
        Op("mark_layer", ()),
    ),
    (0,),
    1,
)
EMBEDDING, LAYER = ("mark_embedding", ()), ("mark_layer", ())
ALL = [("*", (0,)), ("*", (1,)), ("*", (2,))]
RY, CZ = ("ry", (0,)), ("cz", (1, 2))


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ("gate", [RY, ("*", (0,)), EMBEDDING, CZ, ("*", (1, 2)), LAYER]),
        ("wire", [RY, ("*", (0,)), EMBEDDING, CZ, ("*", (1,)), ("*", (2,)), LAYER]),
        ("layer", [RY, EMBEDDING, CZ, LAYER, *ALL]),
        ("end", [RY, EMBEDDING, CZ, LAYER, *ALL]),
        ("notebook", [RY, EMBEDDING, *ALL, CZ, LAYER, *ALL]),
    ],
)
def test_each_placement_puts_depolarizing_where_it_says(placement, expected):
    placed = NoiseModel(placement, depolarizing=0.02).place(TWO)
    assert skeleton(placed) == expected
    for step in placed:
        if isinstance(step, Channel):
            assert step == channels.depolarizing(step.qubits, 0.02)


def test_layer_placement_follows_every_layer_and_a_mark_that_names_qubits_speaks_of_those():
    placed = NoiseModel("layer", pz=0.1).place(paper(2, 3))
    assert sum(isinstance(step, Channel) for step in placed) == 6
    named = Circuit(3, (Op("mark_layer", (2, 0)),), (0,))
    assert skeleton(NoiseModel("layer", pz=0.1).place(named))[1:] == [("*", (2,)), ("*", (0,))]


@pytest.mark.parametrize("placement", ["layer", "notebook"])
def test_marks_that_are_missing_are_an_error(placement):
    bare = Circuit(1, (Op("h", (0,)),), (0,))
    with pytest.raises(InputError, match=f"placement '{placement}' on a circuit without mark"):
        NoiseModel(placement, pz=0.1).place(bare)


def test_the_lambda_convention_is_converted_by_the_number_of_qubits():
    model = NoiseModel(convention="lambda", depolarizing=0.02)
    one, two = [step for step in model.place(TWO) if isinstance(step, Channel)]
    assert one.fidelity == pytest.approx(1 - 0.015)
    assert two.fidelity == pytest.approx(1 - 0.02 * 15 / 16)


def test_two_qubit_gates_may_have_a_strength_of_their_own():
    model = NoiseModel(depolarizing=0.001, depolarizing2=0.03)
    one, two = [step for step in model.place(TWO) if isinstance(step, Channel)]
    assert (one.fidelity, two.fidelity) == (pytest.approx(0.999), pytest.approx(0.97))
    with pytest.raises(InputError, match="depolarizing2 with placement 'wire'"):
        replace(model, placement="wire")


def test_no_noise_leaves_the_circuit_as_it_is():
    for placement in PLACEMENTS:
        model = NoiseModel(placement)
        assert model.place(TWO) == TWO.ops and model.confusion((0, 1)) is None


def test_every_kind_of_channel_is_placed_on_each_wire_of_a_gate():
    model = NoiseModel(
        px=0.01,
        amplitude_damping=0.02,
        phase_damping=0.03,
        t1=50.0,
        t2=40.0,
        time=1.0,
        excited=0.1,
        depolarizing=0.04,
    )
    placed = model.place(Circuit(2, (Op("cz", (1, 0)),), (0,)))
    expected = [
        channel
        for q in (1, 0)
        for channel in (
            channels.pauli(q, 0.01, 0.0, 0.0),
            channels.amplitude_damping(q, 0.02, 0.1),
            channels.phase_damping(q, 0.03),
            channels.thermal_relaxation(q, 50.0, 40.0, 1.0, 0.1),
        )
    ]
    assert placed[1:] == (*expected, channels.depolarizing((1, 0), 0.04))


def test_rotations_turn_too_far_and_stay_affine():
    ops = (
        Op("ry", (0,), (Sum((Feature(0), Weight(0)), 0.5),)),
        Op("rz", (0,), (Weight(0),)),
        Op("phased_xz", (0,), (Weight(0), 0.3, Feature(0))),
        Op("rzz", (0, 1), (Weight(0),)),
    )
    circuit = Circuit(2, ops, (0,), 1, 1)
    placed = NoiseModel(over_rotation=0.1, over_rotation2=-0.5).place(circuit)
    assert placed == (
        Op("ry", (0,), (Sum((Feature(0, 1.1), Weight(0, 1.1)), 0.55),)),
        ops[1],
        Op("phased_xz", (0,), (Weight(0, 1.1), 0.3, Feature(0))),
        Op("rzz", (0, 1), (Weight(0, 0.5),)),
    )


def test_fixed_gates_are_followed_by_their_own_excess_but_frame_changes_are_exact():
    ops = (Op("sx", (0,)), Op("z", (0,)), Op("s", (0,)), Op("cz", (0, 1)))
    placed = NoiseModel(over_rotation=0.1, over_rotation2=0.06).place(Circuit(2, ops, (0,)))
    assert skeleton(placed) == [
        ("sx", (0,)),
        ("*", (0,)),
        ("z", (0,)),
        ("s", (0,)),
        ("cz", (0, 1)),
        ("*", (0, 1)),
    ]
    np.testing.assert_allclose(
        placed[1].ptm, channels.rotation(0, "x", 0.1 * math.pi / 2).ptm, atol=1e-12
    )
    np.testing.assert_allclose(placed[5].ptm, channels.cz_rotation((0, 1), 0.06).ptm, atol=1e-12)


def test_crosstalk_reaches_the_neighbours_that_a_gate_leaves_out():
    circuit = Circuit(5, (Op("cz", (1, 2)), Op("cz", (3, 0))), (0,))
    placed = NoiseModel(crosstalk=0.1).place(circuit)
    pairs = [step.qubits for step in placed if isinstance(step, Channel)]
    assert pairs == [(1, 0), (2, 3), (3, 2), (3, 4), (0, 1)]


def test_confusion_is_that_of_the_measured_qubits():
    model = NoiseModel(read_1_of_0=0.1, read_0_of_1=0.3)
    matrix = model.confusion((4, 2))
    assert matrix.shape == (4, 4) and matrix[0b10, 0b01] == pytest.approx(0.1 * 0.3)
    paired = NoiseModel(readout_pair=0.2).confusion((0, 1))
    np.testing.assert_allclose(paired[:, 0], [0.8, 0, 0, 0.2], atol=1e-15)


@pytest.mark.parametrize(
    "model",
    [
        NoiseModel(),
        NoiseModel("notebook", "lambda", depolarizing=1e-5),
        NoiseModel(px=0.1, t1=50.0, t2=20.0, time=0.1, crosstalk=-0.1, readout_pair=0.01),
        NoiseModel(depolarizing=0.1, depolarizing2=0.0),
    ],
)
def test_the_name_of_a_model_says_its_placement_and_is_read_back(model):
    assert f"placement={model.placement}" in str(model)
    options = dict(pair.split("=") for pair in str(model).split(","))
    assert NoiseModel.parse(options) == model
    assert hash(NoiseModel.parse(options)) == hash(model)


def test_readout_is_short_for_both_misreadings():
    assert NoiseModel.parse({"readout": "0.02"}) == NoiseModel(read_1_of_0=0.02, read_0_of_1=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depolarising": "0.1"}, "did you mean 'depolarizing'"),
        ({"placement": "gates"}, "did you mean 'gate'"),
        ({"convention": "aer"}, "convention 'aer'"),
        ({"depolarizing": "much"}, "depolarizing=much"),
        ({"depolarizing": "nan"}, "nan"),
        ({"depolarizing": "1.01"}, "1.01"),
        ({"depolarizing": "1.1", "convention": "lambda"}, "expected 0 <= p <= 1"),
        ({"depolarizing": "-0.1"}, "-0.1"),
        ({"px": "0.6", "pz": "0.6"}, "1.2"),
        ({"t1": "1", "t2": "3", "time": "1"}, "t2 <= 2 t1"),
        ({"excited": "2"}, "excited population 2"),
        ({"readout": "1.5"}, "readout error 1.5"),
        ({"readout_pair": "inf"}, "inf"),
        ({"crosstalk": "nan"}, "nan"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(InputError) as caught:
        NoiseModel.parse(options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_lambda_beyond_the_two_qubit_bound_is_a_channel_on_single_wires():
    one = NoiseModel("wire", "lambda", depolarizing=1.2).place(paper(1, 1))[1]
    assert one.fidelity == pytest.approx(1 - 1.2 * 3 / 4)


def test_notebook_placement_is_the_published_pennylane_code():
    # DepolarizingChannel on each wire once after the embedding and once after the ansatz
    n, p = 3, 0.02
    rng = np.random.default_rng(0)
    circuit = notebook(n, 2)
    weights, x = rng.normal(size=circuit.num_weights), rng.normal(size=n)
    device = qml.device("default.mixed", wires=n)

    @qml.qnode(device)
    def published():
        qml.AngleEmbedding(x, wires=range(n))
        for q in range(n):
            qml.DepolarizingChannel(p, wires=q)
        qml.StronglyEntanglingLayers(weights.reshape(2, n, 3), wires=range(n))
        for q in range(n):
            qml.DepolarizingChannel(p, wires=q)
        return qml.probs(wires=range(n))

    steps = NoiseModel("notebook", depolarizing=p).place(circuit)
    ours = probabilities(steps, n, circuit.measured, weights, x[None])
    np.testing.assert_allclose(ours[0], published(), rtol=0, atol=1e-12)


def test_reuploading_has_notebook_noise_after_every_embedding():
    placed = NoiseModel("notebook", depolarizing=0.1).place(reupload(2, 3))
    assert sum(isinstance(step, Channel) for step in placed) == 2 * (3 + 1)
