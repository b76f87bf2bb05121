"""A researcher's whole way, by the command line alone, on the stand-ins of all four services."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from hardware_runs.ledger import Ledger
from tests.services.loopback import CANARIES, FAMILIES, ROOT, loopback

SUITE = """
format = 1
name = "device-test"
version = 1
inputs = 4
block = 2
shots = 50
treatments = ["none", "readout"]
repeats = "every=1s,count=2"
"""


class User:
    """Somebody with a shell, an empty folder and an account."""

    def __init__(self, service, folder):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "QISKIT", "IONQ"))}
        self.folder, self.target = folder, service.target
        self.environment = {
            **kept,
            **service.environment,
            "QMOE_LEDGER": "ledger.sqlite",
            "PYTHONPATH": str(ROOT),
        }
        self.said = []

    def command(self, *words):
        return [sys.executable, "-c", "from qmoe.cli import main; main()", *words]

    def qmoe(self, *words, code=0, **environment):
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        self.said += [done.stdout, done.stderr]
        assert done.returncode == code, (words, done.stdout[-1500:], done.stderr[-1500:])
        assert "Traceback" not in done.stderr
        return done.stdout

    def json(self, *words, **options):
        lines = self.qmoe(*words, "--json", **options).splitlines()
        return json.loads(lines[-1])


@pytest.mark.parametrize(
    "family",
    # kills, faults and contracts of all four are tested apart
    [each if each == "ibm" else pytest.param(each, marks=pytest.mark.slow) for each in FAMILIES],
)
def test_from_the_plan_to_the_report(family, tmp_path):
    with loopback(family, tmp_path / "service") as service:
        user = User(service, tmp_path)
        (tmp_path / "suite.toml").write_text(SUITE)
        suite = ("suite.toml", "--target", service.target)
        plan = user.json("hardware", "plan", *suite)["plan"]
        told = user.json("hardware", "submit", *suite)  # which sends nothing
        assert told["plan"] == plan and told["estimate"]["circuits"] > 2 * 8 * 4
        assert told["estimate"]["source"] == "loopback"
        assert service.accepted() == []

        # sent while the queue is slow, and the process killed
        service.behave(hold=True)
        sending = subprocess.Popen(
            user.command("hardware", "submit", plan, "--yes"),
            cwd=tmp_path,
            env=user.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2400):
            if service.accepted() or sending.poll() is not None:
                break
            time.sleep(0.05)
        sending.send_signal(signal.SIGKILL)
        sending.wait()
        assert service.accepted()

        # a new process, with the ledger alone; the second repeat is due by now
        time.sleep(1)
        user.qmoe("hardware", "resume", plan, "--settle", "0.1")
        states = user.json("hardware", "list")["plans"][0]["jobs"]
        assert set(states) == {"submitted"}
        service.behave()
        assert set(user.json("hardware", "collect")["jobs"]) == {"done"}
        jobs = user.json("hardware", "status", plan)["jobs"]
        with Ledger.open(str(tmp_path / "ledger.sqlite")) as ledger:
            told = [json.loads(e.content) for e in ledger.events() if e.kind == "timing"]
            stored = [json.loads(e.content) for e in ledger.events() if e.kind == "stored"]
        assert "compiling" in told[0] and all("fetching" in each["timings"] for each in stored)
        if family == "ibm":
            assert {each["timings"]["queue"] for each in stored} == {3600.0}
            assert {each["timings"]["device"] for each in stored} == {3.0}
        assert {job["source"] for job in jobs} == {"loopback"}
        accepted = [job["id"] for job in service.accepted()]
        assert sorted(accepted) == sorted(job["id"] for job in jobs)
        # once more, nothing new is sent
        user.qmoe("hardware", "submit", plan, "--yes")
        assert len(service.accepted()) == len(accepted)

        # offline from here on
        offline = {name: "http://127.0.0.1:9" for name in service.environment if "URL" in name}
        found = user.json("hardware", "rescore", plan, "--out", "run", **offline)
        assert found["sources"] == ["loopback"]
        assert set(found["treatments"]) == {"none", "readout"}
        assert len(found["repeats"]) == 2
        assert found["primary"]["word"] == "inconclusive (n too small)"
        assert found["treatments"]["none"]["distance"]["value"] < 0.12  # no noise: shots alone
        page = (tmp_path / "run" / "report" / "index.html").read_text()
        assert "Not measured on a quantum device: loopback" in page
        files = ("--csv", "c.csv", "--parquet", "c.parquet", "--metriq", "m.json")
        user.qmoe("hardware", "export", plan, *files, "--bundle", "b.zip", **offline)
        assert "all of them agree" in user.qmoe("verify", "b.zip", **offline)

        # no secret anywhere: what was said, what was written
        texts = [text.encode() for text in user.said]
        texts += [path.read_bytes() for path in tmp_path.glob("*.*") if path.is_file()]
        texts += [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
        with zipfile.ZipFile(tmp_path / "b.zip") as archive:
            texts += [archive.read(name) for name in archive.namelist()]
        assert not [c for c in CANARIES for text in texts if c.encode() in text]
