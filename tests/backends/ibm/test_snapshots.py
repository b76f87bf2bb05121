"""Snapshots read from their files against qiskit-ibm-runtime's own reading of them."""

import subprocess
import sys

import numpy as np
import pytest
from qiskit.quantum_info import SuperOp
from qiskit_aer.noise.device import basic_device_gate_errors

from backends.ibm import layout, snapshots
from backends.ibm.calibration import cut, usable
from qmoe.ansatz import paper
from qmoe.circuit import Circuit, Op
from qmoe.errors import InputError

pytestmark = pytest.mark.xdist_group("ibm")


@pytest.fixture(scope="module")
def provider():
    from qiskit_ibm_runtime import fake_provider

    return fake_provider


def test_every_shipped_snapshot_is_listed_or_left_out_with_a_reason(provider):
    folder = {
        value.backend_name
        for value in vars(provider).values()
        if isinstance(value, type) and getattr(value, "backend_name", None)
    }
    assert len(folder) > 60
    assert set(snapshots.names()) | set(snapshots.UNFIT) >= folder
    assert set(snapshots.names()).isdisjoint(snapshots.UNFIT)
    assert folder >= set(snapshots.UNFIT)


@pytest.mark.parametrize("name", ["boston", "strasbourg", "torino", "cairo", "lima"])
def test_gates_errors_and_readout_are_what_the_package_reads(provider, name):
    short = f"Fake{name.capitalize()}"
    device = getattr(provider, short, None) or getattr(provider, f"{short}V2")
    backend, ours = device(), snapshots.calibration(f"fake_{name}")
    theirs = backend.target
    for gate in set(ours.target.operation_names) - {"measure"}:
        alive = {q: p for q, p in theirs[gate].items() if p.error < 0.99}
        assert ours.target[gate].keys() == alive.keys()
        for on, properties in alive.items():
            mine = ours.target[gate][on]
            assert mine.error == properties.error
            assert mine.duration == pytest.approx(properties.duration, rel=1e-12)
    assert set(theirs.operation_names) >= set(ours.target.operation_names)
    for qubit, properties in enumerate(backend.properties().qubits):
        values = {each.name: each.value for each in properties}
        assert ours.readout[qubit] == (values["prob_meas1_prep0"], values["prob_meas0_prep1"])
        for field in ("t1", "t2"):
            mine = getattr(ours.target.qubit_properties[qubit], field)
            known = getattr(theirs.qubit_properties[qubit], field)
            assert mine == (known and pytest.approx(known, rel=1e-12))
    assert ours.calibrated_at is not None
    assert backend.properties().last_update_date.isoformat() == ours.calibrated_at


@pytest.mark.parametrize(("name", "gate", "edge"), [("boston", "cz", (3, 2)), ("torino", "cz", 0),
                                                    ("strasbourg", "ecr", 0)])  # fmt: skip
def test_errors_cut_to_the_used_gates_are_those_of_the_whole_device(provider, name, gate, edge):
    whole = getattr(provider, f"Fake{name.capitalize()}")().target
    ours = snapshots.calibration(f"fake_{name}")
    a, b = edge or next(iter(ours.target[gate]))
    native = Circuit(2, (Op("sx", (0,)), Op(gate, (0, 1)), Op("x", (1,))), (0,))
    found = {on: each.error for on, each in ours.gate_errors(native, (a, b)).items()}
    assert found.keys() == {("sx", (0,)), (gate, (0, 1)), ("x", (1,))}
    expected = {
        (name, tuple(on)): error
        for name, on, error in basic_device_gate_errors(target=cut(whole, (a, b)))
    }
    for key, error in found.items():
        assert np.array_equal(SuperOp(error).data, SuperOp(expected[key]).data)


def test_the_row_of_a_snapshot_says_medians_of_what_works():
    # The figures of the published calibration files, rounded.
    row = snapshots.describe("fake_boston")
    assert (row.spec, row.source, row.qubits) == ("ibm:fake_boston", "snapshot", 156)
    assert row.basis == ("cz", "rz", "sx", "x")
    assert row.error_1q == pytest.approx(1.44e-4, rel=0.01)
    assert row.error_2q == pytest.approx(1.27e-3, rel=0.01)
    assert row.error_readout == pytest.approx(5.1e-3, rel=0.02)
    assert row.calibrated_at == "2026-04-17T12:19:24+02:00"
    rows = [snapshots.describe(name) for name in snapshots.names()]
    for each in rows:
        assert each.error_2q is not None and 0 < each.error_2q < 0.1
        assert each.error_1q is not None and 0 < each.error_1q < 0.01
        assert each.error_readout is not None and 0 < each.error_readout < 0.2


def test_a_qubit_that_does_not_work_is_never_used():
    ours = snapshots.calibration("fake_strasbourg")
    qubits = usable(ours.target)
    assert len(qubits) < ours.target.num_qubits
    working = cut(ours.target, qubits)
    assert all(len(working[gate]) == len(qubits) for gate in ("sx", "x", "rz", "measure"))
    reached, edge = set(), {0}
    while edge:
        reached |= edge
        edge = {b for pair in working["ecr"] for a in pair for b in pair if a in edge} - reached
    assert len(reached) == len(qubits)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fake_bostn", "did you mean 'fake_boston'"),
        ("fake_nighthawk", "made up"),
        ("fake_kyoto", "down"),
        ("fake_essex", "u1, u2, u3"),
        ("fake_armonk", "one qubit"),
        ("fake_fractional", "no device"),
    ],
)
def test_other_names_are_one_line(name, words):
    with pytest.raises(InputError, match=words):
        snapshots.calibration(name)


def test_listing_snapshots_imports_no_sdk():
    code = (
        "import sys; from backends.ibm import describe, targets; assert len(targets()) > 50;"
        "assert len(describe()) == len(targets()) + 1;"
        "assert not {'qiskit', 'qiskit_aer', 'qiskit_ibm_runtime', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_gate_without_a_reported_error_makes_the_noise_unknown():
    from qiskit.transpiler import InstructionProperties

    known = snapshots.calibration("fake_lima")
    before = layout.fit("ibm:fake_lima", paper(2, 2), known, seeds=1)
    assert before.noisy is not None
    first, second = layout.physical_qubits(before)
    for on in ((first, second), (second, first)):
        if on in known.target["cx"]:
            known.target.update_instruction_properties("cx", on, InstructionProperties(1e-7, None))
    after = layout.emit("ibm:fake_lima", before.native, before, known)
    assert after.native == before.native
    assert after.noisy is None and after.expected_fidelity is None
