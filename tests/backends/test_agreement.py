from __future__ import annotations

import numpy as np
import pytest

import backends
from qmoe.ansatz import notebook, paper, reupload
from qmoe.circuit import Circuit
from qmoe.noise import CONVENTIONS, PLACEMENTS, NoiseModel
from qmoe.simulate import reference
from tests.qmoe.simulate import density
from tests.qmoe.strategies import spread

pytestmark = pytest.mark.xdist_group("agreement")
EXACT = ("reference", "torch", "ibm:aer", "braket:sv", "cirq:sv")
DENSITY = ("ibm:dm", "braket:dm", "cirq:dm")
CIRCUITS = {
    2: reupload(2, 2, measured=(1, 0)),
    3: paper(3, 2, measured=(2, 0)),
    4: notebook(4, 1, measured=(1, 3, 0, 2)),
}


def drawn(circuit: Circuit) -> tuple[np.ndarray, np.ndarray]:
    """Weights (P,) and features (2, d)."""
    rng = np.random.default_rng(circuit.num_qubits)
    return rng.normal(size=circuit.num_weights), rng.normal(size=(2, circuit.num_features))


@pytest.mark.parametrize("n", CIRCUITS)
@pytest.mark.parametrize("spec", EXACT)
def test_exact_targets_agree(spec, n):
    circuit = CIRCUITS[n]
    weights, features = drawn(circuit)
    target = backends.load(spec)
    got = target.probabilities(target.compile(circuit).bind_weights(weights), features)
    assert spread(got, reference.probabilities(circuit, weights, features)) < 1e-9


def agree(model: NoiseModel, circuit: Circuit) -> None:
    """The three SDKs' density matrices, each one's twin, and the oracle."""
    weights, features = drawn(circuit)
    expected = density.probabilities(
        model.place(circuit),
        circuit.num_qubits,
        circuit.measured,
        weights,
        features,
        model.confusion(circuit.measured),
    )
    ideal = reference.probabilities(circuit, weights, features)
    assert spread(expected, ideal) > 1e-3  # there is noise to agree about
    for spec in DENSITY:
        target = backends.load(f"{spec},{model}")
        found = target.compile(circuit).bind_weights(weights)
        assert spread(target.probabilities(found, features), expected) < 1e-9, spec
        twin = backends.load(f"twin:{spec},{model}")
        found = twin.compile(circuit).bind_weights(weights)
        assert spread(twin.probabilities(found, features), expected) < 1e-9, spec


@pytest.mark.parametrize("n", CIRCUITS)
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_one_noise_model_is_one_noise_on_three_sdks_and_the_twin(placement, convention, n):
    agree(NoiseModel(placement, convention, depolarizing=0.02), CIRCUITS[n])


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_so_is_every_other_channel_at_once(placement):
    model = NoiseModel(
        placement,
        px=0.01,
        py=0.02,
        amplitude_damping=0.03,
        phase_damping=0.02,
        t1=50.0,
        t2=70.0,
        time=2.0,
        excited=0.1,
        over_rotation=0.04,
        over_rotation2=0.06,
        crosstalk=0.05,
        read_1_of_0=0.01,
        read_0_of_1=0.05,
        readout_pair=0.02,
    )
    agree(model, CIRCUITS[3])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_more_depolarizing_than_mixes_fully_is_one_channel_too(convention):
    # lambda > 1 is beyond what Braket's own depolarizing gate takes
    agree(NoiseModel(convention=convention, depolarizing=1.0, placement="end"), CIRCUITS[2])
