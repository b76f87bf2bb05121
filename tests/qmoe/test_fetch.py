"""Downloads, from a server on this machine that can misbehave in every way a real one does."""

from __future__ import annotations

import gzip
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from qmoe import cli, fetch, images
from qmoe.errors import InputError
from qmoe.fetch import UnreachableError
from qmoe.images import IMAGE_SETS, ImageSet
from tests.qmoe.picture_sets import NAMES, store, tiny

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


def whole(request: BaseHTTPRequestHandler, data: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data)


def unmeasured(request: BaseHTTPRequestHandler, data: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(data)


def truncated(request: BaseHTTPRequestHandler, data: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data[: len(data) // 2])


def hung(request: BaseHTTPRequestHandler, data: bytes) -> None:
    threading.Event().wait(1.0)


def endless(request: BaseHTTPRequestHandler, data: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(bytes(2**16))
    except OSError:  # the client has hung up, which is what the test waits for
        request.server.hung_up.set()  # type: ignore[attr-defined]


class Server(ThreadingHTTPServer):
    """Serves files from memory; `asked` lists the paths, `answers` holds special answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.hung_up = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/set/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.removeprefix("/set/")
        self.server.asked.append(name)
        if name in self.server.files:
            self.server.answers.get(name, whole)(self, self.server.files[name])
        else:
            self.send_error(404)

    def log_message(self, *given: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def pictures(server: Server) -> ImageSet:
    made, server.files = tiny(server.url)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "tiny"


def left(folder: Path) -> list[str]:
    """Every file in the folder of the cache and beside it."""
    return sorted(path.name for path in folder.parent.rglob("*") if path.is_file())


# What comes whole


def test_a_set_is_fetched_as_published_and_only_once(
    server: Server, pictures: ImageSet, folder: Path
) -> None:
    assert fetch.fetch(pictures, folder) == NAMES
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == server.files
    assert left(folder) == sorted(NAMES)
    assert fetch.fetch(pictures, folder) == ()
    assert server.asked == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_or_damaged_is_fetched_again(
    server: Server, pictures: ImageSet, folder: Path, name: str
) -> None:
    store(folder, server.files)
    (folder / name).write_bytes(server.files[name][:-9])
    assert fetch.fetch(pictures, folder) == (name,)
    (folder / name).unlink()
    assert fetch.fetch(pictures, folder) == (name,)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == server.files


def test_an_answer_without_a_length_is_taken(
    server: Server, pictures: ImageSet, folder: Path
) -> None:
    server.answers = dict.fromkeys(NAMES, unmeasured)
    assert fetch.fetch(pictures, folder) == NAMES


def test_a_mirror_may_pack_in_another_way(server: Server, pictures: ImageSet, folder: Path) -> None:
    published = server.files
    server.files = {n: gzip.compress(gzip.decompress(v), mtime=7) for n, v in published.items()}
    with pytest.raises(InputError, match="expected MD5"):
        fetch.fetch(pictures, folder)
    assert left(folder) == []
    assert fetch.fetch(pictures, folder, url=server.url.rstrip("/")) == NAMES


def test_progress_is_told_the_bytes_of_all_files(
    server: Server, pictures: ImageSet, folder: Path
) -> None:
    told: list[tuple[str, int]] = []
    steps: list[int] = []

    @contextmanager
    def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
        told.append((title, total))
        yield steps.append

    fetch.fetch(pictures, folder, progress=progress)
    total = sum(map(len, server.files.values()))
    assert told == [("fetch tiny", total)]
    assert steps == sorted(steps) and steps[-1] == total


# What does not


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_other_bytes_are_one_line_and_not_kept(
    server: Server, pictures: ImageSet, folder: Path, position: int, mirror: bool
) -> None:
    name = NAMES[position]
    content = bytearray(gzip.decompress(server.files[name]))
    content[-1] ^= 1
    server.files[name] = gzip.compress(bytes(content), mtime=0)
    with pytest.raises(InputError, match=f"other bytes than published.*{name}") as caught:
        fetch.fetch(pictures, folder, url=server.url if mirror else None)
    assert "\n" not in str(caught.value)
    assert left(folder) == sorted(NAMES[:position])


@pytest.mark.parametrize("position", [0, 2])
def test_a_body_cut_short_is_unreachable_and_not_kept(
    server: Server, pictures: ImageSet, folder: Path, position: int
) -> None:
    server.answers[NAMES[position]] = truncated
    with pytest.raises(UnreachableError, match=rf"{NAMES[position]} \(cut short\)"):
        fetch.fetch(pictures, folder)
    assert left(folder) == sorted(NAMES[:position])
    server.answers = {}
    assert fetch.fetch(pictures, folder) == NAMES[position:]


def test_a_missing_file_is_unreachable(server: Server, pictures: ImageSet, folder: Path) -> None:
    del server.files[NAMES[1]]
    with pytest.raises(UnreachableError, match=rf"{NAMES[1]} \(status 404\)"):
        fetch.fetch(pictures, folder)
    assert left(folder) == [NAMES[0]]


def test_a_server_that_says_nothing_is_given_up(
    server: Server, pictures: ImageSet, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT", 0.1)
    server.answers[NAMES[0]] = hung
    with pytest.raises(UnreachableError, match="no answer in time"):
        fetch.fetch(pictures, folder)
    assert left(folder) == []


def test_an_endless_answer_is_ended(server: Server, pictures: ImageSet, folder: Path) -> None:
    server.answers[NAMES[0]] = endless
    with pytest.raises(InputError, match="other bytes than published"):
        fetch.fetch(pictures, folder)
    assert server.hung_up.wait(10)
    assert left(folder) == []


def test_an_interrupted_download_leaves_nothing_half_written(
    server: Server, pictures: ImageSet, folder: Path
) -> None:
    first = len(server.files[NAMES[0]])

    @contextmanager
    def stopped(title: str, total: int) -> Iterator[Callable[[int], None]]:
        def advance(done: int) -> None:
            if done > first:
                raise KeyboardInterrupt

        yield advance

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch(pictures, folder, progress=stopped)
    assert left(folder) == [NAMES[0]]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["tiny"]
    assert fetch.fetch(pictures, folder) == NAMES[1:]


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1/", "mnist", "file:///etc", "http://"])
def test_what_is_no_web_address_is_bad_input(pictures: ImageSet, folder: Path, url: str) -> None:
    with pytest.raises(InputError, match="expected http"):
        fetch.fetch(pictures, folder, url=url)
    assert not folder.parent.exists()


# The command


@pytest.fixture
def published() -> Path:
    """The folder with the published files of MNIST."""
    folder = images.find(IMAGE_SETS["mnist"])
    if folder is None:
        pytest.skip(f"no mnist on this machine: set {images.DATA_DIR} or fetch it")
    return folder


@pytest.fixture
def qmoe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """`qmoe` with an empty cache and no data folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(images.DATA_DIR, raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qmoe", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, out, err

    return call


def unused_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def test_a_refused_connection_is_one_line_and_exit_code_4(qmoe, tmp_path) -> None:
    code, out, err = qmoe("data", "fetch", "mnist", "--url", f"http://127.0.0.1:{unused_port()}/")
    assert (code, out) == (4, "")
    assert "could not fetch" in err and err.count("\n") == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["mnits", "wine", "mnist,classes=0/1", ""])
def test_an_unknown_image_set_is_one_line_and_exit_code_2(qmoe, tmp_path, name) -> None:
    code, out, err = qmoe("data", "fetch", name)
    assert (code, out) == (2, "")
    assert "expected one of fashion-mnist, mnist" in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_other_bytes_are_exit_code_2(qmoe, server, tmp_path) -> None:
    server.files = dict.fromkeys((file.name for file in IMAGE_SETS["mnist"].files), b"junk")
    for words in ((), ("--json",)):
        code, out, err = qmoe("data", "fetch", "mnist", "--url", server.url, *words)
        assert (code, out) == (2, "")
        assert "other bytes than published" in err and err.count("\n") == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_training_on_a_set_that_is_not_here_is_exit_code_2(qmoe, tmp_path) -> None:
    out = str(tmp_path / "r")
    code, _, err = qmoe("train", "--data", "mnist,classes=0/1", "--pca", "2", "--out", out)
    assert code == 2 and "qmoe data fetch mnist" in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# The published files are looked for before `qmoe` hides where they are.
def test_a_fetched_set_is_there(published: Path, qmoe, server) -> None:
    names = [file.name for file in IMAGE_SETS["mnist"].files]
    server.files = {name: (published / name).read_bytes() for name in names}

    def present() -> bool:
        rows = json.loads(qmoe("data", "list", "--json")[1])
        return all(row["present"] for row in rows if row["name"] != "fashion-mnist")

    assert not present()
    assert "fetch" in qmoe("data", "list")[1]
    code, out, err = qmoe("data", "fetch", "mnist", "--url", server.url, "--json")
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert made["downloaded"] == names
    assert Path(made["folder"]) == images.cache() / "mnist"
    assert present()
    assert qmoe("data", "fetch", "mnist")[1].endswith("(0 files downloaded)\n")
