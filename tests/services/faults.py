"""Faults that a stand-in service injects: the same kinds, in the same words, for every vendor.

A service that has them reads `behaviour["faults"]`, a list of objects, for every request:

    call: Which request: "connect" (whatever describes the account and the device), "create",
        "status", "results", "search", "cancel", "usage".
    kind: One of KINDS.
    times: To how many requests it happens, 1 unless said; -1 to all.
    after: How many requests of this call pass before, 0 unless said.
    seconds: How long a "timeout" or "stall" lasts, 30 unless said.

The first fault that has something left for a request happens to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS: Mapping[str, str] = {
    "400": "a refusal",
    "401": "credentials refused",
    "404": "not found",
    "429": "too many requests",
    "500": "an error of the service before it did anything",
    "503": "the service is away",
    "timeout": "the answer comes after `seconds`, nothing is done before",
    "stall": "the request is carried out, and the answer comes after `seconds`",
    "cut": "the connection ends in the middle of the answer, after the request was carried out",
    "lost": "the request is carried out, and the connection ends without an answer",
    "malformed": "the request is carried out, and the answer is no JSON (no message)",
}
"""Beside these, as plain behaviour of each service: `fail` (words with which new jobs fail),
`hold` (new jobs stay queued), `late` (for how many searches a new job is not listed) and `twice`
(every search lists each job twice)."""


@dataclass
class Faults:
    """What was asked so far, and what went wrong by plan."""

    asked: dict[str, int] = field(default_factory=dict)
    spent: dict[int, int] = field(default_factory=dict)

    def of(self, call: str, behaviour: Mapping[str, Any]) -> dict[str, Any] | None:
        """The fault that happens to this request, if any; called once for each request."""
        before = self.asked.get(call, 0)
        self.asked[call] = before + 1
        for number, fault in enumerate(behaviour.get("faults", ())):
            if fault["kind"] not in KINDS:
                raise ValueError(f"got fault {fault['kind']!r}; expected one of {sorted(KINDS)}")
            times, spent = fault.get("times", 1), self.spent.get(number, 0)
            if fault["call"] != call or before < fault.get("after", 0) or spent == times:
                continue
            self.spent[number] = spent + 1
            return {"seconds": 30.0} | fault
        return None

    def restart(self) -> None:
        """Counts from the beginning: for a new behaviour."""
        self.asked.clear()
        self.spent.clear()
