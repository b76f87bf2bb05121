"""What is there and what is missing, without a secret in any output."""

from __future__ import annotations

import json

import pytest

from backends import doctor

CANARY = "s3cr3t-canary-value"
VARIABLES = {
    "ibm:ibm_NAME": "QISKIT_IBM_TOKEN",
    "braket:arn:...": "AWS_PROFILE",
    "cirq:ionq.TARGET": "IONQ_API_KEY",
}


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A home folder without anything, and no variable of any vendor."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        *("QISKIT_IBM_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"),
        *("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "GCE_METADATA_HOST"),
        *("IONQ_API_KEY", "CIRQ_IONQ_API_KEY"),
    ):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def rows():
    return {each.what: each for each in doctor.findings()}


@pytest.mark.usefixtures("nobody")
def test_what_is_missing_names_what_to_set():
    found = rows()
    for target, variable in (*VARIABLES.items(), ("cirq:google/...", "GOOGLE_APPLICATION")):
        row = found[f"credentials {target}"]
        assert not row.found and row.detail.startswith("set ") and variable[:4] in row.detail


@pytest.mark.usefixtures("nobody")
def test_credentials_are_named_and_never_shown(monkeypatch):
    for name in VARIABLES.values():
        monkeypatch.setenv(name, CANARY)
    found = rows()
    assert all(found[f"credentials {target}"].found for target in VARIABLES)
    assert CANARY not in repr(found)


def test_a_file_of_credentials_counts(nobody):
    (nobody / ".aws").mkdir()
    (nobody / ".aws/credentials").write_text(f"[default]\naws_secret_access_key={CANARY}")
    row = rows()["credentials braket:arn:..."]
    assert row.found and CANARY not in row.detail


def test_installed_kits_are_shown_with_their_versions(capsys, monkeypatch):
    assert "qiskit 2" in rows()["extra ibm"].detail
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    row = rows()["extra ibm"]
    assert not row.found and "qmoe-bench[ibm]" in row.detail
    doctor.tell(True)
    assert {"what", "found", "detail"} == set(json.loads(capsys.readouterr().out)[0])
