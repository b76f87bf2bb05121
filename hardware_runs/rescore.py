"""Every figure of an experiment, from raw counts: offline, without accounts or vendor SDKs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hardware_runs.answers import Answers, Block, Measured, answers, blocks, null_answers, runs
from hardware_runs.drift import change_points
from hardware_runs.outcome import Null, Outcome, Primary, Repeat, Told, Treated
from hardware_runs.plan import Plan, PlannedRouter
from hardware_runs.schedule import Schedule
from hardware_runs.scores import Asked, retained
from qmoe.agreement import hellinger_fidelity, shot_floor
from qmoe.errors import QmoeError
from qmoe.metrics import ACCURACY_RANGE, mean_score, paired_difference
from qmoe.stats import Sample, judge

Array = NDArray[np.float64]


def rescore(
    plan: Plan,
    schedule: Schedule,
    measured: Measured,
    *,
    treatments: Sequence[str] | None = None,
    sources: Iterable[str] = (),
    exact: ExactAnswers | None = None,
) -> Outcome:
    """The outcome of what was measured so far.

    treatments: Others than the plan's; their circuits must have been measured. The primary
        comparison stays the plan's.
    exact: Of the plan, where it is scored many times.

    Raises:
        InputError: A treatment whose circuits were not measured.
    """
    design = plan.design
    names = list(dict.fromkeys([*(treatments or design.treatments), design.primary]))
    for name in names:
        runs(plan, schedule, name)  # what was not measured is refused before anything is scored
    asked = exact or ExactAnswers(plan)
    told: dict[str, list[tuple[Answers, tuple[Told, ...]]]] = {name: [] for name in names}
    repeats: list[Repeat] = []
    every: list[Block] = []
    departures: list[str] = []
    counted: list[tuple[int, list[int]]] = []
    for number in range(design.count):
        found = blocks(plan, schedule, measured, number)
        every += found
        kept = [each.block for each in found if not each.left_out]
        if not kept:
            departures.append(f"repeat {number} does not count: no block of it is whole and sound")
            continue
        counted.append((number, kept))
        here = len(told[design.primary])
        for name in names:
            try:
                given = answers(plan, schedule, measured, number, kept, name)
            except QmoeError as error:
                departures.append(f"{name} in repeat {number}: {error}")
                continue
            told[name].append((given, asked.told(given, design.shots)))
        if len(told[design.primary]) > here:
            repeats.append(_repeat(asked, number, found, kept, *told[design.primary][-1]))
    departures += [
        f"block {each.block} of repeat {each.repeat} is left out: {each.left_out}"
        for each in every
        if each.left_out
    ]
    treated = {name: _treated(name, made) for name, made in told.items() if made}
    found_sources = tuple(sorted(set(sources)))
    if len(found_sources) > 1:
        departures.append(f"results of several sources: {', '.join(found_sources)}")
    return Outcome(
        plan=plan.id,
        target=plan.target,
        suite=design.name,
        sources=found_sources,
        treatments={name: treated[name] for name in names if name in treated},
        nulls=tuple(_nulls(asked, schedule, measured, counted)),
        repeats=tuple(repeats),
        primary=_primary(plan, treated.get(design.primary), told[design.primary]),
        departures=tuple(departures),
        changes=_changes(repeats, design.seed),
    )


class ExactAnswers:
    """The exact answers of each router, once for all treatments and repeats."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._whole = [Asked.of(r.routed, r.inputs, r.labels) for r in plan.routers]
        self._even = [
            r.routed.even(r.inputs).probabilities.argmax(1) == r.labels for r in plan.routers
        ]

    def of(self, router: int, rows: Sequence[int]) -> Asked:
        """Some inputs of a router."""
        one, k = self._whole[router], list(rows)
        return replace(one, X=one.X[k], y=one.y[k], ideal=one.ideal[k], first=one.first[k])

    def told(self, given: Answers, shots: int) -> tuple[Told, ...]:
        """Every router's figures of one treatment in one repeat."""
        return tuple(
            self._one(router, given.rows, outcomes, shots)
            for router, outcomes in enumerate(given.probabilities)
        )

    def right(self, router: int, rows: Sequence[int], outcomes: Array) -> NDArray[np.bool_]:
        """Whether each input (row,) is answered rightly from outcome distributions."""
        one: PlannedRouter = self.plan.routers[router]
        k = list(rows)
        answer = one.routed.answer(one.inputs[k], outcomes)
        return np.asarray(answer.probabilities.argmax(1) == one.labels[k])

    def _one(self, router: int, rows: Sequence[int], outcomes: Array, shots: int) -> Told:
        asked = self.of(router, rows)
        answer = asked.routed.answer(asked.X, outcomes)
        first = answer.gate_weights.argmax(1)
        accuracy = float((answer.probabilities.argmax(1) == asked.y).mean())
        exact = asked.score("accuracy", asked.ideal)
        even = float(self._even[router][list(rows)].mean())
        return Told(
            accuracy=accuracy,
            exact=exact,
            retention=retained(accuracy, exact, even),
            distance=asked.score("total variation", outcomes),
            floor=float(shot_floor(asked.ideal, shots).mean()),
            agreement=float((first == asked.first).mean()),
            fidelity=float(hellinger_fidelity(outcomes, asked.ideal).mean()),
            loads=tuple(answer.gate_weights.mean(0).tolist()),
            confusion=_shares(asked.first, first, answer.gate_weights.shape[1]),
        )


def _shares(
    ideal: NDArray[np.int64], first: NDArray[np.int64], experts: int
) -> tuple[tuple[float, ...], ...]:
    """The share of inputs by first expert, [ideal][asked]."""
    table = np.zeros((experts, experts))
    np.add.at(table, (ideal, first), 1 / len(first))
    return tuple(map(tuple, table.tolist()))


def _treated(name: str, made: Sequence[tuple[Answers, tuple[Told, ...]]]) -> Treated:
    by_router = tuple(_mean([told[k] for _, told in made]) for k in range(len(made[0][1])))
    accuracies = [each.accuracy for each in by_router]
    exact = [each.exact for each in by_router]
    kept = [each.retention for each in by_router if each.retention is not None]
    given = [each for each, _ in made]
    return Treated(
        name=name,
        accuracy=mean_score(accuracies, limits=ACCURACY_RANGE),
        difference=paired_difference(accuracies, exact),
        retention=mean_score(kept) if kept else None,
        distance=mean_score([each.distance for each in by_router], limits=(0.0, 1.0)),
        floor=float(np.mean([each.floor for each in by_router])),
        agreement=mean_score([each.agreement for each in by_router], limits=ACCURACY_RANGE),
        clipped=float(np.mean([each.clipped for each in given])),
        shots=sum(each.shots for each in given),
        circuits=sum(each.circuits for each in given),
        gamma=given[0].gamma,
        by_router=by_router,
    )


def _mean(told: Sequence[Told]) -> Told:
    names = ("accuracy", "exact", "distance", "floor", "agreement", "fidelity")
    kept = [each.retention for each in told if each.retention is not None]
    return Told(
        retention=float(np.mean(kept)) if kept else None,
        loads=tuple(np.mean([each.loads for each in told], axis=0).tolist()),
        confusion=tuple(map(tuple, np.mean([each.confusion for each in told], axis=0).tolist())),
        **{name: float(np.mean([getattr(each, name) for each in told])) for name in names},
    )


def _repeat(
    asked: ExactAnswers,
    number: int,
    found: Sequence[Block],
    kept: Sequence[int],
    given: Answers,
    told: Sequence[Told],
) -> Repeat:
    """A repeat of the primary treatment; its blocks as accuracy minus the exact router's."""
    design = asked.plan.design
    by_block: list[float | None] = []
    for block in range(design.blocks):
        places = [k for k, row in enumerate(given.rows) if row // design.block == block]
        if block not in kept:
            by_block.append(None)
            continue
        rows = [given.rows[k] for k in places]
        lost = []
        for router, outcomes in enumerate(given.probabilities):
            ideal = asked.of(router, rows).ideal
            right = asked.right(router, rows, outcomes[places])
            lost.append(right.mean() - asked.right(router, rows, ideal).mean())
        by_block.append(float(np.mean(lost)))
    return Repeat(
        number=number,
        blocks=tuple(found),
        accuracy=float(np.mean([each.accuracy for each in told])),
        distance=float(np.mean([each.distance for each in told])),
        by_block=tuple(by_block),
    )


def _nulls(
    asked: ExactAnswers,
    schedule: Schedule,
    measured: Measured,
    counted: Sequence[tuple[int, Sequence[int]]],
) -> Iterable[Null]:
    right: dict[str, list[bool]] = {}
    routed: dict[str, list[bool]] = {}
    for number, kept in counted:
        for name, given in null_answers(schedule, measured, number, kept).items():
            for each, frequencies in given:
                one = (each.router, [each.row])
                ideal = asked.of(*one).ideal
                right.setdefault(name, []).append(bool(asked.right(*one, frequencies[None])[0]))
                routed.setdefault(name, []).append(bool(asked.right(*one, ideal)[0]))
    for name, values in right.items():
        yield Null(name, float(np.mean(values)), float(np.mean(routed[name])), len(values))


def _primary(
    plan: Plan, found: Treated | None, made: Sequence[tuple[Answers, tuple[Told, ...]]]
) -> Primary | None:
    """The registered comparison, if anything counts.

    Of N answers without a single difference, up to 3 / N may differ all the same (the rule of
    three at 95 %): where that is more than the margin, routers that look equal decide nothing. A
    difference that is found is one, from however few answers.
    """
    if found is None:
        return None
    answered = len(plan.routers) * sum(len(given.rows) for given, _ in made)
    a, b = (np.array([getattr(each, name) for each in found.by_router]) for name in _PAIR)
    sample = Sample(plan.target, a, b, "checkpoints on a device", tuned=True)
    (verdict,) = judge([sample], margin=plan.design.margin)
    few = 0 < plan.design.margin < 3 / answered and verdict.word not in ("better", "worse")
    return Primary(
        treatment=plan.design.primary,
        word="inconclusive (n too small)" if few else verdict.word,
        reason=(
            f"{answered} answers cannot exclude a difference of {plan.design.margin:g}"
            if few
            else verdict.reason
        ),
        difference=verdict.difference,
        level=verdict.level,
        margin=verdict.margin,
        routers=verdict.n,
    )


_PAIR = ("accuracy", "exact")


def _changes(repeats: Sequence[Repeat], seed: int) -> Mapping[str, tuple[int, ...]]:
    series = {
        "accuracy": [each.accuracy for each in repeats],
        "total variation": [each.distance for each in repeats],
    }
    return {
        name: tuple(repeats[k].number for k in change_points(values, seed=seed))
        for name, values in series.items()
    }
