"""Files of device properties: the shipped ones, and what a user's may lack."""

import json

import pytest

from backends import load
from backends.braket import calibration, describe, native
from backends.registry import parse, vendor
from qmoe.errors import FitError, InputError

pytestmark = pytest.mark.xdist_group("braket")


@pytest.fixture
def tree():
    return json.loads(calibration.SHIPPED["iqm"].read_text())


@pytest.mark.parametrize(
    ("name", "gates", "labels", "pairs"),
    [("iqm", native.IQM, range(1, 21), 31), ("ionq", native.IONQ, range(16), 120)],
)
def test_shipped_files_are_read_and_say_that_they_are_synthetic(name, gates, labels, pairs):
    text = calibration.SHIPPED[name].read_text()
    assert "SYNTHETIC" in text and "describe no real device" in text
    known, properties = calibration.calibration(calibration.capabilities(name))
    assert known.source == "synthetic" and known.calibrated_at is None
    assert known.gates == gates == tuple(properties.native_gate_set)
    assert sorted(known.single) == sorted(known.readout) == list(labels)
    assert len(known.double) == pairs


def test_rows_of_the_listing_have_median_infidelities():
    rows = {row.spec: row for row in describe()}
    offline = {spec.partition(",d")[0] for spec in vendor("braket").targets()}
    assert set(rows) == offline | {"braket:arn:..."}
    row = rows["braket:emulator,properties=ionq"]
    assert (row.source, row.qubits, row.basis) == ("synthetic", 16, native.IONQ)
    errors = (row.error_1q, row.error_2q, row.error_readout)
    assert errors == pytest.approx((3e-4, 7.5e-3, 5e-3))
    assert "invented" in row.note and rows["braket:emulator"].qubits == 20


def test_a_users_file_is_a_snapshot_with_its_date(tree, tmp_path):
    del tree["service"]["deviceDocumentation"]
    tree["service"]["updatedAt"] = "2026-03-01T12:30:00+00:00"
    backend = _load(tree, tmp_path)
    assert backend.source == "snapshot"
    assert backend._calibration.calibrated_at == "2026-03-01T12:30:00+00:00"
    assert f"properties={tmp_path}" in backend.spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[1, 2]", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"braketSchemaHeader": {"name": "os.path", "version": "1"}}', "header 'os.path'"),
        (
            '{"braketSchemaHeader":'
            '{"name": "braket.device_schema.iqm.iqm_device_capabilities", "version": "1"}}',
            "field required",
        ),
    ],
)
def test_damaged_files(tmp_path, text, message):
    path = tmp_path / "properties.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load(f"braket:emulator,properties={path}")
    assert "\n" not in str(caught.value)


def test_absent_and_too_large_files(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="No such file"):
        load(f"braket:emulator,properties={tmp_path}/none.json")
    with pytest.raises(InputError, match="directory"):
        load(f"braket:emulator,properties={tmp_path}")
    monkeypatch.setattr(calibration, "MOST_BYTES", 100)
    with pytest.raises(InputError, match="more than 100 bytes"):
        load("braket:emulator")


def test_absent_calibration_values_are_named(tree, tmp_path):
    qubits = tree["standardized"]["oneQubitProperties"]
    fidelities = qubits["7"]["oneQubitFidelity"]
    readout = fidelities.pop()
    with pytest.raises(InputError, match="fidelity READOUT of qubit 7"):
        _load(tree, tmp_path)
    fidelities[:] = [readout]
    with pytest.raises(InputError, match="RANDOMIZED_BENCHMARKING of qubit 7"):
        _load(tree, tmp_path)
    del qubits["7"]
    with pytest.raises(InputError, match="same as qubitCount"):
        _load(tree, tmp_path)
    tree["standardized"] = None
    with pytest.raises(InputError, match="without standardized"):
        _load(tree, tmp_path)


def test_pairs_without_a_fidelity_are_not_used(tree, tmp_path):
    pairs = tree["standardized"]["twoQubitProperties"]
    del pairs["1-2"]
    known = _load(tree, tmp_path)._calibration
    assert frozenset((1, 2)) not in known.double and len(known.double) == 30
    for each in pairs.values():
        each["twoQubitGateFidelity"][0]["gateName"] = "ISwap"
    with pytest.raises(InputError, match="without the fidelity of cz"):
        _load(tree, tmp_path)


def test_ionq_without_fidelities(tmp_path):
    tree = json.loads(calibration.SHIPPED["ionq"].read_text())
    del tree["provider"]["fidelity"]["spam"]
    with pytest.raises(InputError, match="'spam'"):
        _load(tree, tmp_path)
    del tree["provider"]
    with pytest.raises(InputError, match=r"without provider\.fidelity"):
        _load(tree, tmp_path)


def test_keys_that_the_sdk_would_import_are_not_followed(tmp_path):
    tree = json.loads(calibration.SHIPPED["ionq"].read_text())
    tree["provider"]["errorMitigation"] = {"antigravity.Fly": {"minimumShots": 1}}
    assert _load(tree, tmp_path).source == "synthetic"


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan"), "high", None, 0.2])
def test_impossible_fidelities(tree, tmp_path, value):
    tree["standardized"]["oneQubitProperties"]["3"]["oneQubitFidelity"][0]["fidelity"] = value
    with pytest.raises(InputError) as caught:
        _load(tree, tmp_path)
    assert "\n" not in str(caught.value)


def test_devices_with_other_gates(tree, tmp_path):
    tree["paradigm"]["nativeGateSet"] = ["rx", "rz", "iswap"]
    with pytest.raises(FitError, match="native gates iswap, rx, rz"):
        _load(tree, tmp_path)


def test_unknown_targets_and_options():
    with pytest.raises(InputError, match="did you mean 'emulator'"):
        load("braket:emulater")
    with pytest.raises(InputError, match="did you mean 'properties'"):
        load("braket:emulator,property=iqm")
    assert parse("braket:emulator").target == "emulator"


def _load(tree, folder):
    path = folder / "properties.json"
    path.write_text(json.dumps(tree))
    return load(f"braket:emulator,properties={path}")
