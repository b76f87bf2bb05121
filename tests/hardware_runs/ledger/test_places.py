"""Ledgers that cannot be used: one line, exit code 2, and no password in it."""

from __future__ import annotations

import random
import sqlite3

import pytest
from typer.testing import CliRunner

from backends.queued import Cost, Interval
from hardware_runs.ledger import Caps, JobDraft, Ledger, sender
from qmoe.cli import app
from qmoe.errors import InputError, QmoeError

CANARY = "s3cret-canary"
COST = Cost(Interval(0.0, 1.0), None)


def filled(place, jobs=1):
    with Ledger.open(str(place)) as ledger:
        ledger.add_plan("aaaa", "asked", "{}", "qmoe")
        drafts = [JobDraft(f"k{n}", f"t{n}", None, (0,), 10, COST) for n in range(jobs)]
        ledger.add_jobs("aaaa", drafts)
    return place


def read(place):
    """All that can be read, as the commands read it."""
    with Ledger.open(str(place)) as ledger:
        ledger.plans(), ledger.jobs(), ledger.counts_of_states()
        ledger.events(), ledger.counts("aaaa"), ledger.budgets(), ledger.predictions("aaaa")


def refusal(place, kind=InputError):
    with pytest.raises(kind) as caught:
        read(place)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 1000
    return caught.value


def test_a_file_of_something_else(tmp_path):
    (tmp_path / "l").write_bytes(bytes(range(256)) * 40)
    assert refusal(tmp_path / "l").exit_code == 2


def test_a_folder_and_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "l"):
        assert refusal(place).exit_code == 2


@pytest.mark.parametrize("kept", [50, 99, 100, 600, 4096, 9000, 40000])
def test_a_file_that_was_cut(tmp_path, kept):
    data = filled(tmp_path / "l", 100).read_bytes()
    assert len(data) > 40000
    (tmp_path / "cut").write_bytes(data[:kept])
    assert refusal(tmp_path / "cut").exit_code == 2


def test_a_file_with_bad_pages_is_read_or_refused(tmp_path):
    data, rng = filled(tmp_path / "l", 100).read_bytes(), random.Random(0)
    said = []
    for k in range(60):
        broken = bytearray(data)
        at = rng.randrange(100, len(data) - 1500)
        broken[at : at + 1500] = rng.randbytes(1500)
        (tmp_path / f"{k}").write_bytes(broken)
        try:
            read(tmp_path / f"{k}")
        except QmoeError as error:
            said.append(str(error))
    assert len(said) > 10 and not any("\n" in each for each in said)


def test_a_file_whose_values_are_not_ours(tmp_path):
    place = filled(tmp_path / "l")
    with sqlite3.connect(place) as raw:
        raw.execute("UPDATE jobs SET reserve = 'much'")
    assert "damaged" in str(refusal(place))


def test_a_file_that_may_not_be_written_is_read_and_nothing_else(tmp_path):
    place = filled(tmp_path / "l")
    with Ledger.open(f"sqlite:///file:{place}?mode=ro&uri=true") as ledger:
        assert [job.key for job in ledger.jobs()] == ["k0"]
        with pytest.raises(InputError, match="readonly") as caught:
            ledger.claim(1, sender(), 60, "aws", COST, Caps())
        assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["text", "cut", "newer"])
def test_the_command_line_says_it_in_one_line_and_ends_with_2(tmp_path, monkeypatch, damage):
    place = filled(tmp_path / "l")
    if damage == "text":
        place.write_text("no database at all " * 100)
    elif damage == "cut":
        place.write_bytes(place.read_bytes()[:5000])
    else:
        with sqlite3.connect(place) as raw:
            raw.execute("UPDATE about SET value = '9' WHERE name = 'format'")
    monkeypatch.setenv("QMOE_LEDGER", str(place))
    found = CliRunner().invoke(app, ["hardware", "list"])
    assert isinstance(found.exception, InputError)  # `main` prints it and exits with its code
    assert found.exception.exit_code == 2 and "\n" not in str(found.exception)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ada:{CANARY}@127.0.0.1:1/x",
        f"postgresql://ada:{CANARY}@127.0.0.1:{CANARY}/x",
        f"postgresql://127.0.0.1:1/x?user=ada&password={CANARY}",
        f"nonsense+{CANARY}://ada:{CANARY}@h/x",
        f"://{CANARY}",
        f"mysql+pymysql://ada:{CANARY}@127.0.0.1:1/x",
        f"oracle://ada:{CANARY}@h",
    ],
)
def test_no_password_of_an_address_is_in_a_message(url):
    assert CANARY not in str(refusal(url, QmoeError))
