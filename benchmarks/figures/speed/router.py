"""The router step: forward and backward to the weights, ours beside every peer installed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.figures.speed.peers import OURS, OURS_CACHED, ROUTER_PEERS, RouterPeer, how_to_get
from benchmarks.figures.speed.rows import Row
from benchmarks.figures.speed.timing import first_call, interleaved
from benchmarks.figures.speed.workloads import RouterWork, Step, StepResult

TOLERANCE = 1e-10


def difference(ours: StepResult, other: StepResult) -> float:
    """The largest absolute difference of probabilities and gradients; nan where any is nan."""
    parts = zip(ours, other, strict=True)
    return float(np.max([np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in parts]))


def measure(
    work: RouterWork, *, rounds: int, peers: Sequence[RouterPeer] = ROUTER_PEERS
) -> list[Row]:
    """Rows of one workload: ours first, then the peers that agree with it to 1e-10."""
    ours = OURS.load()(work)
    expected = ours()
    steps: dict[str, Step] = {OURS.name: ours}
    checked: dict[str, tuple[float, float]] = {}
    refused: dict[str, str] = {}
    for peer in (OURS_CACHED, *peers):
        reason = _why_not(peer, work)
        if reason:
            refused[peer.name] = reason
            continue
        step = peer.load()(work)
        first = first_call(step)
        differs = difference(expected, step())
        if not differs <= TOLERANCE:
            refused[peer.name] = f"refused: differs from ours by {differs:.1e} (> {TOLERANCE:.0e})"
            continue
        steps[peer.name], checked[peer.name] = step, (differs, first)

    timings = interleaved(steps, rounds=rounds)
    base = timings[OURS.name].median
    rows = [Row("router", work.title, OURS.name, timings[OURS.name])]
    for peer in (OURS_CACHED, *peers):
        if peer.name in refused:
            rows.append(Row("router", work.title, peer.name, note=refused[peer.name]))
            continue
        differs, first = checked[peer.name]
        timing = timings[peer.name]
        rows.append(
            Row("router", work.title, peer.name, timing, timing.median / base, differs, first)
        )
    return rows


def _why_not(peer: RouterPeer, work: RouterWork) -> str:
    """Why a peer is not run on a workload; empty if it is."""
    if peer.missing:
        return how_to_get(peer.missing)
    if peer.largest is not None and work.qubits > peer.largest:
        return f"not run above {peer.largest} qubits"
    return ""
