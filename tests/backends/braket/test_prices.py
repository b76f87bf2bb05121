"""The vendor's price list: fetched, kept, given as a file, or unusable."""

import os
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.braket import prices as module
from backends.braket.prices import Prices, prices
from qmoe.errors import InputError

ARN = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
REGION = "eu-north-1"
COLUMNS = ("Region Code", "DeviceName", "Product Family", "PricePerUnit", "Currency")
TASK = (REGION, "Garnet", "Quantum Task", "0.3", "USD")
SHOT = (REGION, "Garnet", "Quantum Task-Shot", "0.00145", "USD")
LISTED = Prices(0.3, 0.00145, "the vendor's price list, less than a day old")


def text(*rows, columns=COLUMNS):
    """A list in the vendor's form."""
    return "\n".join([*"12345", *(",".join(f'"{v}"' for v in row) for row in (columns, *rows)), ""])


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(module.VARIABLE, raising=False)


@pytest.fixture
def given_list(tmp_path):
    """A file of rows, which is written anew."""

    def write(*rows, **more):
        file = tmp_path / "given.csv"
        file.write_text(text(*rows, **more))
        return file

    return write


@contextmanager
def vendor(content, status=200):
    """A server of a list: its address, and how often it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield SimpleNamespace(
                url=f"http://127.0.0.1:{server.server_port}/list.csv", asked=asked
            )
        finally:
            server.shutdown()
            thread.join()


def test_a_device_is_named_as_the_sdk_names_it(given_list):
    """Compared with the SDK's own tracker of costs, on the same list."""
    from braket.tracking import pricing, tracker

    for arn, name in [
        ("arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet", "Garnet"),
        ("arn:aws:braket:eu-north-1::device/qpu/aqt/Ibex-Q1", "IBEX-Q1"),
        ("arn:aws:braket:eu-north-1::device/qpu/some/lower", "Lower"),
    ]:
        file = given_list((REGION, name, *TASK[2:]), (REGION, name, *SHOT[2:]), TASK[:1] * 5)
        found = prices(arn, REGION, file)
        assert isinstance(found, Prices)
        pricing._pricing._price_list = [
            dict(zip(COLUMNS, row, strict=True))
            for row in ((REGION, name, *TASK[2:]), (REGION, name, *SHOT[2:]))
        ]
        pricing.Pricing.price_search.cache_clear()
        details = {"status": "COMPLETED", "device": arn, "job_task": False, "shots": 700}
        theirs = tracker._get_qpu_task_cost(f"arn:aws:braket:{REGION}:1:quantum-task/a", details)
        assert found.task + 700 * found.shot == pytest.approx(float(theirs))
    pricing._pricing._price_list = []
    pricing.Pricing.price_search.cache_clear()


def test_a_file_stands_for_the_list(given_list):
    file = given_list(TASK, SHOT)
    assert prices(ARN, REGION, file) == Prices(0.3, 0.00145, "given.csv, less than a day old")
    os.utime(file, (0, time.time() - 12.4 * 86400))
    assert prices(ARN, REGION, file) == Prices(0.3, 0.00145, "given.csv, 12 days old")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "0 prices of Garnet in eu-north-1 for 'Quantum Task'"),
        ([TASK], "0 prices of Garnet in eu-north-1 for 'Quantum Task-Shot'"),
        ([TASK, TASK, SHOT], "2 prices of Garnet"),
        ([("us-east-1", *TASK[1:]), SHOT], "0 prices of Garnet"),
        ([(REGION, "Emerald", *TASK[2:]), SHOT], "0 prices of Garnet"),
        ([(REGION, "garnet", *TASK[2:]), SHOT], "0 prices of Garnet"),
        ([(*TASK[:3], "0.3", "EUR"), SHOT], "a price of Garnet that cannot be read"),
        ([(*TASK[:3], "", "USD"), SHOT], "a price of Garnet that cannot be read"),
        ([(*TASK[:3], "-1", "USD"), SHOT], "a price of Garnet that cannot be read"),
        ([(*TASK[:3], "nan", "USD"), SHOT], "a price of Garnet that cannot be read"),
        ([(*TASK[:3], "inf", "USD"), SHOT], "a price of Garnet that cannot be read"),
        ([TASK[:3], SHOT], "a price of Garnet that cannot be read"),
    ],
)
def test_what_the_list_does_not_say_once_is_not_known(given_list, rows, said):
    found = prices(ARN, REGION, given_list(*rows))
    assert isinstance(found, str)
    assert said in found
    assert "given.csv" in found


def test_free_is_a_price(given_list):
    file = given_list((*TASK[:3], "0", "USD"), SHOT)
    assert prices(ARN, REGION, file).task == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"one line", b"\n" * 5, b"\n" * 5 + b"Region Code,DeviceName\n", b"\xff\x00" * 50],
)
def test_a_file_that_is_no_list_is_bad_input(tmp_path, content):
    file = tmp_path / "given.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"given\.csv") as caught:
        prices(ARN, REGION, file)
    assert "\n" not in str(caught.value)
    for missing in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(InputError, match="check the path"):
            prices(ARN, REGION, missing)


def test_a_cell_without_an_end_is_bad_input(tmp_path):
    file = tmp_path / "given.csv"
    file.write_text(text(TASK, SHOT, ("x" * 200_000,)))
    with pytest.raises(InputError, match="field limit"):
        prices(ARN, REGION, file)


@given(st.binary(max_size=300))
def test_whatever_a_file_holds_it_is_a_list_or_bad_input(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "any.csv"
    for content in (data, text(TASK).encode() + data):
        file.write_bytes(content)
        try:
            found = prices(ARN, REGION, file)
        except InputError:
            continue
        assert isinstance(found, str)  # there is no price of a shot


def test_the_list_is_fetched_once_and_kept_for_a_week(tmp_path, monkeypatch):
    with vendor(text(TASK, SHOT).encode()) as server:
        monkeypatch.setattr(module, "LIST", server.url)
        assert prices(ARN, REGION) == prices(ARN, REGION) == LISTED
        assert len(server.asked) == 1
        (kept,) = (file for file in (tmp_path / "cache").rglob("*") if file.is_file())
        os.utime(kept, (0, time.time() - 6 * 86400))
        assert prices(ARN, REGION).note == "the vendor's price list, 6 days old"
        os.utime(kept, (0, time.time() - 8 * 86400))
        assert prices(ARN, REGION) == LISTED
        assert len(server.asked) == 2
        kept.write_text("<html>please sign in</html>")
        assert prices(ARN, REGION) == LISTED
        assert len(server.asked) == 3


def test_another_address_is_asked_every_time(monkeypatch):
    with vendor(text(TASK, SHOT).encode()) as server:
        monkeypatch.setenv("BRAKET_PRICE_OFFERS_URL", server.url)  # as the SDK reads it
        assert prices(ARN, REGION) == prices(ARN, REGION) == LISTED
        assert len(server.asked) == 2


@pytest.mark.parametrize("content", [b"<html>please sign in</html>", b"\n" * 5, b" " * 2000])
def test_what_is_no_list_is_not_kept(tmp_path, monkeypatch, content):
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with vendor(content) as server:
        monkeypatch.setattr(module, "LIST", server.url)
        found = prices(ARN, REGION)
    assert isinstance(found, str)
    assert "cannot be used" in found
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_without_an_answer_nothing_is_known(monkeypatch):
    with vendor(b"", status=503) as server:
        monkeypatch.setattr(module, "LIST", server.url)
        assert "503" in prices(ARN, REGION)
    assert "no price list" in prices(ARN, REGION)  # the server is gone
    for address in ("ftp://127.0.0.1/list", "http://[broken"):
        monkeypatch.setenv("BRAKET_PRICE_OFFERS_URL", address)
        assert "no price list" in prices(ARN, REGION)


def test_a_list_that_cannot_be_kept_is_still_a_list(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where the folder would be")
    with vendor(text(TASK, SHOT).encode()) as server:
        monkeypatch.setattr(module, "LIST", server.url)
        assert prices(ARN, REGION) == LISTED
