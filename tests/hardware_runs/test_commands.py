"""The commands about targets as a user meets them: outcomes, exit codes, one-line errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from backends.compiled import Compiled
from qmoe import cli
from qmoe.checkpoint import load, save
from qmoe.spec import ModelSpec
from tests.qmoe.test_checkpoint import made

pytestmark = pytest.mark.xdist_group("ibm")
CANARY = "s3cr3t-canary-value"


@pytest.fixture
def qmoe(monkeypatch, capsys, tmp_path):
    """`qmoe` called in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qmoe", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, out, err

    return call


@pytest.fixture
def checkpoint(tmp_path):
    save(tmp_path / "kept", made(ModelSpec("quantum", 2, 2, options={"layers": 2})))
    return "kept"


def test_devices_lists_every_vendors_targets(qmoe):
    code, out, err = qmoe("devices", "--json")
    assert (code, err) == (0, "")
    rows = {row["spec"]: row for row in json.loads(out)}
    assert {"reference", "torch", "ibm:aer", "ibm:fake_boston", "braket:sv", "cirq:sv"} <= set(rows)
    boston = rows["ibm:fake_boston"]
    assert boston["qubits"] == 156 and "cz" in boston["basis"] and boston["source"] == "snapshot"
    assert 0 < boston["error_1q"] < boston["error_2q"] < boston["error_readout"] < 0.1
    assert rows["braket:emulator"]["source"] == "synthetic"
    assert boston["calibrated_at"].startswith("2026-04-17") and boston["age_days"] > 200
    assert rows["torch"]["age_days"] is None


def test_devices_of_one_vendor_is_a_table(qmoe, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    code, out, _ = qmoe("devices", "ibm")
    assert code == 0 and "ibm:fake_boston" in out and "cirq" not in out


def test_doctor_names_credentials_and_never_shows_them(qmoe, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", CANARY)
    code, out, err = qmoe("doctor")
    assert code == 0 and "credentials ibm:ibm_NAME" in out and CANARY not in out + err


def test_compile_shows_the_native_circuit_and_what_it_costs(qmoe, checkpoint):
    code, out, err = qmoe("compile", checkpoint, "ibm:fake_boston")
    assert (code, err) == (0, "")
    for expected in (
        "M0",
        "layout",
        "two-qubit gates",
        "expected fidelity  0.9",
        "2 of 2 features",
        "9 circuits per input by parameter shift",
    ):
        assert expected in out
    code, out, _ = qmoe("compile", checkpoint, "ibm:fake_boston", "--json")
    tree = json.loads(out)
    again = Compiled.from_json(json.dumps(tree["compiled"]))
    assert again.two_qubit_gates == tree["simplified"]["two_qubit_gates"] == 1
    assert tree["as_written"]["two_qubit_gates"] == 2
    assert tree["circuits_per_gradient"] == 9  # as it is, and a pair for each of four weights
    assert 0.9 < again.expected_fidelity < 1


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("ibm:fake_bostn", 2, "'fake_boston'"),
        ("imb:aer", 2, "'ibm'"),
        ("ibm:fake_boston,sead=1", 2, "sead"),
        ("ibm:dm,depolarizing=2", 2, "depolarizing"),
        ("braket:emulator,properties=nowhere.json", 2, "nowhere.json"),
        ("twin:ibm:fake_bostn", 2, "'fake_boston'"),
    ],
)
def test_a_target_that_cannot_be_is_one_line(qmoe, checkpoint, target, code, said):
    found, out, err = qmoe("compile", checkpoint, target)
    assert (found, out) == (code, "") and said in err and len(err.splitlines()) == 1
    assert [path.name for path in Path().iterdir()] == ["kept"]


def test_a_router_without_a_circuit_is_one_line(qmoe, tmp_path):
    save(tmp_path / "other", made(ModelSpec("mlp", 2, 2)))
    code, out, err = qmoe("compile", "other", "reference")
    assert (code, out) == (2, "") and "no circuit" in err


def test_a_circuit_that_is_too_wide_does_not_fit(qmoe, tmp_path):
    # ten features on a device of seven qubits
    save(tmp_path / "wide", made(ModelSpec("quantum", 10, 2, options={"measured": [*range(8)]})))
    code, out, err = qmoe("compile", "wide", "ibm:fake_nairobi")
    assert (code, out) == (6, "") and "at most 7" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("target", "variables", "named"),
    [
        ("ibm:ibm_brisbane", ("QISKIT_IBM_TOKEN",), "QISKIT_IBM_TOKEN"),
        (
            "braket:arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet",
            ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"),
            "AWS_",
        ),
        ("cirq:google/project/willow", ("GOOGLE_APPLICATION_CREDENTIALS",), "GOOGLE_APPLICATION"),
        ("cirq:ionq.qpu.forte-1", ("IONQ_API_KEY", "CIRQ_IONQ_API_KEY"), "IONQ_API_KEY"),
    ],
)
def test_absent_credentials_are_named(
    qmoe, checkpoint, monkeypatch, tmp_path, target, variables, named
):
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    code, out, err = qmoe("compile", checkpoint, target)
    assert (code, out) == (3, "") and named in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [("devices",), ("doctor",), ("compile",)])
def test_every_command_has_help_with_an_example(qmoe, words):
    code, out, _ = qmoe(*words, "--help")
    assert code == 0 and "Example: qmoe" in out


def test_a_router_is_trained_for_a_target_and_runs_there_as_it_was_trained(qmoe):
    words = ("--seeds", "2", "--epochs", "4", "--out", "run")
    code, _, err = qmoe("train", *words, "--for", "twin:reference")
    assert code == 0, err
    plain, fitted = sorted(Path("run/checkpoints").iterdir())
    assert fitted.name.endswith("-for-twin-reference")
    assert (load(plain).trained_for, load(fitted).trained_for) == ("", "twin:reference")
    assert "trained_for" not in (plain / "checkpoint.json").read_text()
    assert {"accuracy_test", "accuracy_target"} <= set(load(fitted).metrics)
    code, out, err = qmoe("compile", str(fitted), "twin:reference")
    assert code == 0 and "two-qubit gates" in out, err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--for", "ibm:fake_bostn"), "'fake_boston'"),
        (("--router", "mlp,hidden=4", "--for", "reference"), "quantum router"),
        (("--noise", "depolarising=0.02"), "'depolarizing'"),
        (("--noise", "depolarizing=2"), "depolarizing"),
        (("--router", "linear", "--noise", "depolarizing=0.02"), "noise"),
    ],
)
def test_what_cannot_be_trained_for_is_one_line(qmoe, words, said):
    code, out, err = qmoe("train", "--epochs", "2", "--out", "run", *words)
    assert (code, out) == (2, "") and said in err and len(err.splitlines()) == 1
    assert not Path("run").exists()
