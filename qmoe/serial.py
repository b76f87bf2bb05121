"""Circuits as text: canonical JSON both ways, the digest, and OpenQASM 3 out.

The reader does not trust its text: size and counts are bounded, unknown keys, wrong types,
doubled keys and formats newer than this one are refused. What the writer leaves out is the
default: `scale` 1, `offset` 0, no angles, no features, no weights.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Mapping
from typing import Any, NoReturn

from qmoe.angles import normal
from qmoe.circuit import GATES, Angle, Circuit, Feature, Op, Sum, Weight, affine, angle_of
from qmoe.errors import InputError, unknown

FORMAT = 1
MAX_CHARACTERS = 32 * 2**20
MAX_COUNT = 100_000  # of qubits, features and weights: text must not choose how much we allocate
_DIGITS = 12


def to_json(circuit: Circuit) -> str:
    """The canonical JSON text of a circuit: keys sorted, no spaces, defaults left out."""
    return _text(circuit_to_dict(circuit))


def digest(circuit: Circuit) -> str:
    """The SHA-256 (hex) of the canonical JSON with angles rounded to 12 decimal places."""
    return hashlib.sha256(_text(circuit_to_dict(circuit, digits=_DIGITS)).encode()).hexdigest()


def from_json(text: str) -> Circuit:
    """The circuit that a JSON text describes.

    Raises:
        InputError: The text is too long, no JSON, or no circuit of a known format.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            got=f"a circuit of {len(text)} characters",
            expected=f"at most {MAX_CHARACTERS}",
            do="check that this is a circuit file",
        )
    try:
        tree = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(
            got=f"text that is no JSON ({error})",
            expected="the JSON of a circuit",
            do="check that the file is whole",
        ) from error
    return circuit_from_dict(tree)


def circuit_to_dict(circuit: Circuit, *, digits: int | None = None) -> dict[str, Any]:
    """The JSON tree of a circuit; `digits` rounds its angles to so many decimal places."""
    tree = {
        "format": FORMAT,
        "num_qubits": circuit.num_qubits,
        "measured": list(circuit.measured),
        "ops": [op_to_dict(op, digits=digits) for op in circuit.ops],
    }
    if circuit.num_features:
        tree["num_features"] = circuit.num_features
    if circuit.num_weights:
        tree["num_weights"] = circuit.num_weights
    return tree


def circuit_from_dict(tree: object) -> Circuit:
    """The circuit of a JSON tree that is not trusted; InputError if it is none."""
    fields = _fields(
        tree,
        "circuit",
        required=("format", "num_qubits", "measured", "ops"),
        optional=("num_features", "num_weights"),
    )
    _check_format(fields["format"])
    counts = {key: fields.get(key, 0) for key in ("num_qubits", "num_features", "num_weights")}
    for key, count in counts.items():
        if isinstance(count, int) and count > MAX_COUNT:
            raise InputError(
                got=f"{key} {count}", expected=f"at most {MAX_COUNT}", do=f"correct the {key}"
            )
    ops = tuple(map(op_from_dict, _listed(fields["ops"], "ops")))
    return Circuit(ops=ops, measured=tuple(_listed(fields["measured"], "measured")), **counts)


def op_to_dict(op: Op, *, digits: int | None = None) -> dict[str, Any]:
    """The JSON tree of one op."""
    tree: dict[str, Any] = {"gate": op.gate, "qubits": list(op.qubits)}
    if op.angles:
        tree["angles"] = [_angle_to_json(angle, digits) for angle in op.angles]
    return tree


def op_from_dict(tree: object) -> Op:
    """The op of a JSON tree that is not trusted; InputError if it is none."""
    fields = _fields(tree, "op", required=("gate", "qubits"), optional=("angles",))
    gate = fields["gate"]
    if not isinstance(gate, str) or gate not in GATES:
        raise unknown("gate", reprlib.repr(gate).strip("'"), GATES)
    angles = tuple(map(_angle_from_json, _listed(fields.get("angles", []), "angles")))
    return Op(gate, tuple(_listed(fields["qubits"], "qubits")), angles)


def to_qasm3(circuit: Circuit) -> str:
    """The circuit as OpenQASM 3 text.

    Free features and weights are the inputs `x_0`, `x_1`, ... and `theta_0`, ... in radians.
    Marks vanish; a barrier stands before the measurement. Read as an unsigned integer, the
    register `c` is the outcome index: its highest bit is the first measured qubit.
    """
    names = {op.gate for op in circuit.ops}
    rows = [row for row in GATES.values() if row.name in names and row.definition]
    top = len(circuit.measured) - 1
    lines = [
        "OPENQASM 3.0;",
        'include "stdgates.inc";',
        *(f"input float[64] x_{index};" for index in range(circuit.num_features)),
        *(f"input float[64] theta_{index};" for index in range(circuit.num_weights)),
        *(row.definition for row in rows),
        f"qubit[{circuit.num_qubits}] q;",
        f"bit[{top + 1}] c;",
        *(_qasm_call(op) for op in circuit.ops if not op.is_mark),
        "barrier q;",
        *(f"c[{top - k}] = measure q[{qubit}];" for k, qubit in enumerate(circuit.measured)),
    ]
    return "\n".join(lines) + "\n"


def _qasm_call(op: Op) -> str:
    angles = f"({', '.join(map(_qasm_angle, op.angles))})" if op.angles else ""
    return f"{GATES[op.gate].qasm}{angles} {', '.join(f'q[{qubit}]' for qubit in op.qubits)};"


def _qasm_angle(angle: Angle) -> str:
    part = affine(angle)
    terms = [(f"x_{index}", scale) for index, scale in part.features.items()]
    terms += [(f"theta_{index}", scale) for index, scale in part.weights.items()]
    texts = [name if scale == 1.0 else f"{scale!r} * {name}" for name, scale in terms]
    if part.offset or not texts:
        texts.append(repr(part.offset))
    return " + ".join(texts)


def _text(tree: Mapping[str, Any]) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _angle_to_json(angle: Angle, digits: int | None) -> Any:
    if digits is not None:
        part = affine(angle)
        features, weights = (
            {index: round(scale, digits) for index, scale in scales.items()}
            for scales in (part.features, part.weights)
        )
        angle = angle_of(features, weights, round(part.offset, digits))
    if isinstance(angle, Sum):
        tree: dict[str, Any] = {"terms": [_angle_to_json(term, None) for term in angle.terms]}
        return tree | ({"offset": angle.offset} if angle.offset else {})
    if isinstance(angle, Feature | Weight):
        kind = "feature" if isinstance(angle, Feature) else "weight"
        return {kind: angle.index} | ({"scale": angle.scale} if angle.scale != 1.0 else {})
    return angle


def _angle_from_json(tree: Any) -> Angle:
    if not isinstance(tree, dict):
        return normal(tree)
    if "terms" in tree:
        fields = _fields(tree, "angle", required=("terms",), optional=("offset",))
        terms = tuple(map(_angle_from_json, _listed(fields["terms"], "terms")))
        return Sum(terms, fields.get("offset", 0.0))  # type: ignore[arg-type]
    if "feature" in tree:
        return Feature(*_fields(tree, "angle", ("feature",), ("scale",)).values())
    return Weight(*_fields(tree, "angle", ("weight",), ("scale",)).values())


def _fields(
    tree: object, what: str, required: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, Any]:
    """The object's entries in the order asked for, with nothing missing and nothing more."""
    if not isinstance(tree, dict):
        raise InputError(
            got=f"{what} {reprlib.repr(tree)}",
            expected="a JSON object",
            do="write it with Circuit.to_json",
        )
    for key in required:
        if key not in tree:
            raise InputError(
                got=f"{what} without {key!r}",
                expected=f"the keys {', '.join(required)}",
                do="check that the file is whole",
            )
    for key in tree:
        if key not in required + optional:
            raise unknown(f"{what} key", reprlib.repr(key).strip("'"), required + optional)
    return {key: tree[key] for key in required + optional if key in tree}


def _listed(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(
            got=f"{what} {reprlib.repr(value)}",
            expected="a JSON list",
            do="write it with Circuit.to_json",
        )
    return value


def _check_format(number: object) -> None:
    if isinstance(number, int) and not isinstance(number, bool) and number > FORMAT:
        raise InputError(
            got=f"a circuit of format {number}, newer than this program",
            expected=f"format {FORMAT} or older",
            do="update qmoe-bench",
        )
    if number != FORMAT or isinstance(number, bool | float):
        raise InputError(
            got=f"circuit format {reprlib.repr(number)}",
            expected=f"format {FORMAT}",
            do="write it with Circuit.to_json",
        )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise InputError(
            got="a JSON object with a doubled key",
            expected="each key once",
            do="write it with Circuit.to_json",
        )
    return tree


def _no_constant(name: str) -> NoReturn:
    raise InputError(
        got=f"the number {name}", expected="finite numbers", do="write it with Circuit.to_json"
    )
