"""A plan with everything that is known of it, in one archive that anybody can check.

    plan.json          the plan
    schedule.json      native circuits, layout, noise as calibrated, executions
    circuits/*.qasm    the native circuits as OpenQASM 3, for reading
    counts.csv         raw counts
    jobs.json          every job: state, id, source, bill, the vendor's words
    predictions.json   what was expected, as registered
    figures.json       what `rescore` makes of all that
    manifest.json      the SHA-256 of each of these

No credentials are in it, and nothing that is not also in the ledger.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import qmoe
from hardware_runs import schedule_json
from hardware_runs.export import table, write
from hardware_runs.plan import Plan
from hardware_runs.records import Records, Row
from hardware_runs.rescore import rescore
from hardware_runs.schedule import Schedule
from qmoe.errors import InputError

FORMAT = 1
MANIFEST = "manifest.json"
MAX_MEMBERS = 2000
MAX_BYTES = 512 * 2**20
MAX_COUNT = 10**9
STILL = (1980, 1, 1, 0, 0, 0)  # equal contents give equal archives


def pack(records: Records, path: Path) -> None:
    """Writes the archive of a plan.

    Raises:
        InputError: The file is there already, or cannot be written.
    """
    counts = io.StringIO()
    table(records).to_csv(counts, index=False)
    members = {
        "plan.json": records.plan.to_json(),
        "schedule.json": schedule_json.to_json(records.schedule),
        "counts.csv": counts.getvalue(),
        "jobs.json": _json([dict(job) for job in records.jobs]),
        "predictions.json": _json([dict(each) for each in records.predictions]),
        "figures.json": _json(figures(records)),
    }
    for number, item in enumerate(records.schedule.items):
        members[f"circuits/{number:02}.qasm"] = item.compiled.native.to_qasm3()
    digests = {name: _digest(text.encode()) for name, text in members.items()}
    manifest = {"format": FORMAT, "code": qmoe.__version__, "sha256": digests}

    def fill(partial: Path) -> None:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in {MANIFEST: _json(manifest), **members}.items():
                archive.writestr(zipfile.ZipInfo(name, STILL), text, zipfile.ZIP_DEFLATED)

    write(path, fill)


def figures(records: Records) -> dict[str, Any]:
    """Every figure of a plan, JSON values."""
    found = rescore(records.plan, records.schedule, records.measured, sources=records.sources)
    return found.to_dict()


def unpack(path: Path) -> tuple[Records, dict[str, Any]]:
    """The records in an archive, and the figures that it states; nothing in it is trusted.

    Raises:
        InputError: It is no such archive, or was altered.
    """
    members = _members(path)
    manifest = _tree(members, MANIFEST, path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _damaged(path, "a manifest of another format")
    stated = manifest.get("sha256")
    if not isinstance(stated, dict) or set(stated) != set(members) - {MANIFEST}:
        raise _damaged(path, "other members than its manifest has")
    for name, digest in stated.items():
        if _digest(members[name]) != digest:
            raise _damaged(path, f"{name[:60]} altered")
    plan = Plan.from_json(_text(members, "plan.json", path))
    schedule = schedule_json.from_json(_text(members, "schedule.json", path), plan)
    jobs = _records(members, "jobs.json", path)
    predictions = _records(members, "predictions.json", path)
    table = _text(members, "counts.csv", path)
    try:
        rows = _rows(table, schedule)
        measured = {row.job for row in rows}
        used = {str(job["source"]) for job in jobs if job["job"] in measured and job["source"]}
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise _damaged(path, f"records that cannot be read ({type(error).__name__})") from error
    found = Records(
        plan=plan,
        schedule=schedule,
        rows=rows,
        jobs=tuple(jobs),
        predictions=tuple(predictions),
        sources=tuple(sorted(used)),
    )
    return found, _tree(members, "figures.json", path)


def _members(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS or sum(info.file_size for info in infos) > MAX_BYTES:
                raise _damaged(path, "more than a bundle has")
            names = [info.filename for info in infos]
            if len(set(names)) < len(names):
                raise _damaged(path, "a member twice")
            return {name: archive.read(name) for name in names}
    except _NO_ARCHIVE as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            got=f"{path} ({why})",
            expected="what `qmoe hardware export --bundle` wrote",
            do="check the path, or copy it again",
        ) from error


_NO_ARCHIVE = (OSError, RuntimeError, EOFError, UnicodeError, zipfile.BadZipFile, zlib.error)


def _text(members: Mapping[str, bytes], name: str, path: Path) -> str:
    if name not in members:
        raise _damaged(path, f"no {name}")
    return members[name].decode("utf-8", errors="replace")


def _tree(members: Mapping[str, bytes], name: str, path: Path) -> Any:
    try:
        return json.loads(_text(members, name, path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(path, f"{name} that is no JSON") from error


def _records(members: Mapping[str, bytes], name: str, path: Path) -> list[dict[str, Any]]:
    found = _tree(members, name, path)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _damaged(path, f"{name} that is no list of records")
    return found


def _rows(text: str, schedule: Schedule) -> tuple[Row, ...]:
    found: dict[tuple[str, int, int], dict[int, int]] = {}
    for line in csv.DictReader(io.StringIO(text)):
        execution = int(line["execution"])
        if not 0 <= execution < len(schedule.executions):
            raise ValueError("an execution that is not there")
        key = line["job"], int(line["repeat"]), execution
        outcome, count = int(line["outcome"]), int(line["count"])
        if not 0 <= outcome < schedule.compiled.num_outcomes or not 1 <= count <= MAX_COUNT:
            raise ValueError("a count that cannot be")
        found.setdefault(key, {})[outcome] = count
    return tuple(Row(*key, counts) for key, counts in found.items())


def _json(tree: Any) -> str:
    return json.dumps(tree, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _damaged(path: Path, what: str) -> InputError:
    return InputError(
        got=f"bundle {path} with {what}",
        expected="what `qmoe hardware export --bundle` wrote",
        do="copy it again",
    )
