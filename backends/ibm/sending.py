"""The requests of IBM's client: none after its time is up, and none that creates anything twice.

The client repeats a POST after 500, 502, 503 and 504, although it may have been accepted before
the reply was lost: a job would run, and be paid, twice. And a call that was given up goes on in a
thread: what had not been asked by then must not be asked any more, least of all a new job.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout
from urllib3.util.retry import Retry

CONNECT_SECONDS = 5.0  # to reach the service, as the client has it
_LOCAL = threading.local()


@dataclass(slots=True)
class Call:
    """One call of the client, in a thread of its own, and the requests that belong to it.

    until: When it is given up, by `time.monotonic`.
    accepted: Whether the service said yes to a request that creates something.
    """

    until: float
    accepted: bool = False

    def run(self, work: Callable[[], Any]) -> Any:
        """What it returns."""
        _LOCAL.call = self
        return work()


class Adapter(HTTPAdapter):
    """Sends requests in the time that their call has left; repeats those that only read."""

    __attrs__ = [*HTTPAdapter.__attrs__, "_once"]  # noqa: RUF012 what a copy keeps

    def __init__(self) -> None:
        again = Retry(total=3, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504))
        super().__init__(max_retries=again)
        self._once = HTTPAdapter(max_retries=0)

    def send(self, request: Any, *args: Any, **options: Any) -> Any:
        """The reply.

        Raises:
            ConnectTimeout: The call was given up before; nothing was sent.
        """
        call: Call | None = getattr(_LOCAL, "call", None)
        if call is not None:
            left = call.until - time.monotonic()
            if left <= 0:
                raise ConnectTimeout("given up before it was sent", request=request)
            options["timeout"] = (min(CONNECT_SECONDS, left), left)
        if request.method == "GET":
            return super().send(request, *args, **options)
        reply = self._once.send(request, *args, **options)
        if call is not None and reply.status_code < 300:
            call.accepted = True
        return reply

    def close(self) -> None:
        """Ends all connections."""
        super().close()
        self._once.close()


def guard(session: Any) -> None:
    """From now on the session sends as above."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
