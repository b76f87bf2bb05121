"""An account on IBM's platform: the real client, how long it may take, and errors in one line.

Credentials are the client's own (environment or saved account) and are handled by it alone;
nothing here stores or shows one.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backends.ibm.failures import explained, quiet
from backends.registry import require
from backends.remote import CALL_SECONDS, LOCAL, within, words
from qmoe.errors import CredentialsError, InputError, QmoeError, UnreachableError, unknown
from qmoe.record import Source

TOKEN, URL, IAM = "QISKIT_IBM_TOKEN", "QISKIT_IBM_URL", "IAM_URL"  # as the client reads them
SAVED = ".qiskit/qiskit-ibm.json"
OWN_HOSTS = re.compile(r"^(private\.)?([a-z]+-[a-z]+\.)?quantum\.cloud\.ibm\.com$")
OWN_IAM = ("", "https://iam.cloud.ibm.com")
LOAD_SECONDS = 120.0  # an account may have many instances, and each is asked
PAGE = 50  # jobs of one reply
QUOTED = re.compile(r"(?i)\b(bearer|apikey)[\s=:]+[^\s'\",&]+")


class Account:
    """The client of an account and one of its devices; no text of it shows a credential."""

    def __init__(self, client: Any, device: Any, seconds: float | None = None) -> None:
        from backends.ibm.sending import Call, guard

        self._client, self.device, self._seconds, self._call = client, device, seconds, Call
        for each in client._api_clients.values():
            guard(each._session)

    @property
    def source(self) -> Source:
        """Where results of the device come from."""
        simulated = bool(self.device.configuration().simulator or self.device.is_mock)
        return source(self.device._api_client._session.base_url, simulated, os.environ)

    def tagged(self, tag: str, since: datetime) -> tuple[str, ...]:
        """The ids of the jobs with a tag that were created at `since` or later."""
        # not the client's own `jobs`, which asks for ever where the list changes meanwhile
        ask = self.device._api_client.jobs_get
        after = since.astimezone(UTC)

        def search() -> tuple[str, ...]:
            found: dict[str, None] = {}
            seen, count = 0, 1
            while seen < count:
                reply = ask(
                    limit=PAGE,
                    skip=seen,
                    job_tags=[tag],
                    created_after=after,
                    include_mocks=True,
                )
                page, count = reply["jobs"], int(reply["count"])
                found |= {_text(job["id"]): None for job in page if tag in job.get("tags", [tag])}
                seen += len(page)
                if seen < count and not page:
                    raise QmoeError(f"IBM's list of jobs tagged {tag} ends at {seen} of {count}")
            return tuple(found)

        return tuple(self.ask(f"jobs tagged {tag}", search))

    def left(self) -> float | None:
        """Seconds of the device that the instance has left; None where it has no limit."""

        def read() -> float | None:
            found = self._client.usage().get("usage_remaining_seconds")
            return None if found is None else amount(found)

        found: float | None = self.ask("the usage of the instance", read)
        return found

    def job(self, name: str) -> Any:
        """The vendor's job of an id, from whatever process it was sent.

        Raises:
            InputError: The account has no such job.
        """
        return self.ask(f"job {name}", lambda: self._client.job(name))

    def ask(
        self,
        what: str,
        call: Callable[[], Any],
        *,
        seconds: float = CALL_SECONDS,
        do: str = "check the network, or try again later",
    ) -> Any:
        """What a call of the client returns; its errors in one line with the right exit code.

        what: What is asked for, "job ...".
        seconds: How long it may take unless the account was opened with a limit; the client sets
            none for some requests.
        do: What to do when there was no answer.
        """
        limit = self._seconds or seconds
        asked = self._call(time.monotonic() + limit)
        with quiet():
            try:
                return within(limit, lambda: asked.run(call))
            except QmoeError:
                raise
            except Exception as error:  # the client lets through whatever a reply makes of it
                # from None: what the service said may quote the request, credentials and all
                said = self.said(getattr(error, "message", error))
                if asked.accepted:  # whatever went wrong after that is no refusal
                    raise UnreachableError(
                        got=f"no usable answer for {what}, which IBM accepted ({said})",
                        expected="a reply",
                        do=do,
                    ) from None
                raise explained(what, error, said, do) from None

    def said(self, text: object) -> str:
        """The service's words on one line, without credentials in case it quotes what it got."""
        token = str((self._client.active_account() or {}).get("token") or "")
        shown = str(text).replace(token, "***") if token else str(text)
        return words(QUOTED.sub(r"\1 ***", shown))


def missing(environment: Mapping[str, str] | None = None, home: Path | None = None) -> str | None:
    """What to set before a device can be asked, by name; None where credentials may be there.

    >>> missing({}, Path("/nowhere"))
    'QISKIT_IBM_TOKEN (and QISKIT_IBM_INSTANCE), or save an account in ~/.qiskit/qiskit-ibm.json'
    """
    named = os.environ if environment is None else environment
    file = (Path.home() if home is None else home) / SAVED
    if named.get(TOKEN) or file.is_file():
        return None
    return f"{TOKEN} (and QISKIT_IBM_INSTANCE), or save an account in ~/{SAVED}"


def connect(name: str, seconds: float | None = None) -> Account:
    """The account of the environment, or else the saved one, with the device of this name.

    seconds: How long each call may take; None: as long as its kind may.

    Raises:
        CredentialsError: There are none, or IBM refuses them.
        InputError: The account has no such device; with the nearest match.
        UnreachableError: No answer.
    """
    if (what := missing()) is not None:
        raise CredentialsError(
            got=f"device {name} without credentials",
            expected="an account on IBM's quantum platform",
            do=f"set {what}",
        )
    for variable in (URL, IAM):
        _check_encrypted(variable, os.environ.get(variable, ""))
    runtime = require("ibm", "qiskit_ibm_runtime")
    url = os.environ.get(URL, "")
    # The client makes the address of an instance's region of any other.
    resolver = (lambda *_: url) if _is_local(url) else None

    def open_() -> tuple[Any, set[str]]:
        client = runtime.QiskitRuntimeService(url_resolver=resolver)
        listed = client._backends_info_per_instance.values()
        return client, {str(device["name"]) for devices in listed for device in devices}

    with quiet() as swallowed:
        try:
            client, names = within(seconds or LOAD_SECONDS, open_)
            if name in names:
                device = within(seconds or LOAD_SECONDS, lambda: client.backend(name))
                return Account(client, device, seconds)
            if not names and swallowed:
                raise swallowed[-1]
        except Exception as error:  # as above; the words may be about the API key: left out
            cause = swallowed[-1] if swallowed else error
            raise explained(f"IBM's platform for {name}", cause, "", "try again later") from None
    if not names:
        raise InputError(
            got=f"device {name}",
            expected="an instance that has devices",
            do="check QISKIT_IBM_INSTANCE",
        )
    raise unknown("device of this IBM account", name, names)


def source(endpoint: str, simulated: bool, environment: Mapping[str, str]) -> Source:
    """Where results come from: a device is one only at IBM's own addresses.

    >>> source("https://eu-de.quantum.cloud.ibm.com/api/v1", False, {})
    'device'
    >>> source("http://127.0.0.1:8000", False, {})
    'loopback'
    """
    parts = urlsplit(endpoint)
    own = parts.scheme == "https" and OWN_HOSTS.match(parts.hostname or "") is not None
    if not own or environment.get(IAM, "").rstrip("/") not in OWN_IAM:
        return "loopback"
    return "hosted-simulator" if simulated else "device"


def amount(value: object) -> float:
    """A number of seconds that a service named.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{value!r} is no number of seconds")
    if not 0 <= value < math.inf:
        raise ValueError(f"{value!r} seconds")
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 1000:
        raise ValueError("the id of a job is none")
    return value


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in LOCAL


def _check_encrypted(variable: str, url: str) -> None:
    if url and not _is_local(url) and urlsplit(url).scheme != "https":
        raise InputError(
            got=f"an address in {variable} that is not https",
            expected="https://HOST, or http://127.0.0.1:PORT",
            do="correct the variable: the API key is sent there",
        )
