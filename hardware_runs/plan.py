"""A frozen experiment: what is measured where, by which routers on which inputs, and what decides.

Its id is a digest of all of that, so that a plan cannot be changed, only replaced by another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import qmoe
from hardware_runs.design import Design
from qmoe.angles import finite, whole
from qmoe.errors import InputError
from qmoe.routed import RoutedCircuit
from qmoe.spec import ModelSpec

FORMAT = 1
MAX_CHARACTERS = 64 * 2**20


@dataclass(frozen=True)
class PlannedRouter:
    """A trained router with the inputs that it is asked.

    Attributes:
        seed: Of its data and its training.
        model: `ModelSpec.to_dict()`.
        weights: Its numbers.
        X: Scaled features (input, d).
        y: Their classes.
    """

    seed: int
    model: dict[str, Any]
    weights: tuple[float, ...]
    X: tuple[tuple[float, ...], ...]
    y: tuple[int, ...]

    @cached_property
    def routed(self) -> RoutedCircuit:
        """The router apart from any simulator.

        Raises:
            InputError: A model that is none, other numbers than it has, or inputs that it cannot
                take.
        """
        weights, X = np.array(self.weights, dtype=np.float64), self.inputs
        try:
            spec = ModelSpec.from_dict(self.model)
            # The experts alone have so many: a text must not choose how large a router we build.
            fewest = spec.num_experts * spec.num_classes * (spec.num_features + 1)
            model = spec.build() if len(weights) >= fewest else None
        except TypeError as error:
            raise _damaged(f"a router that is none ({error})"[:200]) from error
        if model is None or len(weights) != sum(model.sizes):
            raise _damaged(f"a router with {len(weights)} weights")
        if X.ndim != 2 or X.shape[1] != spec.num_features or max(self.y) >= spec.num_classes:
            raise _damaged("inputs or classes that its routers have not")
        return RoutedCircuit(model, weights)

    @cached_property
    def inputs(self) -> NDArray[np.float64]:
        """Scaled features (input, d)."""
        return np.array(self.X, dtype=np.float64)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Their classes (input,)."""
        return np.array(self.y, dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "seed": self.seed,
            "model": self.model,
            "weights": list(self.weights),
            "X": [list(row) for row in self.X],
            "y": list(self.y),
        }

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> PlannedRouter:
        """The router that `to_dict` wrote; what it reads is not trusted."""
        return cls(
            seed=whole(tree["seed"], "seed"),
            model=dict(tree["model"]),
            weights=tuple(finite(value, "weight") for value in tree["weights"]),
            X=tuple(tuple(finite(value, "input") for value in row) for row in tree["X"]),
            y=tuple(whole(value, "class") for value in tree["y"]),
        )


@dataclass(frozen=True)
class Plan:
    """An experiment on one target.

    Attributes:
        design: What is measured and what decides.
        target: The spec.
        occasion: Which repeat of the same experiment it is; "" is the first.
        code: The version of this project.
        routers: Picked by the rule of the design, never by their results.
    """

    design: Design
    target: str
    occasion: str
    code: str
    routers: tuple[PlannedRouter, ...]

    @cached_property
    def id(self) -> str:
        """The first 16 hex digits of the SHA-256 of everything in it."""
        return _digest(self._content())[:16]

    @property
    def request(self) -> str:
        """What was asked for when it was made."""
        return request(self.design, self.target, self.occasion, self.code)

    def to_json(self) -> str:
        """The canonical JSON text; `from_json` reads it back equal."""
        return json.dumps(
            {"format": FORMAT, "id": self.id, **self._content()},
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        )

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan in a JSON text; the text is not trusted.

        Raises:
            InputError: It is none, was altered, or is of a newer format.
        """
        if len(text) > MAX_CHARACTERS:
            raise _damaged(f"{len(text)} characters")
        try:
            tree = json.loads(text)
            if tree["format"] != FORMAT:
                raise _damaged(f"format {tree['format']!r}"[:60])
            plan = Plan(
                design=Design.from_dict(tree["design"]),
                target=str(tree["target"]),
                occasion=str(tree.get("occasion", "")),
                code=str(tree["code"]),
                routers=tuple(map(PlannedRouter.from_dict, tree["routers"])),
            )
            stated = tree["id"]
            if len(plan.routers) != plan.design.routers or stated != plan.id:
                raise _damaged("another content than its id says")
            if {(len(r.X), len(r.y)) for r in plan.routers} != {(plan.design.inputs,) * 2}:
                raise _damaged("other inputs than its design has")
            if len({router.routed.circuit for router in plan.routers}) != 1:
                raise _damaged("routers of different circuits")
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise _damaged(text[:200]) from error
        return plan

    def _content(self) -> dict[str, Any]:
        tree = {
            "design": self.design.to_dict(),
            "target": self.target,
            "code": self.code,
            "routers": [router.to_dict() for router in self.routers],
        }
        return tree | ({"occasion": self.occasion} if self.occasion else {})


def request(design: Design, target: str, occasion: str, code: str | None = None) -> str:
    """The digest of what is asked for, known before anything is trained."""
    content = [design.to_dict(), target, occasion, qmoe.__version__ if code is None else code]
    return _digest(content)


def make(
    design: Design,
    target: str,
    occasion: str = "",
    *,
    advance: Callable[[int], None] = lambda done: None,
) -> Plan:
    """Trains the routers of a design, picks them by its rule, and draws their inputs.

    The inputs of a router are the first of its test rows in an order drawn from the seed alone,
    so that it does not depend on their classes.

    Raises:
        InputError: No such data or router, or fewer test rows than inputs.
    """
    from qmoe.bench import bench_of
    from qmoe.cell import Cell
    from qmoe.data import DataSpec
    from qmoe.retrained import retrained
    from qmoe.studies.families import CONFIG
    from qmoe.suite import setup
    from qmoe.texts import name_and_options
    from qmoe.tune import tune

    made = setup(design.seed, design.seeds, design.trials)
    name, options = name_and_options(design.router, "router")
    cell = Cell(
        DataSpec.parse(design.data, None),
        name,
        options,
        seeds=made.seeds,
        root=made.root,
        config=CONFIG,
        trials=made.trials,
    )
    trained = {}
    for group in retrained(cell, tune(cell)):
        classes = group.model.experts.num_classes
        rows = group.weights.double().numpy()
        for entry, trial, weights in zip(group.entries, group.settings, rows, strict=True):
            data = bench_of(group.cell, trial.scaler).part(entry.seed)
            spec = group.cell.spec(data.X_train.shape[1], classes, trial)
            trained[entry.seed] = spec, weights, data
    advance(1)
    positions = list(range(design.routers))
    if design.rule == "random":
        drawn = _stream(design.seed, 0).permutation(design.seeds)[: design.routers]
        positions = sorted(drawn.tolist())
    routers = []
    for position in positions:
        spec, weights, data = trained[position]
        if len(data.X_test) < design.inputs:
            raise InputError(
                got=f"{design.inputs} inputs of {design.data}",
                expected=f"at most the {len(data.X_test)} test rows",
                do="ask for fewer",
            )
        order = _stream(design.seed, 1, position).permutation(len(data.X_test))[: design.inputs]
        routers.append(
            PlannedRouter(
                seed=made.seeds[position],
                model=spec.to_dict(),
                weights=tuple(weights.tolist()),
                X=tuple(map(tuple, data.X_test[order].tolist())),
                y=tuple(data.y_test[order].tolist()),
            )
        )
    return Plan(design, target, occasion, qmoe.__version__, tuple(routers))


def _stream(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(got: str) -> InputError:
    return InputError(
        got=f"a plan with {got}",
        expected="what was written when it was made",
        do="restore it from where it was stored",
    )
