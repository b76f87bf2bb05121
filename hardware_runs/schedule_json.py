"""A schedule as JSON, so that it is made once and read for ever, by whoever has no SDK."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from backends.base import Compiled
from backends.mitigation import Run
from hardware_runs.plan import Plan
from hardware_runs.schedule import KINDS, Execution, Item, Schedule, executed
from qmoe.angles import finite, whole
from qmoe.errors import InputError
from qmoe.serial import circuit_from_dict, circuit_to_dict

FORMAT = 1
MAX_CHARACTERS = 256 * 2**20


def to_json(schedule: Schedule) -> str:
    """The JSON text; `from_json` reads it back."""
    tree = {
        "format": FORMAT,
        "compiled": json.loads(schedule.compiled.to_json()),
        "items": [_item(item) for item in schedule.items],
        "expansions": {
            name: [{"item": item, "run": run.to_dict()} for item, run in runs]
            for name, runs in schedule.expansions.items()
        },
        "executions": [
            [each.block, each.item, KINDS.index(each.kind), each.router, each.row, each.source]
            for each in schedule.executions
        ],
    }
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_json(text: str, plan: Plan | None = None) -> Schedule:
    """The schedule in a JSON text; the text is not trusted.

    plan: Whose schedule it has to be.

    Raises:
        InputError: It is none, or one of another plan.
    """
    if len(text) > MAX_CHARACTERS:
        raise _damaged(f"{len(text)} characters")
    try:
        tree = json.loads(text)
        if tree["format"] != FORMAT:
            raise _damaged(f"format {tree['format']!r}"[:60])
        made = Schedule(
            compiled=Compiled.from_json(json.dumps(tree["compiled"])),
            items=tuple(map(_read_item, tree["items"])),
            expansions={
                str(name): tuple((whole(r["item"], "item"), Run.from_dict(r["run"])) for r in runs)
                for name, runs in tree["expansions"].items()
            },
            executions=tuple(map(_execution, tree["executions"])),
        )
    except InputError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(f"{type(error).__name__}: {error}"[:200]) from error
    except RecursionError as error:
        raise _damaged(f"{type(error).__name__}: {error}"[:200]) from error
    used = [item for runs in made.expansions.values() for item, _ in runs]
    used += [each.item for each in made.executions]
    if not used or not 0 <= min(used) <= max(used) < len(made.items):
        raise _damaged("items that are not there")
    if not all(made.expansions.values()):
        raise _damaged("a treatment without circuits")
    outcomes = made.compiled.num_outcomes
    for item in made.items:
        if item.compiled.num_outcomes != outcomes:
            raise _damaged("circuits that measure differently")
        ideal = item.ideal
        if ideal is not None and (
            len(ideal) != outcomes or min(ideal) < 0 or abs(sum(ideal) - 1) > 1e-6
        ):
            raise _damaged("a sentinel whose answer is no distribution")
    for each in made.executions:
        if (each.kind == "sentinel") != (made.items[each.item].ideal is not None):
            raise _damaged("a sentinel without an answer")
    if plan is not None:
        _check(made, plan)
    return made


def _check(schedule: Schedule, plan: Plan) -> None:
    """Refuses a schedule whose executions are not those of the plan, whatever their order."""
    if tuple(sorted(schedule.expansions)) != tuple(sorted(plan.design.treatments)):
        raise _damaged("other treatments than its plan has")
    sentinels = [k for k, item in enumerate(schedule.items) if item.ideal is not None]
    expected = Counter(map(_told, executed(plan, schedule.expansions, sentinels)))
    if Counter(map(_told, schedule.executions)) != expected:
        raise _damaged("other executions than its plan has")
    for each in schedule.executions:
        if each.kind == "null: shuffled" and not 0 <= each.source < plan.design.inputs:
            raise _damaged("inputs that its plan does not have")


def _told(execution: Execution) -> Execution:
    """What the plan says of an execution: all but which input a shuffled router sees."""
    shuffled = execution.kind == "null: shuffled"
    return replace(execution, source=-1) if shuffled else execution


def _item(item: Item) -> dict[str, Any]:
    tree = {
        "name": item.name,
        "circuit": circuit_to_dict(item.circuit),
        "compiled": json.loads(item.compiled.to_json()),
    }
    return tree if item.ideal is None else tree | {"ideal": list(item.ideal)}


def _read_item(tree: dict[str, Any]) -> Item:
    ideal = tree.get("ideal")
    return Item(
        name=str(tree["name"])[:200],
        circuit=circuit_from_dict(tree["circuit"]),
        compiled=Compiled.from_json(json.dumps(tree["compiled"])),
        ideal=None if ideal is None else tuple(finite(p, "probability") for p in ideal),
    )


def _execution(row: list[int]) -> Execution:
    block, item, kind, *rest = row
    router, place, source = (whole(value + 1, "index") - 1 for value in rest)
    found = Execution(whole(block, "block"), whole(item, "item"), KINDS[whole(kind, "kind")])
    return Execution(found.block, found.item, found.kind, router, place, source)


def _damaged(got: str) -> InputError:
    return InputError(
        got=f"a schedule with {got}",
        expected="what was written when it was made",
        do="restore it from where it was stored",
    )
