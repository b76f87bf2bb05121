"""An experiment on a device as a run: its figures from raw counts, its maps, and its page."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from backends.queued import FREE, JobRef, Limits
from hardware_runs import schedule_json
from hardware_runs.bundle import pack
from hardware_runs.comparison import compared
from hardware_runs.ledger import Caps, JobDraft, Ledger, sender
from hardware_runs.predict_plan import predict_plan
from hardware_runs.records import records
from hardware_runs.rescore import rescore
from hardware_runs.run_folder import as_run, checkpoints, figures, maps, write_run
from hardware_runs.schedule import chunks
from hardware_runs.verify import verify
from qmoe.cli import app
from qmoe.errors import InputError
from qmoe.report import write_report
from qmoe.rundir import Run
from tests.hardware_runs.measured import classes, ideal, job, kept, labelled, simulated
from tests.hardware_runs.planned import planned

DEVICE = "ibm:fake_boston"


def made(target=DEVICE, **changes):
    """A plan with classes as the ideal router says them, its schedule, and simulated counts."""
    plan = planned(target, nulls=2, **changes)
    plan = labelled(plan, [classes(r, r.X, ideal(r, r.X)) for r in plan.routers])
    return plan, *simulated(plan)


@pytest.fixture(scope="module")
def whole():
    plan, schedule, measured = made()
    records = kept(plan, schedule, measured, seconds={"sending": 0.5, "device": 2.0})
    return records, rescore(plan, schedule, measured, sources=records.sources)


def named(found, name, **labels):
    return [f for f in found if f.name == name and labels.items() <= f.labels.items()]


def test_routing_and_fidelity_are_those_of_the_counts(whole):
    records, outcome = whole
    found = list(figures(records, outcome, []))
    plan, schedule = records.plan, records.schedule
    shares, loads, fidelity = np.zeros((8, 4, 4)), np.zeros((8, 4)), np.zeros(8)
    seen = records.measured
    for k, one in enumerate(schedule.executions):
        if one.kind != "data" or (schedule.items[one.item].ideal is None and one.router < 0):
            continue
        router = plan.routers[one.router]
        p = seen[0, k] / seen[0, k].sum()
        q = ideal(router, [router.X[one.row]])[0]
        n = plan.design.inputs
        shares[one.router, q.argmax(), p.argmax()] += 1 / n
        loads[one.router] += p / n
        fidelity[one.router] += np.sqrt(p * q).sum() ** 2 / n
    told = named(found, "hardware routing confusion", treatment="none")
    for figure in told:
        place = figure.labels["ideal"] - 1, figure.labels["asked"] - 1
        assert figure.value == pytest.approx(shares.mean(0)[place])
    assert len(told) == 16 and sum(f.value for f in told) == pytest.approx(1)
    for figure in named(found, "hardware expert load", treatment="none"):
        assert figure.value == pytest.approx(loads.mean(0)[figure.labels["expert"] - 1])
    (only,) = named(found, "hardware hellinger fidelity", treatment="none")
    assert only.value == pytest.approx(fidelity.mean())
    assert only.low < only.value < only.high


def test_what_was_compiled_and_how_long_it_took(whole):
    records, outcome = whole
    found = list(figures(records, outcome, []))
    compiled = records.schedule.compiled
    (gates,) = named(found, "hardware two-qubit gates")
    assert gates.value == compiled.two_qubit_gates
    (qubits,) = named(found, "hardware qubits")
    assert qubits.note == " ".join(compiled.physical)
    times = {f.labels["phase"]: f.value for f in named(found, "hardware seconds")}
    assert times == {"sending": 0.5, "device": 2.0}
    (exact,) = named(found, "hardware exact seconds")
    assert exact.unit == "s" and exact.value > 0


def test_plans_that_ask_the_same_say_so():
    plan = planned("torch")
    assert checkpoints(plan) == checkpoints(replace(plan, target="reference"))
    for other in (planned("torch", seed=1), planned("torch", shots=41), planned("torch", count=2)):
        assert checkpoints(other) != checkpoints(plan)


@pytest.mark.usefixtures("unchecked")
def test_there_is_a_map_for_every_router_without_shot_noise():
    plan, schedule, measured = made("torch")
    for router, each in zip(plan.routers, maps(kept(plan, schedule, measured)), strict=True):
        exact = ideal(router, each.centres)
        np.testing.assert_allclose(each.gates.reshape(4, -1).T, exact, atol=1e-9)
    plan, schedule, measured = made()
    found = list(maps(kept(plan, schedule, measured)))
    assert [each.seed for each in found] == [router.seed for router in plan.routers]
    for router, each in zip(plan.routers, found, strict=True):
        assert (each.target, each.source) == (DEVICE, "twin")
        assert each.gates.shape == (4, 80, 80)
        gates = each.gates.reshape(4, -1).T
        # the device is a good one: its gates are near the ideal ones, and not equal to them
        distance = np.abs(gates - ideal(router, each.centres)).sum(1).mean() / 2
        assert 1e-4 < distance < 0.1
        np.testing.assert_array_equal(each.points, router.X)


def page(records, outcome, tmp_path):
    path = write_run(records, outcome, compared(records, outcome), tmp_path / "run")
    return path, path.read_text(encoding="utf-8")


def test_the_page_and_its_tables(whole, tmp_path):
    records, outcome = whole
    path, text = page(records, outcome, tmp_path)
    assert "Not measured on a quantum device: loopback" in text
    assert "Which expert is asked first" in text and "Null routers" in text
    table = pd.read_csv(path.parent / "hardware.csv", float_precision="round_trip")
    for name in ("accuracy", "total_variation", "hellinger_fidelity"):
        for value in table[name]:
            assert f'data-value="{value}"' in text
    assert set(table["source"]) == {"loopback"}
    same = pd.read_parquet(path.parent / "hardware.parquet")
    pd.testing.assert_frame_equal(same[["accuracy", "floor"]], table[["accuracy", "floor"]])


def test_unlike_plans_stand_apart_and_like_ones_together(tmp_path):
    runs = []
    for number, (target, shots) in enumerate((("ibm:fake_boston", 40), ("ibm:fake_torino", 40),
                                              ("ibm:fake_torino", 60))):  # fmt: skip
        plan, schedule, measured = made(target, shots=shots)
        records = kept(plan, schedule, measured)
        outcome = rescore(plan, schedule, measured, sources=records.sources)
        write_run(records, outcome, [], tmp_path / f"run{number}")
        runs.append(Run.open(tmp_path / f"run{number}"))
    text = write_report(runs, tmp_path / "report").read_text(encoding="utf-8")
    assert text.count("Targets and treatments.") == 2
    first, second = text.split("Targets and treatments.")[1:]
    assert "ibm:fake_boston" in first and "40 shots per circuit" in first
    assert "ibm:fake_boston" not in second and "60 shots per circuit" in second


def test_a_prediction_stands_beside_what_was_measured(tmp_path):
    plan, schedule, measured = made(treatments=("none",))
    predicted = {"registered_at": "2026-11-01", **predict_plan(plan, schedule, seed=0, repeats=3)}
    records = kept(plan, schedule, measured, predictions=(predicted,))
    outcome = rescore(plan, schedule, measured, sources=records.sources)
    path, _ = page(records, outcome, tmp_path)
    table = pd.read_csv(path.parent / "predictions.csv").set_index("figure")
    raw = outcome.treatments["none"]
    found = {"accuracy": raw.accuracy, "retention": raw.retention, "total variation": raw.distance}
    for name, score in found.items():
        assert table.loc[name, "measured"] == pytest.approx(score.value)
        assert table.loc[name, "predicted_low"] <= table.loc[name, "predicted_high"]


@pytest.mark.parametrize("broken", ["missing", "zero shots", "nothing", "failed job"])
def test_what_went_wrong_is_said_and_never_drawn(tmp_path, broken):
    plan, schedule, measured = made()
    changes = {}
    first = next(k for k, one in enumerate(schedule.executions) if one.block == 0)
    if broken == "missing":
        del measured[0, first]
    elif broken == "zero shots":
        measured[0, first] = np.zeros(4, dtype=np.int64)
    elif broken == "nothing":
        measured, changes = {}, {"sources": ()}
    records = kept(plan, schedule, measured, **changes)
    if broken == "failed job":
        failed = {**job("r00-b00-p00", 3, 40, "failed"), "words": "<b>no & power</b>"}
        records = replace(records, jobs=(failed, *records.jobs[1:]))
    outcome = rescore(plan, schedule, records.measured, sources=records.sources)
    _, text = page(records, outcome, tmp_path)
    assert ">nan<" not in text and "[nan" not in text
    if broken in ("missing", "zero shots"):
        assert "1 of" in text and "circuits are missing" in text and "left out" in text
    elif broken == "nothing":
        assert "Nothing counts" in text and "does not count" in text
    else:
        assert "&lt;b&gt;no &amp; power&lt;/b&gt;" in text and "<b>no" not in text


def test_one_class_and_one_router_give_a_page(tmp_path):
    plan = planned(DEVICE, nulls=2)
    plan = labelled(plan, np.zeros((8, 6), dtype=int))
    plan = replace(plan, routers=plan.routers[:1])
    schedule, measured = simulated(plan)
    records = kept(plan, schedule, measured)
    outcome = rescore(plan, schedule, measured, sources=records.sources)
    _, text = page(records, outcome, tmp_path)
    assert "1 router picked by rule" in text and "no interval" in text


def filled(plan, schedule, act):
    """Puts a plan with its jobs into the ledger in force; each job was sent, then `act` happens."""
    with Ledger.open() as found:
        found.add_plan(plan.id, "asked", plan.to_json(), "qmoe hardware plan")
        found.add_schedule(plan.id, schedule_json.to_json(schedule))
        found.note(plan.id, None, "timing", json.dumps({"compiling": 0.25}))
        cut = chunks(plan, schedule, Limits())
        drafts = [JobDraft(c.key, f"t{c.key}", None, c.executions, 40, FREE) for c in cut]
        found.add_jobs(plan.id, drafts)
        for number, each in enumerate(found.jobs(plan.id)):
            assert found.claim(each.id, sender(), 60, "ibm", FREE, Caps())
            found.sent(each.id, JobRef(DEVICE, f"id{number}", len(each.executions), 40, each.tag),
                       "loopback")  # fmt: skip
            act(found, number, each)


def stored(found, each, measured, timings=None):
    """Keeps counts (execution -> counts) of a job that is done."""
    rows = {k: measured[0, e].tolist() for k, e in enumerate(each.executions)}
    found.store(each.id, rows, source="loopback", complete=True, timings=timings or {})


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """A ledger with one plan whose first job is done and whose others failed."""
    monkeypatch.setenv("QMOE_LEDGER", str(tmp_path / "ledger"))
    plan, schedule, measured = made()

    def act(found, number, each):
        if number == 0:
            stored(found, each, measured, {"fetching": 0.5})
        else:
            found.moved(each.id, "failed", "the vendor's <words>")

    filled(plan, schedule, act)
    return plan


@pytest.mark.parametrize("state", ["running", "no shots", "one job without shots"])
def test_a_plan_on_its_way_is_a_run_and_its_bundle_is_verified(tmp_path, monkeypatch, state):
    monkeypatch.setenv("QMOE_LEDGER", str(tmp_path / "ledger"))
    plan, schedule, measured = made("reference")  # noise unknown: no maps
    none = dict.fromkeys(measured, np.zeros(4, dtype=np.int64))

    def act(found, number, each):
        if state == "running":
            found.moved(each.id, "running", "")
        else:
            stored(found, each, none if state == "no shots" or number == 0 else measured)

    filled(plan, schedule, act)
    run = Run.open(as_run(plan.id, tmp_path / "run"))
    text = write_report(run, tmp_path / "page").read_text(encoding="utf-8")
    assert ">nan<" not in text and "[nan" not in text
    partly = state == "one job without shots"
    assert ("Nothing counts" in text) == (not partly)
    assert "block 0 of repeat 0 is left out" in text
    assert ("block 1 of repeat 0 is left out" in text) == (not partly)
    with Ledger.open() as found:
        told = records(found, plan.id)
    assert told.sources == (("loopback",) if partly else ())
    if partly:
        outcome = rescore(plan, schedule, told.measured)
        shares = outcome.treatments["none"].confusion
        assert shares.sum() == pytest.approx(1)  # of the inputs that are left
    pack(told, tmp_path / "b.zip")
    assert verify(tmp_path / "b.zip").differences == ()


def test_a_plan_of_which_nothing_was_sent_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("QMOE_LEDGER", str(tmp_path / "ledger"))
    plan = planned("torch")
    with Ledger.open() as found:
        found.add_plan(plan.id, "asked", plan.to_json(), "qmoe hardware plan")
    with pytest.raises(InputError, match="nothing was sent"):
        as_run(plan.id, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_plan_of_the_ledger_is_reported_by_its_id(ledger, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "page"
    done = CliRunner().invoke(app, ["report", ledger.id, "--out", str(out), "--all-maps"])
    assert done.exit_code == 0, done.output
    text = (out / "index.html").read_text(encoding="utf-8")
    assert f"Plan {ledger.id}" in text and "&lt;words&gt;" in text
    assert len(list((out / "maps").glob("*.svg"))) == 8
    table = pd.read_csv(out / "hardware.csv")
    assert table["compiling_seconds"].iloc[0] == 0.25 and table["fetching_seconds"].iloc[0] == 0.5


def test_what_cannot_be_read_is_refused_in_one_line(ledger, tmp_path):
    with pytest.raises(InputError, match="plan"):
        as_run("0123456789abcdef", tmp_path / "none")
    with closing(sqlite3.connect(tmp_path / "ledger")) as raw, raw:
        raw.execute("UPDATE about SET value = '99' WHERE name = 'format'")
    with pytest.raises(InputError, match="format 99"):
        as_run(ledger.id, tmp_path / "newer")
    assert not (tmp_path / "newer").exists() and not (tmp_path / "none").exists()
