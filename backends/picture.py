"""A native circuit drawn as text: a line per qubit, gates in the layers that they happen in."""

from __future__ import annotations

from collections.abc import Sequence

from qmoe.circuit import Angle, Circuit, Op, affine

WIDTH = 100


def picture(circuit: Circuit, names: Sequence[str] = (), width: int = WIDTH) -> str:
    """The circuit as text; `names` stand before the wires, long circuits go on below.

    Angles are radians with two decimals; x0 is a feature, t0 a free weight.

    >>> print(picture(Circuit(2, (Op("ry", (0,), (0.5,)), Op("cz", (0, 1))), (0, 1))))
    0: ─ry(0.50)─●──M0─
    1: ──────────cz─M1─
    """
    labels = [f"{names[q] if names else q}: " for q in range(circuit.num_qubits)]
    margin = max(map(len, labels))
    columns = [*_columns(circuit), _measurement(circuit)]
    blocks: list[list[str]] = []
    lines = [label.rjust(margin) + "─" for label in labels]
    for column in columns:
        size = max(map(len, column)) + 1
        if len(lines[0]) + size > width and len(lines[0]) > margin + 1:
            blocks.append(lines)
            lines = [label.rjust(margin) + "─" for label in labels]
        lines = [line + cell.ljust(size, "─") for line, cell in zip(lines, column, strict=True)]
    blocks.append(lines)
    return "\n\n".join("\n".join(block) for block in blocks)


def _columns(circuit: Circuit) -> list[list[str]]:
    """A text per wire for every layer; a gate on two qubits keeps the wires between free."""
    level = [0] * circuit.num_qubits
    columns: list[list[str]] = []
    for op in circuit.ops:
        if op.is_mark:
            continue
        spanned = range(min(op.qubits), max(op.qubits) + 1)
        at = max(level[q] for q in spanned)
        for q in spanned:
            level[q] = at + 1
        while len(columns) <= at:
            columns.append([""] * circuit.num_qubits)
        for q in spanned:
            columns[at][q] = "│"
        columns[at][op.qubits[0]] = "●"
        columns[at][op.qubits[-1]] = _name(op)
    return columns


def _measurement(circuit: Circuit) -> list[str]:
    place = {qubit: f"M{k}" for k, qubit in enumerate(circuit.measured)}
    return [place.get(qubit, "") for qubit in range(circuit.num_qubits)]


def _name(op: Op) -> str:
    return f"{op.gate}({','.join(map(_angle, op.angles))})" if op.angles else op.gate


def _angle(angle: Angle) -> str:
    part = affine(angle)
    scales = [(f"x{i}", scale) for i, scale in part.features.items()]
    scales += [(f"t{i}", scale) for i, scale in part.weights.items()]
    text = ""
    for name, scale in scales:
        size = "" if abs(scale) == 1 else f"{abs(scale):.3g}*"
        text += ("-" if scale < 0 else "+" if text else "") + size + name
    if part.offset or not text:
        text += f"{part.offset:+.2f}" if text else f"{part.offset:.2f}"
    return text
