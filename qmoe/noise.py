"""A noise model as a plain value: which channels, how strong, and where they are placed.

Placement changes the effect several times over at equal strength, so it is part of a model's
name. A model acts on the circuit as given: simplify first, or do not, and say which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float64

from qmoe import channels, readout
from qmoe.angles import finite, scaled
from qmoe.arrays import Floats
from qmoe.channel import Channel
from qmoe.circuit import GATES, Circuit, Op
from qmoe.errors import InputError, unknown

PLACEMENTS = ("gate", "wire", "layer", "end", "notebook")
CONVENTIONS = ("pauli", "lambda")


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Channels of given strengths at given places; all zero is no noise.

    Placed channels act on one wire, but for depolarizing noise with placement "gate", which is a
    k-qubit channel after a k-qubit gate. Coherent errors belong to the gates whatever the
    placement: a rotation about an axis of given angle turns (1 + excess) times too far, which
    stays an affine angle; a fixed gate U is followed by U^excess. Diagonal one-qubit gates (rz,
    z, s) are changes of frame on devices and turn exactly.

    Attributes:
        placement: "gate" after each gate; "wire" on each wire of each gate; "layer" on each wire
            at each mark_layer; "end" on each wire before the measurement; "notebook" on each
            wire at each mark_embedding and before the measurement (the published code).
        convention: What `depolarizing` is: "pauli", the probability of a non-identity Pauli, or
            "lambda", Aer's share of the maximally mixed state.
        depolarizing: Its strength.
        depolarizing2: Its strength after two-qubit gates, placement "gate" only; None: the same.
        px, py, pz: Probabilities of single Paulis.
        amplitude_damping: The probability of decay; `excited` is the population it ends in.
        phase_damping: 1 - (factor of the coherences)^2.
        t1, t2, time: Relaxation times and the time spent at each place, in one unit.
        excited: The excited population of amplitude damping and thermal relaxation.
        over_rotation: The excess of one-qubit gates.
        over_rotation2: The excess of two-qubit gates: CZ^excess after a CZ.
        crosstalk: The angle of an RZZ between each qubit of a two-qubit gate and each neighbour
            on the line (index one off) that the gate leaves out, radians.
        read_1_of_0, read_0_of_1: Chances to misread a measured qubit.
        readout_pair: The chance that two qubits next to each other in `measured` are both
            flipped, beyond what happens to each.

    Raises:
        InputError: An unknown placement or convention, or a strength without a channel.
    """

    placement: str = "gate"
    convention: str = "pauli"
    depolarizing: float = 0.0
    depolarizing2: float | None = None
    px: float = 0.0
    py: float = 0.0
    pz: float = 0.0
    amplitude_damping: float = 0.0
    phase_damping: float = 0.0
    t1: float = np.inf
    t2: float = np.inf
    time: float = 0.0
    excited: float = 0.0
    over_rotation: float = 0.0
    over_rotation2: float = 0.0
    crosstalk: float = 0.0
    read_1_of_0: float = 0.0
    read_0_of_1: float = 0.0
    readout_pair: float = 0.0

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise unknown("placement", self.placement, PLACEMENTS)
        if self.convention not in CONVENTIONS:
            raise unknown("convention", self.convention, CONVENTIONS)
        if self.depolarizing2 is not None and self.placement != "gate":
            raise InputError(
                got=f"depolarizing2 with placement {self.placement!r}",
                expected="placement 'gate', the only one with two-qubit channels",
                do="leave it out",
            )
        for value in (self.over_rotation, self.over_rotation2, self.crosstalk):
            finite(value, "coherent error")
        channels.probability(self.excited, "excited population")
        # every channel that placing can need is built once, so that bad strengths show up here
        list(self._on_wire(0))
        list(self._depolarizing((0,)))
        if self.placement == "gate":
            list(self._depolarizing((0, 1)))
        self.confusion((0, 1))

    @staticmethod
    def parse(options: Mapping[str, str]) -> NoiseModel:
        """The model that a spec's options name: its attributes, and `readout` for both misreadings.

        Raises:
            InputError: An unknown option, a value that is no number, or no such channel.

        >>> print(NoiseModel.parse({"depolarizing": "0.02", "readout": "0.01"}))
        placement=gate,depolarizing=0.02,read_1_of_0=0.01,read_0_of_1=0.01
        """
        read: dict[str, str | float] = {}
        for name, text in options.items():
            if name in ("placement", "convention"):
                read[name] = text
            elif name == "readout":
                read["read_1_of_0"] = read["read_0_of_1"] = _number(name, text)
            elif name in OPTIONS:
                read[name] = _number(name, text)
            else:
                raise unknown("noise option", name, OPTIONS)
        return replace(NoiseModel(), **read)  # type: ignore[arg-type]

    def options(self) -> dict[str, str]:
        """The options that `parse` reads back equal; the placement is always among them."""
        named = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "placement" or value != field.default:
                named[field.name] = value if isinstance(value, str) else repr(float(value))
        return named

    def __str__(self) -> str:
        """The model's name: its options as a spec writes them."""
        return ",".join(f"{name}={value}" for name, value in self.options().items())

    def place(self, circuit: Circuit) -> tuple[Op | Channel, ...]:
        """The ops of the circuit as given with the channels in between, marks kept.

        Raises:
            InputError: The placement needs marks that the circuit does not have.
        """
        needed = {"layer": "mark_layer", "notebook": "mark_embedding"}.get(self.placement)
        if needed and not any(op.gate == needed for op in circuit.ops):
            raise InputError(
                got=f"placement {self.placement!r} on a circuit without {needed}",
                expected="a circuit from qmoe.ansatz; marks vanish when a vendor compiles",
                do="use placement=gate, wire or end",
            )
        wires = tuple(range(circuit.num_qubits))
        steps: list[Op | Channel] = []
        for op in circuit.ops:
            if op.is_mark:
                steps.append(op)
                if op.gate == needed:
                    steps += self._on_wires(op.qubits or wires)
                continue
            steps += self._turned(op)
            steps += self._spread(op, circuit.num_qubits)
            if self.placement == "gate":
                steps += (channel for q in op.qubits for channel in self._on_wire(q))
                steps += self._depolarizing(op.qubits)
            elif self.placement == "wire":
                steps += self._on_wires(op.qubits)
        if self.placement in ("end", "notebook"):
            steps += self._on_wires(wires)
        return tuple(steps)

    def confusion(self, measured: Sequence[int]) -> Float64[Floats, "outcome outcome"] | None:
        """(2^m, 2^m), [read, true], over the measured qubits in their order; None: no error."""
        count = len(measured)
        if not (self.read_1_of_0 or self.read_0_of_1 or self.readout_pair):
            return None
        each = readout.independent([self.read_1_of_0] * count, [self.read_0_of_1] * count)
        neighbours = [(k, k + 1) for k in range(count - 1)]
        return readout.paired(count, neighbours, self.readout_pair) @ each

    def _on_wires(self, qubits: Sequence[int]) -> Iterator[Channel]:
        for q in qubits:
            yield from self._on_wire(q)
            yield from self._depolarizing((q,))

    def _on_wire(self, q: int) -> Iterator[Channel]:
        """Everything but depolarizing noise."""
        if self.px or self.py or self.pz:
            yield channels.pauli(q, self.px, self.py, self.pz)
        if self.amplitude_damping:
            yield channels.amplitude_damping(q, self.amplitude_damping, self.excited)
        if self.phase_damping:
            yield channels.phase_damping(q, self.phase_damping)
        if self.time:
            yield channels.thermal_relaxation(q, self.t1, self.t2, self.time, self.excited)

    def _depolarizing(self, qubits: Sequence[int]) -> Iterator[Channel]:
        strength = self.depolarizing
        if len(qubits) > 1 and self.depolarizing2 is not None:
            strength = self.depolarizing2
        if strength and self.convention == "lambda":
            strength = channels.lambda_to_q(strength, len(qubits))
        if strength:
            yield channels.depolarizing(qubits, strength)

    def _turned(self, op: Op) -> Iterator[Op | Channel]:
        """The gate with its coherent excess."""
        row = GATES[op.gate]
        excess = self.over_rotation if row.num_qubits == 1 else self.over_rotation2
        if not excess or (row.num_qubits == 1 and row.diagonal):
            yield op
        elif not op.angles:
            yield op
            yield channels.over_rotation(op.qubits, row.unitary(), excess)
        else:  # the first angle is what turns: of phased_xz, the other two are frames
            yield replace(op, angles=(scaled(op.angles[0], 1 + excess), *op.angles[1:]))

    def _spread(self, op: Op, num_qubits: int) -> Iterator[Channel]:
        if not self.crosstalk or len(op.qubits) != 2:
            return
        for q in op.qubits:
            for neighbour in (q - 1, q + 1):
                if 0 <= neighbour < num_qubits and neighbour not in op.qubits:
                    yield channels.zz_crosstalk((q, neighbour), self.crosstalk)


OPTIONS = (*(field.name for field in fields(NoiseModel)), "readout")


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(
            got=f"{name}={text}", expected=f"a number, as in {name}=0.02", do="correct it"
        ) from error
