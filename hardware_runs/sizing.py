"""The size of an experiment that answers a question: what `qmoe shots` shows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hardware_runs.rehearsal import (
    DRAWS,
    FEWER_INPUTS,
    INPUTS,
    RAW,
    Rehearsed,
    rehearse,
    routers,
    sides,
)
from hardware_runs.shots import FEWEST_ROUTERS, Aim, Plan, plans, plans_within, realised
from hardware_runs.variance import Components, components, deviation
from qmoe.angles import whole
from qmoe.errors import InputError
from qmoe.metrics import Score
from qmoe.progress import Progress, choose

if TYPE_CHECKING:
    from rich.table import Table

FEWEST_TRAINED = 3
"""Two could not say how uncertain their variance is."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """Plans for one comparison, the recommended first.

    Attributes:
        compared: The two sides.
        aim: What is wanted.
        budget: All shots, where they are given.
        plans: The best with each number of shots.
        realised: What the recommended plan reaches in simulation.
        deviation: The standard deviation over routers of the mean difference, at its inputs.
        components: Variances by number of shots.
        trained: Routers behind all of this.
        inputs: Inputs of each of them.
    """

    compared: tuple[str, str]
    aim: Aim
    budget: int | None
    plans: tuple[Plan, ...]
    realised: Score
    deviation: Score
    components: dict[int, Components]
    trained: int
    inputs: int

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "compared": list(self.compared),
            "figure": "difference in accuracy",
            **asdict(self.aim),
            "budget": self.budget,
            "recommended": asdict(self.plans[0]),
            "alternatives": [asdict(plan) for plan in self.plans[1:]],
            "realised": asdict(self.realised),
            "deviation": asdict(self.deviation),
            "variances": {str(k): asdict(found) for k, found in self.components.items()},
            "trained": self.trained,
            "inputs": self.inputs,
            "draws": DRAWS,
        }

    @property
    def wanted(self) -> str:
        """The question in words."""
        aim = self.aim
        if aim.power is None:
            return f"a {1 - aim.alpha:.4g} interval of half width {aim.size:g}"
        test = f"power {aim.power:g} (two-sided t test over routers, alpha {aim.alpha:g})"
        if self.budget is not None:
            return f"the smallest difference that {self.budget:,} shots find with {test}"
        return f"a difference of {aim.size:g} found with {test}"

    @property
    def table(self) -> Table:
        """The plans."""
        from rich.box import SIMPLE
        from rich.table import Table

        reached = "half width" if self.aim.power is None else "finds"
        heads = ("routers", "inputs", "shots", "circuits", "all shots", reached, "shot bias")
        table = Table(*heads, "shot floor", box=SIMPLE, padding=(0, 0, 0, 1))
        for column in table.columns:
            column.justify = "right"
        for k, plan in enumerate(self.plans):
            table.add_row(
                *(f"{n:,}" for n in (plan.routers, plan.inputs, plan.shots)),
                *(f"{n:,}" for n in (plan.circuits, plan.total)),
                f"{plan.reaches:.4f}",
                f"{plan.bias:+.4f}",
                f"{plan.floor:.4f}",
                style="bold" if k == 0 else None,
            )
        return table

    @property
    def notes(self) -> str:
        """What the numbers rest on."""
        best, aim = self.plans[0], self.aim
        found = self.components[best.shots]
        what = "half width" if aim.power is None else f"power at {best.reaches:.4f}"
        return (
            f"Recommended: {best.routers} routers x {best.inputs} inputs x {best.shots} shots; "
            f"in simulation: {what} {self.realised}.\n"
            f"There, a router's mean difference has standard deviation {self.deviation:.4f}: "
            f"variance {found.routers:.2g} between routers, {found.inputs:.2g} between inputs, "
            f"{found.shots:.2g} by shots.\n"
            f"Estimated on {self.trained} routers x {self.inputs} inputs (quantum router, moons). "
            "Shot bias: what so few shots do to the difference itself. Shot floor: total "
            "variation by shots alone."
        )


def sized(
    target: str,
    against: str,
    aim: Aim,
    *,
    budget: int | None,
    most_routers: int,
    trained: int,
    seed: int,
    progress: Progress,
) -> Sizing:
    """The plans for a comparison, from routers trained now and the twin of the target.

    Raises:
        InputError: No such target or mitigation, numbers out of range, or no plan.
    """
    whole(seed, "seed")
    whole(trained, "trained routers", FEWEST_TRAINED)
    whole(most_routers, "routers", FEWEST_ROUTERS)
    if budget is not None:
        whole(budget, "budget", 1)
    compared = sides(target, against)
    mitigated = any(side.mitigation.name != RAW for side in compared)
    with progress("training and rehearsing", trained + 1) as advance:
        checkpoints = routers(trained, seed)
        advance(1)
        inputs = min(FEWER_INPUTS if mitigated else INPUTS, len(checkpoints[0].data.X_test))
        seen = rehearse(
            compared, checkpoints, seed=seed, inputs=inputs, advance=lambda done: advance(1 + done)
        )
    if budget is None:
        found = plans(aim, seen, most_routers)
    else:
        found = plans_within(budget, aim, seen, most_routers)
    best = found[0]
    of_best: Rehearsed = next(each for each in seen if each.shots == best.shots)
    return Sizing(
        (str(compared[0]), str(compared[1])),
        aim,
        budget,
        found,
        realised(best, aim, of_best, seed=seed),
        deviation(of_best.differences, best.inputs, shared=of_best.shared),
        {each.shots: components(each.differences, shared=each.shared) for each in seen},
        trained,
        inputs,
    )


def tell(
    target: str,
    against: str,
    *,
    precision: float | None,
    detect: float | None,
    budget: int | None,
    power: float,
    alpha: float,
    most_routers: int,
    trained: int,
    seed: int,
    as_json: bool,
) -> None:
    """Prints the sizing as a table or as JSON.

    Raises:
        InputError: Not exactly one of precision, detect and budget, or as `sized`.
    """
    asked = {"precision": precision, "detect": detect, "budget": budget}
    given = [f"--{name}" for name, value in asked.items() if value is not None]
    if len(given) != 1:
        raise InputError(
            got=" and ".join(given) or "no question",
            expected="one of --precision, --detect and --budget",
            do="ask for instance --detect 0.02",
        )
    # all of them are checked, the ones that do not matter here too
    test = Aim(detect, power, alpha)
    aim = test if precision is None else Aim(precision, None, alpha)
    found = sized(
        target,
        against,
        aim,
        budget=budget,
        most_routers=most_routers,
        trained=trained,
        seed=seed,
        progress=choose(wanted=not as_json),
    )
    if as_json:
        print(json.dumps(found.to_dict(), allow_nan=False))
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"{' against '.join(found.compared)}: {found.wanted}", markup=False)
    console.print(found.table)
    console.print(found.notes, markup=False)
