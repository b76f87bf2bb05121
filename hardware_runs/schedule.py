"""What a target runs for a plan: its circuits, and which of them with which numbers, in order.

Everything is measured once, with the same shots, and analysed many ways: treatments share the
circuits that they have in common. Each block holds all of them for its inputs, the null routers,
and sentinels, whose answers are known; order within a block is drawn from the seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend, Compiled, foldable
from backends.execute import expansion_stream
from backends.mitigation import Job, Run
from backends.mitigation import load as mitigation
from backends.queued import Limits, Program
from hardware_runs.design import FOLD, Design
from hardware_runs.lifted import lifted
from hardware_runs.plan import Plan
from qmoe.circuit import Circuit, Op
from qmoe.errors import InputError

Kind = Literal["data", "null: shuffled", "null: random", "single", "sentinel"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NULLS: tuple[Kind, ...] = ("null: shuffled", "null: random")
DRAWS = 200
ORDER, SHUFFLE, ANGLES, CLIFFORD = range(2, 6)  # spawn keys; 0 and 1 belong to the plan


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A circuit that is run: native, its numbers free, on the qubits of all others.

    ideal: The outcome distribution that a sentinel would have without noise.
    """

    name: str
    circuit: Circuit
    compiled: Compiled
    ideal: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """One item with numbers put in.

    Attributes:
        router, row: Whose answer to which input it is; -1 for circuits without features.
        source: The input whose features it has: another one where inputs are shuffled.
    """

    block: int
    item: int
    kind: Kind
    router: int = -1
    row: int = -1
    source: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """All executions of one repeat, in the order in which they are sent.

    Attributes:
        compiled: The circuit of all routers, weights as further features.
        items: Every circuit once.
        expansions: For each treatment the runs that it combines, each with its item.
        executions: By block; grouped by item within a block.
    """

    compiled: Compiled
    items: tuple[Item, ...]
    expansions: Mapping[str, tuple[tuple[int, Run], ...]]
    executions: tuple[Execution, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one job runs: `executions` by their place in the schedule, in the order of its rows.

    due: Seconds after the first submission.
    """

    key: str
    repeat: int
    block: int
    due: float
    executions: tuple[int, ...]

    @staticmethod
    def of(key: str, executions: tuple[int, ...]) -> Chunk:
        """The chunk that a job of the ledger was made from.

        >>> Chunk.of("r01-b02-p00+1", (4, 5)).repeat
        1
        """
        repeat, block, _ = (int(part[1:]) for part in key.partition("+")[0].split("-"))
        return Chunk(key, repeat, block, 0.0, executions)


def arrange(plan: Plan, backend: Backend) -> Schedule:
    """Compiles the circuit of a plan and everything that its treatments and sentinels need.

    Raises:
        FitError: The circuit does not fit the device.
        InputError: A treatment that the target cannot do; nothing has been spent.
    """
    design = plan.design
    first = plan.routers[0].routed
    compiled = backend.compile(lifted(first.circuit))
    made = _Items(backend, compiled)
    expansions = {}
    job = Job(compiled, None, foldable(backend), backend.spec)
    for name in design.treatments:
        runs = expanded(name, job, design)
        expansions[name] = tuple((made.add(_label(run), run.circuit), run) for run in runs)
    sentinels = [
        made.add(name, circuit, ideal) for name, circuit, ideal in _sentinels(compiled, design)
    ]
    executions = tuple(executed(plan, expansions, sentinels))
    return Schedule(compiled, tuple(made.items), expansions, executions)


def expanded(name: str, job: Job, design: Design) -> tuple[Run, ...]:
    """The runs of a treatment of the lifted circuit.

    Raises:
        InputError: The target cannot do it.
    """
    native = job.compiled.native
    if (found := FOLD.fullmatch(name)) is not None:
        if not job.foldable:
            raise InputError(
                got=f"{name} on {job.spec}",
                expected="a target that runs native circuits as they are",
                do="leave it out",
            )
        scale = int(found[1])
        return (Run(native.folded(scale), scale=float(scale)),)
    ready = mitigation(name).on(job)
    return ready.expand((Run(native),), expansion_stream(design.seed))


def features(plan: Plan, schedule: Schedule, execution: Execution) -> NDArray[np.float64]:
    """The numbers (d + P,) of an execution, radians: the features of an input, then the angles."""
    if execution.router < 0:
        return np.zeros(0)
    router = plan.routers[execution.router]
    x = router.routed.features(router.inputs[execution.source : execution.source + 1])[0]
    angles = router.routed.angles
    if execution.kind == "null: random":
        angles = _stream(plan.design, ANGLES, execution.router).uniform(-np.pi, np.pi, len(angles))
    return np.concatenate([x, angles])


def chunks(plan: Plan, schedule: Schedule, limits: Limits) -> tuple[Chunk, ...]:
    """The jobs of all repeats: few for each block, and no block shares one with another.

    Raises:
        InputError: More or fewer shots than the device takes.
    """
    design = plan.design
    by_block: dict[int, list[int]] = {}
    for place, execution in enumerate(schedule.executions):
        by_block.setdefault(execution.block, []).append(place)
    parts = {
        block: [
            tuple(places[k] for k in part)
            for part in limits.split(
                [schedule.executions[place].item for place in places], design.shots
            )
        ]
        for block, places in by_block.items()
    }
    return tuple(
        Chunk(f"r{repeat:02}-b{block:02}-p{k:02}", repeat, block, repeat * design.every, part)
        for repeat in range(design.count)
        for block in sorted(parts)
        for k, part in enumerate(parts[block])
    )


def programs(plan: Plan, schedule: Schedule, chunk: Chunk) -> tuple[Program, ...]:
    """The programs of a job; their rows one after the other are the executions of the chunk."""
    found: list[Program] = []
    rows: list[NDArray[np.float64]] = []
    here = -1
    for place in chunk.executions:
        execution = schedule.executions[place]
        if execution.item != here and rows:
            found.append(Program(schedule.items[here].compiled, np.stack(rows)))
            rows = []
        here = execution.item
        rows.append(features(plan, schedule, execution))
    found.append(Program(schedule.items[here].compiled, np.stack(rows)))
    return tuple(found)


def executed(
    plan: Plan, expansions: Mapping[str, Sequence[tuple[int, Run]]], sentinels: Sequence[int]
) -> Iterator[Execution]:
    """All executions of one repeat, by block, in an order drawn from the seed.

    sentinels: The items that are none of any treatment.
    """
    design = plan.design
    count = len(plan.routers)
    data = sorted({k for runs in expansions.values() for k, run in runs if not run.single})
    singles: dict[int, int] = {}
    for runs in expansions.values():
        for item, run in runs:
            if run.single:
                wanted = run.shots(design.shots, count * design.inputs)
                times = max(1, math.ceil(wanted / design.shots / design.blocks))
                singles[item] = max(times, singles.get(item, 0))
    raw = next(item for item, run in expansions["none"])
    shuffled = [_others(design, router) for router in range(count)]
    for block in range(design.blocks):
        rows = range(block * design.block, min(design.inputs, (block + 1) * design.block))
        pairs = [(router, row) for router in range(count) for row in rows]
        of: dict[int, list[Execution]] = {}
        for item in data:
            of[item] = [Execution(block, item, "data", *pair, pair[1]) for pair in pairs]
        for router, row in ((r, row) for r, row in pairs if row - rows[0] < design.nulls):
            other = int(shuffled[router][row])
            of[raw].append(Execution(block, raw, "null: shuffled", router, row, other))
            of[raw].append(Execution(block, raw, "null: random", router, row, row))
        for item, times in singles.items():
            of[item] = [Execution(block, item, "single")] * times
        for item in sentinels:
            of[item] = [Execution(block, item, "sentinel")]
        rng = _stream(design, ORDER, block)
        for item in rng.permutation(sorted(of)).tolist():
            yield from (of[item][k] for k in rng.permutation(len(of[item])))


def _others(design: Design, router: int) -> NDArray[np.int64]:
    """For each input another one whose features a shuffled router sees: none keeps its own."""
    rng = _stream(design, SHUFFLE, router)
    order = rng.permutation(design.inputs)
    other = np.empty(design.inputs, dtype=np.int64)
    other[order] = np.roll(order, 1)
    return other


class _Items:
    """The circuits so far; equal ones are one item."""

    def __init__(self, backend: Backend, compiled: Compiled) -> None:
        self._backend, self._compiled = backend, compiled
        self.items: list[Item] = []
        self._known: dict[tuple[str, bool], int] = {}

    def add(self, name: str, circuit: Circuit, ideal: tuple[float, ...] | None = None) -> int:
        """The number of the item; a sentinel is no calibration, even where their circuits agree."""
        key = circuit.digest, ideal is not None
        if key not in self._known:
            self._known[key] = len(self.items)
            same = circuit == self._compiled.native
            emitted = self._compiled if same else self._backend.emit(circuit, self._compiled)
            self.items.append(Item(name, circuit, emitted, ideal))
        return self._known[key]


def _sentinels(
    compiled: Compiled, design: Design
) -> Iterator[tuple[str, Circuit, tuple[float, ...]]]:
    from qmoe.simulate import reference

    native = compiled.native
    bare = Circuit(native.num_qubits, (), native.measured)
    ones = Circuit(
        native.num_qubits, tuple(Op("x", (q,)) for q in range(native.num_qubits)), native.measured
    )
    rng = _stream(design, CLIFFORD)
    best: tuple[float, Circuit] = (0.0, bare)
    for _ in range(DRAWS):
        # the gates of the router itself, turned by quarters
        quarters = rng.integers(0, 4, native.num_features) * np.pi / 2
        bound = native.bind(quarters)
        peak = float(reference.probabilities(bound, (), np.zeros((1, 0))).max())
        if peak > best[0] + 1e-9 and (quarters % np.pi).any():
            best = peak, bound
        if best[0] > 1 - 1e-9:
            break
    for name, circuit in (("zeros", bare), ("ones", ones), ("clifford", best[1])):
        ideal = reference.probabilities(circuit, (), np.zeros((1, 0)))[0]
        yield f"sentinel {name}", circuit, tuple(float(p) for p in ideal)


def _label(run: Run) -> str:
    if run.role == "data":
        return "data" if run.scale == 1 else f"data, {run.scale:g} times the gates"
    return f"{' '.join(run.path)} {run.label}".strip() or run.role


def _stream(design: Design, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(design.seed, spawn_key=key))
