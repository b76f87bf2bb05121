"""The methods paragraph: how a report's figures were made, from what its runs recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qmoe.provenance import Provenance
from qmoe.report.cells import EMULATED
from qmoe.report.content import Content
from qmoe.report.headline import TESTED
from qmoe.report.sections import Panel, Section
from qmoe.report.targets import Targets
from qmoe.report.words import counted, percent, source_label
from qmoe.stats import ALPHA, MARGIN
from qmoe.trial import FEWEST_TRIALS


def methods(content: Content) -> str:
    """The paragraph, plain text: what is known, and nothing of what is not."""
    return " ".join(
        (
            *_trained(content),
            *_judged(content.sections),
            *(_on_targets(table) for table in content.parts.targets),
            *_emulated(content),
            *_experiments(content),
            _devices(content),
            *_made_by(content),
        )
    )


def listed(names: Sequence[str]) -> str:
    """Names as running text has them.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _trained(content: Content) -> Iterator[str]:
    if content.models:
        yield f"Trained: {counted(content.models, 'model')}."
    for section in content.sections:
        alike: dict[tuple[str, ...], list[Panel]] = {}
        for panel in section.panels:
            alike.setdefault(_design(panel), []).append(panel)
        for design, panels in alike.items():
            datasets = listed(list(dict.fromkeys(panel.title for panel in panels)))
            routers = dict.fromkeys(row.router for panel in panels for row in panel.routers)
            told = "; ".join(part for part in design if part)
            yield (
                f"Run {section.run}, study {section.study}, {section.protocol} protocol: "
                f"{counted(len(routers), 'router')} on {datasets}; {told}."
            )


def _design(panel: Panel) -> tuple[str, ...]:
    return (
        panel.seeds,
        f"population {panel.population}",
        f"rows: {panel.split}" if panel.split else "",
        panel.budget,
        f"accuracy on {panel.on}" if panel.on else "",
        panel.source,
    )


def _judged(sections: Sequence[Section]) -> Iterator[str]:
    words = [word for s in sections for panel in s.panels for word in panel.words.values()]
    if any(word in TESTED for word in words):
        yield (
            "Each quantum router was judged against the best control of its group, chosen per "
            f"seed on the validation part, two-sided at {percent(ALPHA)} with Holm's correction: "
            "better or worse where a difference is shown, equivalent where it lies within the "
            f"margin of ±{MARGIN:g} in accuracy (two one-sided tests), inconclusive where neither "
            "is shown."
        )
    if "untuned" in words:
        yield (
            f"Without equal search budgets of at least {FEWEST_TRIALS} trials, or without a "
            "validation part, nothing was judged."
        )


def _on_targets(table: Targets) -> str:
    ran = [row for row in table.rows if row.ran]
    names = dict.fromkeys(
        f"{row.target} ({source_label(row.source) or 'source unknown'}"
        f"{f', calibration of {row.calibrated}' if row.calibrated else ''})"
        for row in ran
    )
    told = f"Targets answered for {table.about}: {listed(list(names))}."
    left = dict.fromkeys(row.target for row in table.rows if not row.ran)
    return f"{told} Not run: {listed(list(left))}." if left else told


def _emulated(content: Content) -> Iterator[str]:
    devices = content.parts.devices
    label = source_label(EMULATED)
    if devices is not None:
        ran = [target.target for target in devices.targets if not target.note]
        yield (
            f"Treatments were compared on emulated devices ({label}): "
            f"{counted(devices.routers, 'router')} {devices.router} on {devices.dataset}, "
            f"{counted(devices.inputs, 'test input')}, {counted(devices.shots, 'shot')} per input; "
            f"{listed(ran)}."
        )
    volumetric = content.parts.volumetric
    if volumetric is not None and volumetric.draws:
        carried = [f"{g.target} ({source_label(g.source)})" for g in volumetric.grids if g.cells]
        yield (
            f"Random circuits, {counted(volumetric.draws, 'draw')} of weights per width and "
            f"depth, were computed for {listed(carried)}."
        )
    if content.parts.noise is not None:
        yield f"Noise curves and breakdown points are {label}."


def _experiments(content: Content) -> Iterator[str]:
    for each in content.parts.hardware:
        at = each.labels
        if not each.source:
            yield f"Plan {each.plan} on {at['target']}: nothing was collected."
            continue
        sources = ", ".join(source_label(source) for source in each.source.split(", "))
        sizes = [
            counted(value, noun)
            for noun in ("router", "input", "shot", "repeat")
            if isinstance(value := at[f"{noun}s"], int)
        ]
        calibrated = f"; compiled for the calibration of {at['calibrated']}"
        yield (
            f"Plan {each.plan}, suite {at['suite']}, ran on {at['target']} ({sources}): "
            f"{', '.join(sizes)}{calibrated if at['calibrated'] else ''}."
        )


def _devices(content: Content) -> str:
    """Whether anything ran on a quantum device."""
    rest = [source_label(source) for source in content.sources if source != "device"]
    told = f": figures are of {listed(rest)}" if rest else ""
    if not content.hardware:
        return f"Nothing ran on a quantum device{told}."
    names = dict.fromkeys(
        str(each.labels["target"])
        for each in content.parts.hardware
        if "device" in each.source.split(", ")
    )
    names |= dict.fromkeys(
        row.target for t in content.parts.targets for row in t.rows if row.source == "device"
    )
    where = f" ({listed(list(names))})" if names else ""
    others = f"; other figures are of {listed(rest)}" if rest else ""
    return f"Part of the figures was measured on quantum hardware{where}{others}."


def _made_by(content: Content) -> Iterator[str]:
    yield from dict.fromkeys(_code(provenance) for provenance in content.provenances)


def _code(provenance: Provenance) -> str:
    commit = f" at commit {provenance.commit}" if provenance.commit else ""
    if provenance.commit and provenance.dirty:
        commit += " with changes that are not committed"
    versions = [f"{name} {version}" for name, version in provenance.versions.items()]
    threads = f", {counted(provenance.threads, 'thread')}" if provenance.threads else ""
    return (
        f"Code: qmoe {provenance.qmoe}{commit}, root seed {provenance.seed}; "
        f"{listed([f'Python {provenance.python}', *versions])} on {provenance.platform}{threads}."
    )
