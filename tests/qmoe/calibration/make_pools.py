"""Pools of trained equal learners: test accuracies from which null studies are drawn.

`python -m tests.qmoe.calibration.make_pools` trains them (minutes, one core) and writes
`pools.json` beside this file. Every pool holds learners of which none is better by construction:

new data + new init: On each freshly drawn data set several initialisations of one router. Which
    of them comes first is arbitrary, so the difference of two is symmetric about 0.
this data set, new split: Many data sets of 178 rows, each cut ten times. Two learners see one half
    of the columns each. Given the class the halves are independent draws of one distribution, and
    everything else (rows of a split, initial weights, training) is the same, so swapping the
    learners changes nothing *over data sets*. On one data set a half may well be luckier, in all
    ten overlapping splits at once: that is what the corrected t has to allow for.
init only: One data set, many initialisations of one router.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qmoe.arrays import Ints
from qmoe.data import Dataset, DataSpec, Prepared, Sizes, draw, prepared_seeds, stack
from qmoe.provenance import installed_versions
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig, examples, train

PATH = Path(__file__).with_name("pools.json")
MODULE = "tests.qmoe.calibration.make_pools"
LEARNERS = {"linear": ModelSpec("linear", 2, 2), "quantum": ModelSpec("quantum", 2, 2)}
CONFIG = TrainConfig(epochs=60)
MOONS = ("moons(noise=0.1)", "moons(noise=0.2)")

# new data + new init, and init only
SIZES = Sizes(train=200, validation=100, test=1000)
DATA_SEEDS, INITS = 300, 6
INITS_ONLY = 400

# this data set, new split: rows drawn independently, unlike those of moons, which are spaced evenly
# along their arcs and so make data sets more alike; accuracy near .8 leaves room for luck
HALF = "linear(noise=0.5)"
SETS, ROWS, SPLITS = 3000, 178, 10

ROOT, SET_ROOT = 0, 1_000_000  # roots of the random streams: SET_ROOT + i for the i-th data set
BLOCK = 500  # trained together


def correct(spec: ModelSpec, parts: Sequence[Prepared], root: int, seeds: Sequence[int]) -> Ints:
    """Test rows that one learner gets right, per seed, after training on each seed's part."""
    data = stack(parts)
    model = spec.build()
    trained = train(
        model,
        examples(data.X_train, data.y_train, CONFIG),
        examples(data.X_validation, data.y_validation, CONFIG),
        CONFIG,
        root=root,
        seeds=seeds,
    )
    test = examples(data.X_test, data.y_test, CONFIG)
    logits = model.output(trained.weights, model.prepare(test.features)).logits
    return (logits.argmax(1) == test.labels).sum(1).numpy()


def new_data() -> dict[str, dict[str, list[list[int]]]]:
    """[learner][data set][data seed][initialisation]: correct test rows."""
    pool: dict[str, dict[str, list[list[int]]]] = {name: {} for name in LEARNERS}
    for source in MOONS:
        parts = prepared_seeds(
            DataSpec.parse(source), root=ROOT, seeds=range(DATA_SEEDS), sizes=SIZES
        )
        for name, spec in LEARNERS.items():
            found = np.empty((DATA_SEEDS, INITS), dtype=np.int64)
            for i in range(INITS):
                # Weights come from the seed: numbers that no other initialisation has.
                seeds = range(i * DATA_SEEDS, (i + 1) * DATA_SEEDS)
                found[:, i] = correct(spec, parts, ROOT, seeds)
            pool[name][source] = found.tolist()
    return pool


def init_only() -> dict[str, dict[str, list[int]]]:
    """[learner][data set][initialisation]: correct test rows of one data set."""
    pool: dict[str, dict[str, list[int]]] = {name: {} for name in LEARNERS}
    for source in MOONS:
        part = prepared_seeds(DataSpec.parse(source), root=ROOT, seeds=[0], sizes=SIZES)
        for name, spec in LEARNERS.items():
            pool[name][source] = correct(spec, part, ROOT, range(INITS_ONLY)).tolist()
    return pool


def halves(root: int) -> tuple[Dataset, Dataset]:
    """Two data sets with the same labels: given the class, independent draws of HALF."""
    rng = np.random.default_rng(np.random.SeedSequence(root, spawn_key=(0,)))
    drawn = [draw(DataSpec.parse(HALF), ROWS, rng) for _ in range(2)]
    # Rows come shuffled, so that sorting them by class matches them at random within a class.
    X, Y = (each.X[np.argsort(each.y, kind="stable")] for each in drawn)
    y = np.sort(drawn[0].y)
    first, second = (Dataset(HALF, half, y, drawn[0].classes, fixed=True) for half in (X, Y))
    return first, second


def new_split() -> list[list[list[int]]]:
    """[data set][learner: first half, second half][split]: correct test rows."""
    spec = LEARNERS["linear"]
    found = []
    for chosen in blocks(range(SETS), BLOCK // SPLITS):
        cut: tuple[list[Prepared], list[Prepared]] = ([], [])
        for i in chosen:
            for parts, half in zip(cut, halves(SET_ROOT + i), strict=True):
                # The same root for both halves: the splits have the same rows.
                parts += prepared_seeds(half, root=SET_ROOT + i, seeds=range(SPLITS))
        seeds = range(chosen[0] * SPLITS, (chosen[-1] + 1) * SPLITS)
        both = [correct(spec, parts, SET_ROOT, seeds).reshape(-1, SPLITS) for parts in cut]
        found += np.stack(both, axis=1).tolist()
        print(f"  {chosen[-1] + 1} of {SETS} data sets", flush=True)
    return found


def spreads(content: Mapping[str, Any]) -> dict[str, Any]:
    """Standard deviations of a null difference (accuracy), from which power is stated.

    By [learner][data set] for the first and the last population; for new splits one number, that
    within a data set.
    """

    def spread(correct: Sequence[Any]) -> float:
        # two initialisations of one data set: twice the variance of one
        variances = np.var(np.asarray(correct) / content["test_rows"], axis=-1, ddof=1)
        return math.sqrt(2 * float(np.mean(variances)))

    pools = content["pools"]
    split = np.array(pools["this data set, new split"]) / content["split_rows"]["test"]
    within = np.var(split[:, 0] - split[:, 1], axis=-1, ddof=1)
    inits = {
        population: {
            learner: {source: spread(correct) for source, correct in by_set.items()}
            for learner, by_set in pools[population].items()
        }
        for population in ("new data + new init", "init only")
    }
    return {**inits, "this data set, new split": math.sqrt(float(np.mean(within)))}


def blocks(items: range, size: int) -> Iterator[range]:
    """The items in consecutive blocks."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def digest(pools: dict[str, Any]) -> str:
    """The sha256 of the pools as canonical JSON, in hex."""
    text = json.dumps(pools, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    torch.set_num_threads(1)
    pools: dict[str, Any] = {}
    for name, make in (
        ("new data + new init", new_data),
        ("init only", init_only),
        ("this data set, new split", new_split),
    ):
        print(f"{name}: training", flush=True)
        pools[name] = make()
    # Each class is cut on its own: a fifth to validation and to test, the rest is trained on.
    part = prepared_seeds(halves(SET_ROOT)[0], root=SET_ROOT, seeds=[0])[0]
    content: dict[str, Any] = {
        "format": 1,
        "command": shlex.join(["python", "-m", MODULE]),
        "versions": installed_versions(),
        "epochs": CONFIG.epochs,
        "learning_rate": CONFIG.learning_rate,
        "experts": LEARNERS["linear"].num_experts,
        "test_rows": SIZES.test,
        "split_rows": {"train": len(part.y_train), "test": len(part.y_test)},
        "digest": digest(pools),
        "pools": pools,
    }
    content["spreads"] = spreads(content)
    PATH.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"wrote {PATH.name}, {PATH.stat().st_size} bytes, digest {content['digest'][:12]}")


if __name__ == "__main__":
    main()
