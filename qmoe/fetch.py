"""Downloads of image sets into the user's cache: checked before a file gets its name there."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from qmoe.errors import InputError, QmoeError
from qmoe.idx import SLACK, size
from qmoe.images import File, ImageSet, read_file
from qmoe.progress import Advance, Progress, silent

TIMEOUT = 30.0  # seconds without a byte


class UnreachableError(QmoeError):
    """A server that does not answer, or not with what was asked for."""

    exit_code = 4


def fetch(
    images: ImageSet,
    folder: Path,
    *,
    url: str | None = None,
    progress: Progress = silent,
) -> tuple[str, ...]:
    """Downloads the files of a set that are not in `folder` yet, whole and as published.

    An interrupted download goes on at the file it was at. A damaged file is replaced.

    Args:
        images: the set.
        folder: where its files will lie.
        url: a mirror's folder, in place of the publisher's. Its .gz files may be packed otherwise;
            what is in them is checked all the same.
        progress: told the bytes.

    Returns:
        The names of the files that were downloaded.

    Raises:
        UnreachableError: no connection, a time-out, an answer that is cut short or an error.
        InputError: other bytes than the published ones (they are not kept), or no web address.
    """
    base = f"{(images.url if url is None else url).rstrip('/')}/"
    if not base.startswith(("http://", "https://")):
        raise InputError(
            got=f"url {url!r}", expected="http://... or https://...", do="name a folder on the web"
        )
    missing = [file for file in images.files if not _good(folder, file)]
    if not missing:
        return ()
    folder.parent.mkdir(parents=True, exist_ok=True)
    before = 0
    with (
        TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as made,
        progress(f"fetch {images.name}", sum(file.packed for file in missing)) as advance,
    ):
        for file in missing:
            md5 = file.md5 if url is None else None
            _download(base, file, Path(made), md5, advance, before)
            folder.mkdir(exist_ok=True)
            os.replace(Path(made) / file.name, folder / file.name)
            before += file.packed
    return tuple(file.name for file in missing)


def _good(folder: Path, file: File) -> bool:
    try:
        read_file(folder, file)
    except InputError:
        return False
    return True


def _download(
    base: str, file: File, folder: Path, md5: str | None, advance: Advance, before: int
) -> None:
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel(logging.WARNING)  # else it announces every file
    known = None if md5 is None else f"md5:{md5}"
    most = size(file.shape) + SLACK

    def stream(url: str, to: str, _: object) -> None:
        _stream(url, Path(to), most, lambda done: advance(before + done))

    try:
        pooch.retrieve(base + file.name, known, file.name, folder, downloader=stream)
        read_file(folder, file)
    except RequestException as error:
        raise UnreachableError(
            f"could not fetch {base}{file.name} ({_reason(error)}); nothing of it was kept; "
            "check the connection and try again"
        ) from error
    except ValueError as error:  # pooch's, for another checksum; InputError is one too
        raise InputError(
            got=f"other bytes than published from {base}{file.name}",
            expected=f"sha256 {file.sha256[:12]}... when unpacked" if md5 is None else f"MD5 {md5}",
            do="try again later or name a mirror with --url; the file was not kept",
        ) from error


def _stream(url: str, to: Path, most: int, advance: Advance) -> None:
    """Writes what a server sends, `most` bytes at most."""
    import requests

    # A server that packs for the way would have its packing taken off, and the file's with it.
    headers = {"Accept-Encoding": "identity"}
    done = 0
    with (
        requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as answer,
        to.open("wb") as file,
    ):
        answer.raise_for_status()
        for piece in answer.iter_content(2**16):
            done += len(piece)
            if done > most:
                raise ValueError(f"more than {most} bytes")
            file.write(piece)
            advance(done)


def _reason(error: Exception) -> str:
    """What went wrong, without the layers of the libraries in between."""
    answer = getattr(error, "response", None)
    if answer is not None:
        return f"status {answer.status_code}"
    return {
        "ConnectTimeout": "no answer in time",
        "ReadTimeout": "no answer in time",
        "ChunkedEncodingError": "cut short",
        "SSLError": "no secure connection",
    }.get(type(error).__name__, "the connection failed")
