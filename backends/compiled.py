"""What a target makes of a circuit: native gates, layout, noise in order, and what that costs.

The executable of the vendor is not part of it: that is built when needed and never stored, so a
`Compiled` is a plain value with a JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qmoe.channel import Channel
from qmoe.circuit import GATES, Circuit, Op
from qmoe.errors import InputError
from qmoe.serial import circuit_from_dict, circuit_to_dict, op_from_dict, op_to_dict

if TYPE_CHECKING:
    from qmoe.noise import NoiseModel

Noisy: TypeAlias = tuple[Op | Channel, ...]

FORMAT = 1
MAX_CHARACTERS = 64 * 2**20
MAX_MEASURED = 12  # a confusion matrix has 4^m entries


@dataclass(frozen=True, slots=True)
class Compiled:
    """A circuit compiled for one target.

    Attributes:
        spec: The target.
        native: The compiled circuit in the target's own gates, over its active qubits only,
            numbered from 0; features (and weights) are still free affine angles.
        physical: The target's own name of each native qubit.
        depth: Layers of gates that take time: gates that a target does in software, such as
            IBM's RZ, count nothing.
        two_qubit_gates: How many there are.
        expected_fidelity: Product of the process fidelities of all channels in `noisy` and of
            the mean chance of reading right; None where the noise is not known.
        calibrated_at: When the noise was measured, ISO 8601; None where nothing was.
        noisy: Gates and noise in the order they happen, idle moments included where the vendor
            has them; None where the noise is not known.
        confusion: (2^m, 2^m) over the measured qubits, [read, true], columns sum to 1; None
            where reading is perfect or stands as channels at the end of `noisy`.
        template: Digest of `native` with its weights free; `bind_weights` keeps it.
    """

    spec: str
    native: Circuit
    physical: tuple[str, ...]
    depth: int
    two_qubit_gates: int
    expected_fidelity: float | None
    calibrated_at: str | None
    noisy: Noisy | None
    confusion: NDArray[np.float64] | None = field(compare=False)
    template: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Compiled):
            return NotImplemented
        return self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.spec, self.native, self.physical))

    def bind_weights(self, weights: Iterable[SupportsFloat]) -> Compiled:
        """The same gates on the same qubits with weights (num_weights,) put in, radians."""
        values = [float(value) for value in weights]
        native = self.native.bind_weights(values)
        if self.noisy is None:
            return replace(self, native=native)
        named = dict(enumerate(values))
        noisy = (s if isinstance(s, Channel) else s.bound(named, {}) for s in self.noisy)
        return replace(self, native=native, noisy=tuple(noisy))

    @property
    def num_outcomes(self) -> int:
        """2^m for m measured qubits."""
        return int(2 ** len(self.native.measured))

    def to_json(self) -> str:
        """The canonical JSON text; `from_json` reads it back equal."""
        tree: dict[str, Any] = {
            "format": FORMAT,
            "spec": self.spec,
            "native": circuit_to_dict(self.native),
            "physical": list(self.physical),
            "depth": self.depth,
            "two_qubit_gates": self.two_qubit_gates,
            "template": self.template,
        }
        optional = {
            "expected_fidelity": self.expected_fidelity,
            "calibrated_at": self.calibrated_at,
            "noisy": None if self.noisy is None else [_step_to_dict(step) for step in self.noisy],
            "confusion": None if self.confusion is None else self.confusion.tolist(),
        }
        tree |= {key: value for key, value in optional.items() if value is not None}
        return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @staticmethod
    def from_json(text: str) -> Compiled:
        """The compiled circuit that a JSON text describes; the text is not trusted.

        Raises:
            InputError: It is none, or of a newer format.
        """
        if len(text) > MAX_CHARACTERS:
            raise _damaged(f"{len(text)} characters", f"at most {MAX_CHARACTERS}")
        try:
            tree = json.loads(text)
            return _from_tree(tree)
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _damaged(f"{type(error).__name__}: {error}", "what to_json wrote") from error


def compiled(
    spec: str,
    native: Circuit,
    physical: Sequence[str],
    *,
    noisy: Iterable[Op | Channel] | None,
    confusion: NDArray[np.float64] | None = None,
    calibrated_at: str | None = None,
    virtual: Collection[str] = (),
) -> Compiled:
    """The one way adapters make a `Compiled`: its figures are computed here.

    virtual: Gates that take no time and have no error on the target.
    """
    listed = None if noisy is None else tuple(noisy)
    return Compiled(
        spec=spec,
        native=native,
        physical=tuple(physical),
        depth=depth(native, virtual),
        two_qubit_gates=two_qubit_gates(native),
        expected_fidelity=None if listed is None else _fidelity(listed, confusion),
        calibrated_at=calibrated_at,
        noisy=listed,
        confusion=confusion,
        template=native.digest,
    )


def as_given(spec: str, circuit: Circuit, noise: NoiseModel | None = None) -> Compiled:
    """A circuit that a simulator takes as it is, marks kept, with noise of our own choice."""
    names = [str(qubit) for qubit in range(circuit.num_qubits)]
    if noise is None:
        return compiled(spec, circuit, names, noisy=circuit.ops)
    noisy, confusion = noise.place(circuit), noise.confusion(circuit.measured)
    return compiled(spec, circuit, names, noisy=noisy, confusion=confusion)


def depth(circuit: Circuit, virtual: Collection[str] = ()) -> int:
    """The length of the longest chain of gates that must follow each other.

    >>> depth(Circuit(2, (Op("sx", (0,)), Op("rz", (0,), (1.0,)), Op("cz", (0, 1))), (0,)), {"rz"})
    2
    """
    level = [0] * circuit.num_qubits
    for op in circuit.ops:
        if not op.is_mark and op.gate not in virtual:
            after = 1 + max(level[qubit] for qubit in op.qubits)
            for qubit in op.qubits:
                level[qubit] = after
    return max(level)


def two_qubit_gates(circuit: Circuit) -> int:
    """How many gates act on two qubits."""
    return sum(GATES[op.gate].num_qubits == 2 for op in circuit.ops)


@dataclass(frozen=True, slots=True)
class GateFidelity:
    """One kind of gate on given qubits: how often it stands, and the fidelity of its noise."""

    gate: str
    qubits: tuple[int, ...]
    count: int
    fidelity: float


def gate_fidelities(found: Compiled) -> tuple[GateFidelity, ...]:
    """The mean process fidelity of each gate on each of its qubits, from the noise in order.

    A channel belongs to the last gate before it on one of its qubits; channels before any gate
    are called "idle". Empty where the noise is not known.
    """
    last: dict[int, int] = {}
    keys: list[tuple[str, tuple[int, ...]]] = []
    values: list[float] = []
    for step in found.noisy or ():
        if isinstance(step, Op):
            if not step.is_mark:
                last |= dict.fromkeys(step.qubits, len(keys))
                keys.append((step.gate, step.qubits))
                values.append(1.0)
            continue
        owners = [last[q] for q in step.qubits if q in last]
        if not owners:
            keys.append(("idle", step.qubits))
            values.append(1.0)
            owners = [len(keys) - 1]
        values[max(owners)] *= step.fidelity
    table: dict[tuple[str, tuple[int, ...]], list[float]] = {}
    for key, value in zip(keys, values, strict=True):
        table.setdefault(key, []).append(value)
    return tuple(
        GateFidelity(gate, qubits, len(each), float(np.mean(each)))
        for (gate, qubits), each in table.items()
    )


def _fidelity(noisy: Noisy, confusion: NDArray[np.float64] | None) -> float:
    total = 1.0 if confusion is None else float(np.mean(np.diag(confusion)))
    for step in noisy:
        if isinstance(step, Channel):
            total *= step.fidelity
    return total


def _step_to_dict(step: Op | Channel) -> dict[str, Any]:
    return op_to_dict(step) if isinstance(step, Op) else step.to_dict()


def _from_tree(tree: dict[str, Any]) -> Compiled:
    found = tree.pop("format", None)
    if type(found) is not int or not 1 <= found <= FORMAT:
        raise _damaged(f"format {found!r}", f"format {FORMAT} or older")
    native = circuit_from_dict(tree.pop("native"))
    noisy, confusion = tree.pop("noisy", None), tree.pop("confusion", None)
    spec, template = tree.pop("spec"), tree.pop("template")
    made = Compiled(
        spec=_text(spec),
        native=native,
        physical=tuple(map(_text, tree.pop("physical"))),
        depth=int(tree.pop("depth")),
        two_qubit_gates=int(tree.pop("two_qubit_gates")),
        expected_fidelity=tree.pop("expected_fidelity", None),
        calibrated_at=tree.pop("calibrated_at", None),
        noisy=None if noisy is None else tuple(map(_step_from_dict, noisy)),
        confusion=None if confusion is None else _confusion(confusion, len(native.measured)),
        template=_text(template),
    )
    if tree:
        raise _damaged(f"the key {next(iter(tree))!r}", "no other keys")
    if len(made.physical) != native.num_qubits:
        raise _damaged(f"{len(made.physical)} physical qubits", f"{native.num_qubits}")
    for step in made.noisy or ():
        if step.qubits and max(step.qubits) >= native.num_qubits:
            raise _damaged(f"noise on qubit {max(step.qubits)}", f"less than {native.num_qubits}")
    return made


def _step_from_dict(tree: Any) -> Op | Channel:
    return op_from_dict(tree) if "gate" in tree else Channel.from_dict(tree)


def _confusion(rows: Any, measured: int) -> NDArray[np.float64]:
    size = 2**measured if measured <= MAX_MEASURED else 0
    matrix = np.array(rows, dtype=np.float64)
    sound = matrix.shape == (size, size) and bool(np.isfinite(matrix).all())
    if not sound or (matrix < 0).any() or not np.allclose(matrix.sum(0), 1, atol=1e-9):
        raise _damaged(
            f"a confusion matrix of shape {matrix.shape}", f"({size}, {size}), [read, true]"
        )
    return matrix


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _damaged(repr(value)[:60], "a text")
    return value


def _damaged(got: str, expected: str) -> InputError:
    return InputError(
        got=f"a compiled circuit with {got}", expected=expected, do="compile the circuit again"
    )
