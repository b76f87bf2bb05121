"""Bundles: everything comes back and is found again; whatever was altered is found or refused."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from hardware_runs import schedule_json
from hardware_runs.bundle import MANIFEST, figures, pack, unpack
from hardware_runs.verify import verify
from qmoe.errors import InputError, QmoeError
from tests.hardware_runs.measured import kept, simulated
from tests.hardware_runs.planned import planned

PLAN = planned("torch", inputs=2, block=1, count=1, shots=20, treatments=("none", "readout"))
SCHEDULE, MEASURED = simulated(PLAN)
RECORDS = kept(PLAN, SCHEDULE, MEASURED, predictions=({"calibrated_at": None},))
STATED = json.loads(json.dumps(figures(RECORDS)))
MEMBERS = (
    *("plan.json", "schedule.json", "counts.csv", "jobs.json", "predictions.json"),
    *("figures.json", MANIFEST),
    *(f"circuits/{number:02}.qasm" for number in range(len(SCHEDULE.items))),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "b.zip"
    pack(RECORDS, path)
    return path


@pytest.fixture(scope="module")
def members(bundle):
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path, members, *, true: bool = True):
    """An archive of members; `true`: its manifest says their digests, as an attacker would."""
    members = dict(members)
    if true:
        tree = json.loads(members[MANIFEST])
        tree["sha256"] = {
            name: hashlib.sha256(data).hexdigest()
            for name, data in members.items()
            if name != MANIFEST
        }
        members[MANIFEST] = json.dumps(tree).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def refused(path, match=None):
    with pytest.raises(InputError, match=match) as caught:
        verify(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


# --- round trip


def test_all_of_a_plan_comes_back(bundle, members):
    assert set(members) == set(MEMBERS)
    found, stated = unpack(bundle)
    assert found.plan == PLAN and found.rows == RECORDS.rows
    assert schedule_json.to_json(found.schedule) == schedule_json.to_json(SCHEDULE)
    assert found.jobs == RECORDS.jobs and found.predictions == RECORDS.predictions
    assert found.sources == ("loopback",)
    assert stated == STATED
    for number, item in enumerate(SCHEDULE.items):
        text = members[f"circuits/{number:02}.qasm"].decode()
        assert text == item.compiled.native.to_qasm3() and text.startswith("OPENQASM 3")
    assert json.loads(members[MANIFEST])["sha256"]["counts.csv"] == (
        hashlib.sha256(members["counts.csv"]).hexdigest()
    )


def test_a_bundle_is_verified_and_equal_records_give_equal_bytes(bundle, tmp_path):
    found = verify(bundle)
    assert found.differences == () and found.figures > 100
    found.check()
    assert "all of them agree" in list(found.lines())[-1]
    again = tmp_path / "again.zip"
    pack(unpack(bundle)[0], again)
    assert again.read_bytes() == bundle.read_bytes()
    with pytest.raises(InputError, match="exists"):
        pack(RECORDS, again)


def test_a_bundle_of_nothing_measured_is_verified_too(tmp_path):
    pack(kept(PLAN, SCHEDULE, {}, sources=()), tmp_path / "b.zip")
    found = verify(tmp_path / "b.zip")
    assert found.differences == () and found.sources == ()


def test_a_deeper_record_is_verified(tmp_path):
    """Other treatments, a block that does not count, two sources, no calibration date."""
    plan = planned("twin:ibm:fake_boston", inputs=2, block=1, treatments=("none", "zne", "fold=3"))
    schedule, measured = simulated(plan)
    del measured[0, next(k for k, one in enumerate(schedule.executions) if one.block == 1)]
    records = kept(plan, schedule, measured)
    jobs = (records.jobs[0], {**records.jobs[1], "source": "device"})
    records = replace(records, jobs=jobs, sources=("device", "loopback"))
    pack(records, tmp_path / "b.zip")
    found = verify(tmp_path / "b.zip")
    assert found.differences == () and found.sources == ("device", "loopback")


VENDORS = (
    *("qiskit", "qiskit_ibm_runtime", "qiskit_aer", "braket", "boto3", "botocore"),
    *("cirq", "cirq_google", "cirq_ionq", "mitiq", "requests", "grpc"),
)
ALONE = """
import sys
from importlib.abc import MetaPathFinder

class No(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {vendors!r}:
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, No())
import socket
def offline(*_, **__):
    raise OSError("no network")
socket.socket.connect = socket.getaddrinfo = offline
from pathlib import Path
from hardware_runs.verify import verify
verify(Path({path!r})).check()
assert not set({vendors!r}) & {{name.partition(".")[0] for name in sys.modules}}
print("verified")
"""


def test_no_vendor_sdk_account_or_network_is_needed(tmp_path):
    treatments = ("none", "readout", "zne", "twirl", "fold=3")
    plan = planned("twin:ibm:fake_boston", inputs=2, block=1, treatments=treatments)
    pack(kept(plan, *simulated(plan)), tmp_path / "b.zip")
    done = subprocess.run(
        [sys.executable, "-c", ALONE.format(vendors=VENDORS, path=str(tmp_path / "b.zip"))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout == "verified\n", done.stderr


# --- altered


@pytest.mark.parametrize("name", [name for name in MEMBERS if name != MANIFEST])
def test_each_altered_member_is_found(members, tmp_path, name):
    for data in (members[name] + b" ", members[name][:-2], b""):
        refused(zipped(tmp_path / "b.zip", {**members, name: data}, true=False), "altered")
    fewer = {key: data for key, data in members.items() if key != name}
    refused(zipped(tmp_path / "b.zip", fewer, true=False), "other members")


def test_other_members_and_manifests_are_refused(members, tmp_path):
    path = tmp_path / "b.zip"
    refused(zipped(path, {**members, "more.txt": b"x"}, true=False), "other members")
    for missing in ("plan.json", "schedule.json", "counts.csv", "jobs.json", "figures.json"):
        fewer = {key: data for key, data in members.items() if key != missing}
        refused(zipped(path, fewer), f"no {missing}")
    bare = {key: data for key, data in members.items() if key != MANIFEST}
    refused(zipped(path, bare, true=False), f"no {MANIFEST}")
    for text in ('{"format": 2}', "{}", "{", "[" * 100_000, '{"format": 1, "sha256": []}'):
        refused(zipped(path, {**members, MANIFEST: text.encode()}, true=False))


def tree_of(members, name):
    return json.loads(members[name])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("treatments", "none", "accuracy", "value"), 0.99),
        (("treatments", "readout", "by_router", 3, "distance"), 0.0),
        (("primary", "word"), "better"),
        (("repeats", 0, "blocks", 1, "left_out"), "off"),
        (("departures",), ["none"]),
        (("nulls",), []),
        (("sources",), ["device"]),
    ],
)
def test_a_false_figure_is_listed_though_the_digests_fit(members, tmp_path, path, value):
    stated = tree_of(members, "figures.json")
    here = stated
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    data = json.dumps(stated).encode()
    found = verify(zipped(tmp_path / "b.zip", {**members, "figures.json": data}))
    assert found.differences
    # what is listed is what was changed, and what it moved in a list
    place = "/".join(map(str, path))
    assert all(line.startswith(f"/{place}") for line in found.differences)
    with pytest.raises(QmoeError, match="figures differ") as caught:
        found.check()
    assert caught.value.exit_code == 1
    assert sum(line.startswith("differs:") for line in found.lines()) >= 1


LATER = ("fidelity", "loads", "confusion")


def test_a_bundle_from_before_routing_was_computed_is_verified(bundle, members, tmp_path):
    stated = tree_of(members, "figures.json")
    for treated in stated["treatments"].values():
        for router in treated["by_router"]:
            for name in LATER:
                del router[name]
    older = {**members, "figures.json": json.dumps(stated).encode()}
    found = verify(zipped(tmp_path / "old.zip", older))
    assert found.differences == () and 100 < found.figures < verify(bundle).figures
    # what it does state is checked as ever, and one that states some of them has to state all
    stated["treatments"]["none"]["by_router"][3]["distance"] = 0.5
    stated["treatments"]["none"]["by_router"][4]["accuracy"] = 2
    data = json.dumps(stated).encode()
    found = verify(zipped(tmp_path / "false.zip", {**members, "figures.json": data}))
    assert len(found.differences) == 2
    fewer = tree_of(members, "figures.json")
    del fewer["treatments"]["none"]["by_router"][0]["fidelity"]
    data = json.dumps(fewer).encode()
    found = verify(zipped(tmp_path / "fewer.zip", {**members, "figures.json": data}))
    assert len(found.differences) == 1 and "/0/fidelity" in found.differences[0]


def test_a_moved_count_is_found_though_the_digests_fit(members, tmp_path):
    lines = members["counts.csv"].decode().splitlines()
    k = next(n for n, line in enumerate(lines) if ",data,data," in line and not line.endswith(",1"))
    *head, count = lines[k].split(",")
    lines[k] = ",".join([*head, str(int(count) - 1)])
    data = "\n".join(lines).encode()
    found = verify(zipped(tmp_path / "b.zip", {**members, "counts.csv": data}))
    assert any("distance" in line for line in found.differences)


def test_an_altered_plan_does_not_have_its_id(members, tmp_path):
    tree = tree_of(members, "plan.json")
    tree["routers"][0]["y"][0] = 1 - tree["routers"][0]["y"][0]
    refused(zipped(tmp_path / "b.zip", {**members, "plan.json": json.dumps(tree).encode()}), "id")


# --- made to do harm


def test_what_is_no_archive_is_refused(bundle, tmp_path):
    refused(tmp_path / "none.zip", "No such file")
    refused(tmp_path, "directory")
    for data in (b"", b"PK\x03\x04", b"x" * 1000, bundle.read_bytes()[:-100]):
        (tmp_path / "b.zip").write_bytes(data)
        refused(tmp_path / "b.zip", "not a zip file")


def test_members_are_never_written_anywhere(members, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outside = {"../../out.txt": b"x", "/tmp/qmoe-out.txt": b"x", "..\\out.txt": b"x"}
    path = zipped(tmp_path / "b.zip", {**members, **outside})
    with contextlib.suppress(InputError):
        verify(path)
    assert sorted(tmp_path.iterdir()) == [path]
    assert not (tmp_path / "../../out.txt").exists()


def test_a_member_twice_is_refused(members, tmp_path):
    with (  # noqa: PT031
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(tmp_path / "b.zip", "w") as archive,
    ):
        for name in (*members, "figures.json"):
            archive.writestr(name, members[name])
    refused(tmp_path / "b.zip", "a member twice")


def test_more_than_a_bundle_holds_is_refused_before_it_is_read(members, tmp_path, monkeypatch):
    many = {**members, **{f"circuits/{k}.txt": b"" for k in range(2000)}}
    refused(zipped(tmp_path / "b.zip", many), "more than a bundle has")
    monkeypatch.setattr("hardware_runs.bundle.MAX_BYTES", 10**6)
    big = {**members, "circuits/99.qasm": b"0" * 10**6}
    path = zipped(tmp_path / "b.zip", big)
    assert path.stat().st_size < 10**5
    refused(path, "more than a bundle has")


def damaged(bundle, tmp_path, places):
    """Some bytes changed; what comes of it."""
    whole = bundle.read_bytes()
    rng = np.random.default_rng(places)
    # half of them in the headers at the end
    ends = len(whole) if places % 2 else 1200
    changed = bytearray(whole)
    for place in rng.integers(1, ends, size=1 + places % 3):
        changed[-place] ^= int(rng.integers(1, 256))
    path = tmp_path / "b.zip"
    path.write_bytes(changed)
    try:
        found, stated = unpack(path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return "refused"
    # dates and the like
    assert found.plan == PLAN and found.rows == RECORDS.rows and stated == STATED
    return "the same"


def test_a_damaged_archive_is_refused_or_the_same(bundle, tmp_path):
    found = {damaged(bundle, tmp_path, places) for places in range(60)}
    assert found == {"refused", "the same"}


@pytest.mark.slow
def test_damaged_archives_are_refused_or_the_same(bundle, tmp_path):
    for places in range(60, 1500):
        damaged(bundle, tmp_path, places)


VALUES = (
    *(None, True, 0, 1, -1, 3, 99, 2**63, 2**70, 10**400, 0.5, -1.0, 1e308, "", "x", "a\nb"),
    *([], [1], [[1]], {}, {"a": 1}),
)
CELLS = ("", "x", "-1", "0", "4", "7", "1.5", "1e3", "nan", '"', str(2**63), "9" * 5000, "\x00")


def harmed(members, name, seed):
    """The members with one thing anywhere in one of them changed; digests and ids fit."""
    draw = random.Random(f"{name} {seed}")
    if name == "counts.csv":
        lines = [line.split(",") for line in members[name].decode().splitlines()]
        line = draw.choice(lines)
        line[draw.randrange(len(line))] = draw.choice(CELLS)
        return {**members, name: "\n".join(map(",".join, lines)).encode()}
    tree = {"": json.loads(members[name])}
    here, key = tree, ""
    while isinstance(here[key], dict | list) and here[key] and draw.random() < 0.9:
        here = here[key]
        key = draw.choice(sorted(here) if isinstance(here, dict) else range(len(here)))
    if key == "" or draw.random() < 0.8:
        here[key] = draw.choice(VALUES)
    else:
        del here[key]
    changed = tree[""]
    if name == "plan.json" and isinstance(changed, dict):
        content = {k: v for k, v in changed.items() if k not in ("format", "id")}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        changed["id"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {**members, name: json.dumps(changed).encode()}


def harmless(members, name, seed):
    made = io.BytesIO()
    zipped(made, harmed(members, name, seed), true=name != MANIFEST)
    made.seek(0)
    try:
        found = verify(made)
    except QmoeError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000  # noqa: PT017
    else:
        assert "\n" not in "".join(found.lines())


READ = [name for name in MEMBERS if not name.endswith(".qasm")]


@pytest.mark.parametrize("name", READ)
def test_a_bundle_made_to_do_harm_is_verified_or_refused(unchecked, members, name):
    for seed in range(8):
        harmless(members, name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", READ)
def test_bundles_made_to_do_harm_are_verified_or_refused(unchecked, members, name):
    for seed in range(8, 600):
        harmless(members, name, seed)


def test_parts_that_do_not_belong_together_are_refused(members, tmp_path):
    path = tmp_path / "b.zip"
    schedule = tree_of(members, "schedule.json")
    del schedule["items"][-1]["ideal"][-1]
    refused(
        zipped(path, {**members, "schedule.json": json.dumps(schedule).encode()}), "distribution"
    )
    for name in ("jobs.json", "predictions.json"):
        for text in ("1", "null", "{}", "[1]"):
            refused(zipped(path, {**members, name: text.encode()}), "no list of records")
    head, *rows = members["counts.csv"].decode().splitlines()
    for wrong in ("4,1", "-1,1", "0,0", f"0,{2**63}", "0,1.5", "0"):
        row = ",".join([*rows[0].split(",")[:8], wrong])
        data = "\n".join([head, row, *rows[1:]]).encode()
        refused(zipped(path, {**members, "counts.csv": data}), "records that cannot be read")
