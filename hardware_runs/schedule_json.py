"""A schedule as JSON, so that it is made once and read for ever, by whoever has no SDK."""

from __future__ import annotations

import json
from typing import Any

from backends.base import Compiled
from backends.mitigation import Run
from hardware_runs.schedule import KINDS, Execution, Item, Schedule
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


def from_json(text: str) -> Schedule:
    """The schedule in a JSON text; the text is not trusted.

    Raises:
        InputError: It is none.
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
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise _damaged(f"{type(error).__name__}: {error}"[:200]) from error
    used = [item for runs in made.expansions.values() for item, _ in runs]
    used += [each.item for each in made.executions]
    if not used or not 0 <= min(used) <= max(used) < len(made.items):
        raise _damaged("items that are not there")
    return made


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
