"""The first screen: the questions a reader comes with, each answered in a line by the figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from qmoe.report.content import Content
from qmoe.report.device import DeviceTarget
from qmoe.report.hardware import Hardware
from qmoe.report.targets import UNTREATED, TargetRow, Targets
from qmoe.report.words import counted, number, seconds, source_label, typeset


class Answer(NamedTuple):
    """A question, what the figures say, and the id of the section that they stand in."""

    question: str
    text: str
    link: str = ""


def glance(content: Content) -> tuple[Answer, ...]:
    """The five questions of every report; one that nothing was measured for says so."""
    return (
        Answer("Does the quantum router beat its controls?", *_beats(content)),
        Answer("On which targets does it survive?", *_survives(content)),
        Answer("What did mitigation buy?", *_bought(content)),
        Answer("What does it cost?", *_costs(content)),
        Answer("Is any of it from real hardware?", *_real(content)),
    )


def _beats(content: Content) -> tuple[str, str]:
    panels = [panel for section in content.sections for panel in section.panels]
    if not panels:
        return "Not asked: no router was trained here.", ""
    words = dict(content.words)
    judged = sum(times for word, times in words.items() if word != "untuned")
    if not judged:
        text = (
            "Not judged: without equal search budgets that are large enough, differences are only"
        )
        return f"{text} described.", content.sections[0].key
    better = words.get("better", 0)
    told = ", ".join(f"{times} {word}" for word, times in content.words if word != "untuned")
    start = "No" if not better else "Yes" if better == judged else "In part"
    against = counted(judged, "comparison")
    text = f"{start}: {told}, of {against} of a quantum router with the best control of its group."
    return text, content.sections[0].key


def _survives(content: Content) -> tuple[str, str]:
    said = []
    for each in content.parts.hardware:
        said.append(_experiment(each))
    if content.parts.devices:
        found = [t for t in content.parts.devices.targets if not t.note]
        alike = [t.target for t in found if _word(t) == "equivalent"]
        text = f"Equivalent to the exact router on {len(alike)} of {len(found)} emulated devices"
        rest = [f"{t.target} {_word(t)}" for t in found if t.target not in alike]
        said.append(f"{text}{': ' if rest else ''}{', '.join(rest)}.")
    for table in content.parts.targets:
        said += _kept(table)
    link = "hardware" if content.parts.hardware else "devices" if content.parts.devices else ""
    link = link or (content.parts.targets[0].key if content.parts.targets else "")
    return (" ".join(said), link) if said else ("Not asked: no target was run.", "")


def _experiment(found: Hardware) -> str:
    labels = found.labels
    where = f"{labels['target']} ({source_label(str(labels['source']) or 'nothing collected')})"
    return f"{where}: {typeset(found.verdict)}."


def _word(target: DeviceTarget) -> str:
    return target.verdict.partition(": ")[2].partition(" (")[0]


def _kept(table: Targets) -> Iterator[str]:
    """One router on some targets: where its accuracy is shown to fall, without a verdict."""
    rows = [row for row in table.rows if row.ran and row.shots and row.mitigation == UNTREATED]
    if not rows:
        return
    known = [row for row in rows if math.isfinite(row.difference.value)]
    losing = [row.target for row in known if row.difference.high < 0]
    retained = [row.retention.value for row in rows if math.isfinite(row.retention.value)]
    if known:
        lost = f"a loss is shown on {', '.join(losing)}" if losing else "no loss is shown"
        yield (
            f"One router on {counted(len(known), 'target')} "
            f"({_sources(known)}): {lost} against itself, exact."
        )
    if retained:
        low, high = (number(end(retained), ".2f") for end in (min, max))
        span = low if low == high else f"{low} to {high}"
        yield f"Retention {span} on {counted(len(retained), 'target')}, one router."


def _bought(content: Content) -> tuple[str, str]:
    measured = [text for each in content.parts.hardware for text in _treated(each)]
    if measured:
        return f"{' '.join(measured)} Exploratory: not judged.", "hardware"
    if content.parts.devices:
        found = [t for t in content.parts.devices.targets if not t.note]
        said = []
        for merit, texts in (
            ("accuracy", [t.by_accuracy for t in found]),
            ("total variation", [t.by_distance for t in found]),
        ):
            names = [text.partition(":")[0] for text in texts]
            told = ", ".join(
                f"{'nothing' if name == UNTREATED else name} on {names.count(name)}"
                for name in dict.fromkeys(names)
            )
            said.append(f"by {merit}, worth its shots: {told}")
        text = f"On {counted(len(found), 'emulated device')}: {'; '.join(said)}."
        return text, "devices"
    pairs = [pair for table in content.parts.targets for pair in _pairs(table)]
    if not pairs:
        return "Not asked: nothing was mitigated here.", ""
    treatments = " and ".join(dict.fromkeys(treated.mitigation for _, treated in pairs))
    accuracy = _span([t.accuracy.value - raw.accuracy.value for raw, t in pairs])
    distance = _span([t.distance.value - raw.distance.value for raw, t in pairs])
    return (
        f"{treatments.capitalize()} on {counted(len(pairs), 'target')}, one router, equal shots: "
        f"changes accuracy by {accuracy}, total variation by {distance}. Exploratory: not judged.",
        content.parts.targets[0].key,
    )


def _treated(found: Hardware) -> Iterator[str]:
    """What each treatment of an experiment changes, beside its raw counts at an equal budget."""
    raw = next((row for row in found.treatments if row.name == UNTREATED), None)
    for row in found.treatments if raw else ():
        if row is not raw and raw is not None:
            accuracy = number(row.accuracy.value - raw.accuracy.value, "+.3f")
            distance = number(row.distance.value - raw.distance.value, "+.3f")
            where = f"{found.labels['target']} ({source_label(found.source)})"
            yield (
                f"{row.name} on {where}, equal shots: changes accuracy by {accuracy}, "
                f"total variation by {distance}."
            )


def _pairs(table: Targets) -> Iterator[tuple[TargetRow, TargetRow]]:
    raw = {row.target: row for row in table.rows if row.ran and row.mitigation == UNTREATED}
    for row in table.rows:
        if row.ran and row.mitigation != UNTREATED and row.target in raw:
            yield raw[row.target], row


def _span(values: Sequence[float]) -> str:
    low, high = (number(end(values), "+.3f") for end in (min, max))
    return low if low == high else f"{low} to {high}"


def _costs(content: Content) -> tuple[str, str]:
    said, link = [], ""
    for table in content.parts.targets[:1]:
        link = table.key
        if table.baseline and table.timed(table.baseline):
            took = seconds(table.per_thousand(table.baseline))
            said.append(f"Exact on this CPU: {took} s for 1,000 predictions, no fee.")
        timed = [row for row in table.rows if row.shots and table.timed(row)]
        if timed:
            slow = max(timed, key=table.per_thousand)
            said.append(
                f"Simulated targets: up to {seconds(table.per_thousand(slow))} s "
                f"({slow.name}), nothing billed."
            )
    for each in content.parts.hardware:
        billed = ", ".join(each.billed) or "unknown"
        said.append(f"{each.labels['suite']} on {each.labels['target']}: billed {billed}.")
        link = "hardware"
    if not said:
        return "No target was timed or billed.", ""
    return " ".join(said), link


def _real(content: Content) -> tuple[str, str]:
    names = ", ".join(source_label(source) for source in content.sources)
    if content.hardware:
        return f"Some of it: sources are {names}; every table names its own.", "provenance"
    return f"No. Nothing here ran on quantum hardware. Sources: {names}.", "provenance"


def _sources(rows: Sequence[TargetRow]) -> str:
    return ", ".join(dict.fromkeys(source_label(row.source) for row in rows))
