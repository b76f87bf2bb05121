"""`braket:sv` and `braket:dm`: exact answers against numpy."""

import numpy as np
import pytest

from backends import load
from backends.braket import targets
from qmoe.ansatz import notebook, paper
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import FitError, InputError
from qmoe.simulate import reference
from tests.backends.oracle import read_probabilities

pytestmark = pytest.mark.xdist_group("braket")


@pytest.mark.parametrize("measured", [(0, 1, 2, 3), (3, 1), (2, 0, 1)])
def test_state_vectors_are_those_of_the_reference(measured):
    """In any order of the measured qubits, single and batched."""
    circuit = paper(4, 2, measured=measured)
    weights = np.linspace(-2, 2, circuit.num_weights)
    x = np.random.default_rng(2).uniform(-3, 3, (4, 4))
    backend = load("braket:sv")
    found = backend.compile(circuit)
    assert found.native == circuit and found.expected_fidelity == 1.0
    p = backend.probabilities(found.bind_weights(weights), x)
    np.testing.assert_allclose(p, reference.probabilities(circuit, weights, x), atol=1e-12)
    single = backend.probabilities(found.bind_weights(weights), x[2:3])
    np.testing.assert_allclose(single, p[2:3], atol=1e-15)


@pytest.mark.parametrize("placement", ["gate", "wire", "layer", "end", "notebook"])
@pytest.mark.parametrize("convention", ["pauli", "lambda"])
def test_density_matrices_are_the_product_of_the_channels(placement, convention):
    circuit = notebook(3, 1) if placement == "notebook" else paper(3, 2)
    circuit = circuit.bind_weights(np.linspace(-2, 2, circuit.num_weights))
    x = np.random.default_rng(4).uniform(-3, 3, (2, 3))
    options = f"depolarizing=0.03,placement={placement},convention={convention}"
    backend = load(f"braket:dm,{options},read_1_of_0=0.02,read_0_of_1=0.05")
    found = backend.compile(circuit)
    assert found.native == circuit and found.confusion is not None
    p = backend.probabilities(found, x)
    np.testing.assert_allclose(p, read_probabilities(found, x), atol=1e-12)
    assert np.abs(p - reference.probabilities(circuit, (), x)).sum() > 0.01
    assert backend.emit(found.native, found) == found


def test_wide_density_matrices_take_the_other_way_through_the_engine():
    """From 2 x 6 wires on, Braket's engine has code of its own."""
    circuit = paper(6, 1, measured=(5, 0)).bind_weights(np.linspace(-2, 2, 6))
    x = np.random.default_rng(4).uniform(-3, 3, (2, 6))
    backend = load("braket:dm,amplitude_damping=0.1,over_rotation2=0.2")
    found = backend.compile(circuit)
    p = backend.probabilities(found, x)
    np.testing.assert_allclose(p, read_probabilities(found, x), atol=1e-12)


def test_what_does_not_fit_is_refused():
    for spec, most in (("braket:sv", 20), ("braket:dm", 10)):
        backend = load(spec)
        with pytest.raises(FitError, match=f"at most {most} on {spec}"):
            backend.compile(Circuit(most + 1, (), (0,)))
        found = backend.compile(Circuit(2, (Op("ry", (0,), (Feature(0),)),), (0,), 1))
        with pytest.raises(InputError, match="a native circuit of 3 qubits"):
            backend.emit(Circuit(3, (), (0,)), found)
    with pytest.raises(InputError, match="option"):
        load("braket:sv,depolarizing=0.1")
    with pytest.raises(InputError, match="did you mean 'depolarizing'"):
        load("braket:dm,depolarising=0.1")


def test_every_listed_target_loads():
    assert [load(spec).spec for spec in targets()] == list(targets())
