"""What is there and what is missing, without a secret in any output."""

from __future__ import annotations

import json

from backends import doctor

CANARY = "s3cr3t-canary-value"


def by_name(findings):
    return {each.what: each for each in findings}


def test_nothing_named_is_missing_with_the_variable_that_names_it(tmp_path):
    found = by_name(doctor.findings({}, tmp_path))
    for what, variable in (
        ("credentials ibm:ibm_NAME", "QISKIT_IBM_TOKEN"),
        ("credentials braket:arn:...", "AWS_ACCESS_KEY_ID"),
        ("credentials cirq:google/...", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("credentials cirq:ionq.TARGET", "IONQ_API_KEY"),
    ):
        assert not found[what].found and variable in found[what].detail


def test_credentials_are_named_and_never_shown(tmp_path):
    names = [name for variables, _ in doctor.CREDENTIALS.values() for name in variables]
    found = doctor.findings(dict.fromkeys(names, CANARY), tmp_path)
    assert all(each.found for each in found if each.what.startswith("credentials"))
    assert CANARY not in repr(found)


def test_a_file_of_credentials_counts(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(f"[default]\naws_secret_access_key={CANARY}")
    found = by_name(doctor.findings({}, tmp_path))["credentials braket:arn:..."]
    assert found.found and CANARY not in found.detail


def test_installed_kits_are_shown_with_their_versions(tmp_path, capsys, monkeypatch):
    assert "qiskit 2" in by_name(doctor.findings({}, tmp_path))["extra ibm"].detail
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    row = by_name(doctor.findings({}, tmp_path))["extra ibm"]
    assert not row.found and "qmoe-bench[ibm]" in row.detail
    doctor.tell(True)
    assert {"what", "found", "detail"} == set(json.loads(capsys.readouterr().out)[0])
