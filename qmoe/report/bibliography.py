"""The bibliography of a report: the model's paper, the software, and every target, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from qmoe.provenance import Provenance
from qmoe.report.content import Content
from qmoe.report.latex import escaped
from qmoe.report.words import source_label


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: its key, its type, and its fields as plain text."""

    key: str
    kind: str
    fields: tuple[tuple[str, str], ...]


class UsedTarget(NamedTuple):
    """A target as it was used; `calibrated` is "" where that is not known."""

    spec: str
    source: str
    calibrated: str = ""


PAPER: Final = Entry(
    "qmoe",
    "misc",
    (
        ("author", "Heddad and Bouanane"),
        (
            "title",
            "Hybrid Quantum-Classical Mixture of Experts: "
            "Unlocking Topological Advantage via Interference-Based Routing",
        ),
        ("year", "2025"),
        ("eprint", "2512.22296"),
        ("archiveprefix", "arXiv"),
        ("note", "arXiv:2512.22296"),
    ),
)

_PUBLISHED: Final[Mapping[str, tuple[str, tuple[tuple[str, str], ...]]]] = {
    "torch": (
        "inproceedings",
        (
            ("author", "Paszke, Adam and others"),
            ("title", "PyTorch: An Imperative Style, High-Performance Deep Learning Library"),
            ("booktitle", "Advances in Neural Information Processing Systems 32"),
            ("year", "2019"),
            ("eprint", "1912.01703"),
            ("archiveprefix", "arXiv"),
        ),
    ),
    "numpy": (
        "article",
        (
            ("author", "Harris, Charles R. and others"),
            ("title", "Array programming with NumPy"),
            ("journal", "Nature"),
            ("volume", "585"),
            ("year", "2020"),
            ("doi", "10.1038/s41586-020-2649-2"),
        ),
    ),
    "scipy": (
        "article",
        (
            ("author", "Virtanen, Pauli and others"),
            ("title", "SciPy 1.0: fundamental algorithms for scientific computing in Python"),
            ("journal", "Nature Methods"),
            ("volume", "17"),
            ("year", "2020"),
            ("doi", "10.1038/s41592-019-0686-2"),
        ),
    ),
    "scikit-learn": (
        "article",
        (
            ("author", "Pedregosa, Fabian and others"),
            ("title", "Scikit-learn: Machine Learning in Python"),
            ("journal", "Journal of Machine Learning Research"),
            ("volume", "12"),
            ("pages", "2825-2830"),
            ("year", "2011"),
        ),
    ),
    "qiskit": (
        "misc",
        (
            ("author", "Javadi-Abhari, Ali and others"),
            ("title", "Quantum computing with Qiskit"),
            ("year", "2024"),
            ("eprint", "2405.08810"),
            ("archiveprefix", "arXiv"),
        ),
    ),
    "mitiq": (
        "article",
        (
            ("author", "LaRose, Ryan and others"),
            (
                "title",
                "Mitiq: A software package for error mitigation on noisy quantum computers",
            ),
            ("journal", "Quantum"),
            ("volume", "6"),
            ("pages", "774"),
            ("year", "2022"),
            ("doi", "10.22331/q-2022-08-11-774"),
        ),
    ),
}
"""What the makers of a distribution ask to be cited; any other one is cited by its name."""


def bibliography(content: Content) -> tuple[Entry, ...]:
    """What a report rests on: its runs' software and every target that gave it a figure."""
    return entries(content.provenances, used_targets(content))


def used_targets(content: Content) -> tuple[UsedTarget, ...]:
    """The targets that ran, each once per source and calibration date."""
    return tuple(dict.fromkeys(_used(content)))


def entries(
    provenances: Sequence[Provenance], targets: Sequence[UsedTarget] = ()
) -> tuple[Entry, ...]:
    """The paper, each distribution with its versions, and each target; keys are unique."""
    versions: dict[str, list[str]] = {}
    for provenance in provenances:
        for name, version in provenance.versions.items():
            known = versions.setdefault(name, [])
            if version not in known:
                known.append(version)
    made = [PAPER]
    taken = {PAPER.key}
    for name, found in versions.items():
        kind, fields = _PUBLISHED.get(name, ("misc", (("title", name),)))
        note = f"{name} version{'s' if len(found) > 1 else ''} {', '.join(found)}"
        arxiv = dict(fields).get("eprint")
        note = f"{note}; arXiv:{arxiv}" if arxiv else note
        made.append(_entry(name, kind, (*fields, ("note", note)), taken))
    for target in targets:
        note = source_label(target.source)
        if target.calibrated:
            note = f"{note}; calibration of {target.calibrated}"
        fields = (("title", target.spec), ("note", note[:1].upper() + note[1:]))
        made.append(_entry(f"target-{target.spec}", "misc", fields, taken))
    return tuple(made)


def bibtex(found: Sequence[Entry]) -> str:
    """The entries as a file for BibTeX, whose texts LaTeX shows as they are."""
    return "\n".join(_written(entry) for entry in found)


def _used(content: Content) -> Iterator[UsedTarget]:
    for table in content.parts.targets:
        for row in table.rows:
            if row.ran:
                yield UsedTarget(row.target, row.source, row.calibrated)
    for each in content.parts.hardware:
        if each.source:
            calibrated = str(each.labels["calibrated"] or "")[:10]
            yield UsedTarget(str(each.labels["target"]), each.source, calibrated)


def _entry(name: str, kind: str, fields: tuple[tuple[str, str], ...], taken: set[str]) -> Entry:
    key = _key(name, taken)
    # without an author BibTeX sorts by this
    sorted_by = () if "author" in dict(fields) else (("key", key),)
    return Entry(key, kind, (*sorted_by, *fields))


def _key(name: str, taken: set[str]) -> str:
    """A key that BibTeX and LaTeX take, not yet taken."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "entry"
    key, place = plain, 1
    while key in taken:
        place += 1
        key = f"{plain}-{place}"
    taken.add(key)
    return key


def _written(entry: Entry) -> str:
    fields = "".join(f"  {name} = {{{_value(name, text)}}},\n" for name, text in entry.fields)
    return f"@{entry.kind}{{{entry.key},\n{fields}}}\n"


def _value(name: str, text: str) -> str:
    if name in ("doi", "eprint", "archiveprefix", "author", "key"):
        return text
    if name == "pages":
        return text.replace("-", "--")
    shown = escaped(text)
    # Braces keep capitals; an empty pair, as BibTeX changes what begins with a command.
    start = "{}" if shown.startswith("\\") else ""
    return f"{{{start}{shown}}}" if name == "title" else start + shown
