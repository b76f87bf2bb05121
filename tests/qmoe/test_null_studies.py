"""Null studies through the whole study code: two equal learners are called different by luck alone.

Both sides of every comparison are the same family, tuned by the same trials, from different random
starts: plans, batched training, the choice on validation, evidence, claim and verdict are real.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.stats import binom

from qmoe.cell import Cell
from qmoe.claims.claim import Claim, Pair
from qmoe.claims.compared import compared
from qmoe.data import DataSpec
from qmoe.evidence import Evidence
from qmoe.plan import Plan, carry_out
from qmoe.provenance import capture
from qmoe.store import Store
from qmoe.suite import Setup, setup
from qmoe.train import TrainConfig

DATA = (DataSpec("moons", noise=0.1), DataSpec("moons", noise=0.2))
CONFIG = TrainConfig(epochs=6, evaluate_every=3)
CLAIM = Claim(
    id="A/A",
    statement="equal learners differ",
    published="",
    test="",
    experts=2,
    pairs=tuple(Pair(str(data), "first", "second") for data in DATA),
)


def null_study(root: int, router: str = "linear") -> tuple[str, ...]:
    """The words of one study of 30 seeds and 12 trials on two data sets, one Holm family."""
    made = setup(root, 30, 12)
    plan = Plan(
        "null",
        tuple(
            cell(made, data, router, replicate, label)
            for data in DATA
            for replicate, label in enumerate(("first", "second"))
        ),
    )
    done = carry_out([plan], store=Store(None))
    found = Evidence(
        provenance=capture(root, argv=["qmoe"]),
        results=tuple(done.cells.values()),
        studies={"null": tuple(c.key for c in plan.cells)},
    )
    return tuple(c.verdict.word for c in compared(found, CLAIM))


def cell(made: Setup, data: DataSpec, router: str, replicate: int, label: str) -> Cell:
    return Cell(
        data,
        router,
        experts=2,
        trials=made.trials,
        seeds=made.seeds,
        root=made.root,
        config=replace(CONFIG, replicate=replicate),
        sizes=(40, 30, 100),
        label=label,
    )


def test_a_null_study_is_judged_and_its_sides_differ():
    words = null_study(0)
    assert len(words) == 2
    assert set(words) <= {"better", "worse", "equivalent", "inconclusive"}


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_two_hundred_null_studies_find_no_more_than_chance():
    """Of 200 families at a rate of 5 %, more than `most` false ones come up once in 100 runs."""
    studies, most = 200, int(binom.ppf(0.99, 200, 0.05))
    words = [null_study(root) for root in range(studies)]
    false = sum(bool({"better", "worse"} & set(found)) for found in words)
    print(f"{false} of {studies} null studies with a false better or worse (at most {most})")
    assert false <= most
