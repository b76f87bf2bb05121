"""IonQ's API behind its Cirq client: jobs sent once, asked for with a time limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backends.queued import BusyError, RefusedError
from backends.registry import require
from backends.remote import CALL_SECONDS, within, words
from qmoe.errors import CredentialsError, InputError, QmoeError, UnreachableError

KEYS = ("CIRQ_IONQ_API_KEY", "IONQ_API_KEY")  # in the order in which the client looks
PAGE, PAGES = 100, 100  # jobs of a page of the list, most pages
RETRY_SECONDS = 2  # of calls that change nothing; the client doubles its delays up to this


class Service:
    """The service at a host, with an API key that no message of it shows."""

    def __init__(self, host: str, key: str, seconds: float = CALL_SECONDS) -> None:
        self._key, self._seconds = key, seconds
        service = require("cirq", "cirq_ionq").Service
        # The private client, as the service's create_batch_job asks for the job after creating it
        # and drops the id if that fails. A POST whose reply is lost may have been accepted, so
        # that it is never sent again; all others may be.
        self._once, self._often = (
            service(remote_host=host, api_key=key, max_retry_seconds=seconds)._client
            for seconds in (0, RETRY_SECONDS)
        )

    def create(
        self,
        circuits: Sequence[Any],
        metadata: Mapping[str, str],
        *,
        target: str,
        shots: int,
        name: str,
    ) -> str:
        """The id of a new job of native cirq.Circuits; one POST, whatever becomes of it.

        metadata: Kept with the job, in place of what the client says of every circuit.
        """
        import cirq_ionq

        program = cirq_ionq.Serializer().serialize_many_circuits(list(circuits))
        for op in (op for each in program.body["circuits"] for op in each["circuit"]):
            if op["gate"] == "zz":  # the client says "phase", the API "angle"
                op["angle"] = op.pop("phase")
        body = {
            "target": target,
            "lang": "json",
            "body": program.body,
            "name": name,
            "metadata": {**metadata, "shots": str(shots)},
            "shots": str(shots),
        }
        made = self._ask(
            lambda: self._call(self._once, "POST", json=body),
            do=f"look for a job named {name} before sending again: it may have been accepted",
        )
        if not (isinstance(made, dict) and isinstance(made.get("id"), str) and made["id"]):
            raise QmoeError(f"IonQ's reply to job {name} has no id: {self.said(made)}")
        return str(made["id"])

    def named(self, name: str) -> tuple[str, ...]:
        """The ids of the jobs with a name; not of the circuits of a job, if those are listed too.

        Raises:
            QmoeError: There are more jobs than the service was asked for.
        """
        found, parts = self._ask(lambda: self._listed(name))
        return tuple(each for each in dict.fromkeys(found) if each not in parts)

    def _listed(self, name: str) -> tuple[list[str], set[str]]:
        """The ids of the listed jobs with a name, and of all parts of other jobs.

        The client's own list_jobs goes back to the first page where the last one has "next": null,
        as IonQ's has, and sends the limit where the API does not look for it.
        """
        found, parts, token = [], set(), None
        for _ in range(PAGES):
            page = self._call(self._often, "GET", params={"limit": PAGE, "next": token})
            for job in page["jobs"]:
                parts |= {part for part in job.get("children") or () if part != job["id"]}
                if job.get("name") == name:
                    found.append(str(job["id"]))
            if not (token := page.get("next")):
                return found, parts
        raise QmoeError(
            f"IonQ lists more than {PAGES} pages of jobs: what is on the rest is unknown"
        )

    def _call(self, client: Any, method: str, **more: Any) -> Any:
        """The JSON reply to a request for jobs, as the client makes it, but with time limits.

        Without one, a connection that is made late would send a job that was given up.
        """
        import requests

        def send() -> requests.Response:
            limits = (self._seconds / 4, self._seconds)  # to connect, and for the next bytes
            url = f"{client.url}/jobs"
            return requests.request(method, url, headers=client.headers, timeout=limits, **more)

        return client._make_request(send, more.get("json", {})).json()

    def job(self, name: str) -> dict[str, Any]:
        """What the service says of a job."""
        return self._tree(lambda: self._often.get_job(name), name)

    def results(self, name: str) -> dict[str, Any]:
        """The results of a job that is done."""
        return self._tree(lambda: self._often.get_results(name), name)

    def cancel(self, name: str) -> None:
        """Cancels a job."""
        self._ask(lambda: self._often.cancel_job(name), name)

    def said(self, text: object) -> str:
        """The service's words, without the key in case it quotes what it was sent."""
        return words(str(text).replace(self._key, "..."))

    def _tree(self, call: Callable[[], Any], name: str) -> dict[str, Any]:
        found = self._ask(call, name)
        if not isinstance(found, dict):
            raise QmoeError(f"IonQ's reply about job {name} cannot be read ({self.said(found)})")
        return found

    def _ask(
        self,
        call: Callable[[], Any],
        name: str | None = None,
        *,
        do: str = "check the network, or try again later",
    ) -> Any:
        from cirq_ionq import IonQException

        try:
            return within(self._seconds, call)
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # of no usable JSON
            raise QmoeError(f"IonQ's reply cannot be read ({self.said(error)})") from error
        except TimeoutError as error:
            raise UnreachableError(
                got=f"no answer of IonQ's service ({words(error)})",
                expected="a reply",
                do=do,
            ) from error
        except IonQException as error:
            if error.status_code in (401, 403):
                raise CredentialsError(
                    got="an API key that IonQ refuses",
                    expected=f"a valid one in {' or '.join(KEYS)}",
                    do="check it in the IonQ console",
                ) from None  # the error may quote the key
            if error.status_code == 429:
                raise BusyError(
                    got="IonQ's service, which is busy", expected="a reply", do="try again later"
                ) from None
            if error.status_code == 404 and name is not None:
                raise InputError(
                    got=f"job {name}",
                    expected="a job of this account",
                    do="check the id and the account",
                ) from error
            said = str(error)  # which repeats the whole request first
            reply = self.said(said.partition("Response Body:")[2] or said)
            if 400 <= (error.status_code or 0) < 500 and error.status_code != 408:  # a time-out
                raise RefusedError(f"IonQ refused: {reply}") from None
            raise QmoeError(f"IonQ gave no usable answer: {reply}") from None
