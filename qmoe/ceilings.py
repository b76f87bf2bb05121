"""Ceilings: support vector classifiers, which are no Mixture of Experts and train to the optimum.

`rbf` is the usual classical yardstick; `product` is the closed-form kernel of a quantum router's
embedding (claim C6) put to use directly, with no circuit. Both are convex problems without
initialisation, so a seed re-draws the data alone. They have no class probabilities here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from qmoe.arrays import Floats, Ints
from qmoe.bench import bench_of
from qmoe.cell import Cell, CellResult
from qmoe.data import Prepared
from qmoe.errors import InputError, unknown
from qmoe.kernels import product_kernel
from qmoe.trial import Trial
from qmoe.tuned import identity

if TYPE_CHECKING:
    from sklearn.svm import SVC

KERNELS = ("rbf", "product")


def fit_svc(
    X: Float64[Floats, "row feature"],
    y: Int64[Ints, " row"],
    *,
    kernel: str,
    penalty: float = 1.0,
    scale: float = 1.0,
) -> SVC:
    """The support vector classifier of some rows; several classes by one against one.

    Args:
        X: Scaled features.
        y: Class indices.
        kernel: "rbf", exp(-|scale (x - z)|^2 / features), or "product", see `product_kernel`.
        penalty: C, the price of a row on the wrong side of its margin.
        scale: Factor of the features, the kernel's inverse bandwidth.

    Raises:
        InputError: An unknown kernel, or rows of one class only.
    """
    from sklearn.svm import SVC

    if kernel not in KERNELS:
        raise unknown("kernel", kernel, KERNELS)
    if len(np.unique(y)) < 2:
        raise InputError(
            got="training rows of one class",
            expected="at least two classes",
            do="pass more rows, or drop the support vector classifier",
        )
    if kernel == "rbf":
        machine = SVC(C=penalty, kernel="rbf", gamma=scale**2 / X.shape[1])
    else:
        machine = SVC(C=penalty, kernel=partial(product_kernel, scale=scale))
    return machine.fit(X, y)


def multiply_adds(support_vectors: int, num_features: int, num_classes: int) -> int:
    """What one prediction costs at most, counted as in `qmoe.routers.base.Cost`.

    A kernel value per support vector, one multiply-add per feature, and its K - 1 coefficients.
    """
    return support_vectors * (num_features + num_classes - 1)


class SVCTuned(NamedTuple):
    """Support vector classifiers of all trials and seeds; counts are of right answers.

    `chosen` is the trial of each seed with the most right answers on validation, the earlier one
    where trials tie. What follows it is of the chosen trial, the only one that met the test part.
    A support vector classifier has no fixed number of parameters: it stores its support vectors,
    a share of the training rows, which are given in their place.
    """

    validation_correct: Int64[Ints, "trial seed"]
    chosen: Int64[Ints, " seed"]
    test_correct: Int64[Ints, " seed"]
    train_correct: Int64[Ints, " seed"]
    support_vectors: Int64[Ints, " seed"]


def tune_svc(
    parts_by_scaler: Mapping[str, Sequence[Prepared]],
    trials: Sequence[Trial],
    kernel: str,
    progress: Callable[[int], None] | None = None,
) -> SVCTuned:
    """Fits every trial for every seed, chooses on validation and scores the chosen ones.

    Args:
        parts_by_scaler: The seeds' data under each scaler of the trials.
        trials: Their scaler, embedding scale and penalty are used; the rest has no meaning here.
        kernel: A name of `KERNELS`.
        progress: Called with the number of classifiers fitted.

    Raises:
        InputError: An unknown kernel, or a training part of one class only.
    """
    seeds = len(next(iter(parts_by_scaler.values())))
    validation = np.zeros((len(trials), seeds), dtype=np.int64)
    chosen, test, train, vectors = np.zeros((4, seeds), dtype=np.int64)
    for i in range(seeds):
        machines = []
        for t, trial in enumerate(trials):
            part = parts_by_scaler[trial.scaler][i]
            machines.append(
                fit_svc(
                    part.X_train,
                    part.y_train,
                    kernel=kernel,
                    penalty=trial.penalty,
                    scale=trial.embedding_scale,
                )
            )
            validation[t, i] = _correct(machines[t], part.X_validation, part.y_validation)
            if progress is not None:
                progress(i * len(trials) + t + 1)
        best = int(validation[:, i].argmax())  # of equals the first
        part = parts_by_scaler[trials[best].scaler][i]
        chosen[i] = best
        test[i] = _correct(machines[best], part.X_test, part.y_test)
        train[i] = _correct(machines[best], part.X_train, part.y_train)
        vectors[i] = len(machines[best].support_)
    return SVCTuned(validation, chosen, test, train, vectors)


def svc_cell(cell: Cell, progress: Callable[[int], None] | None = None) -> CellResult:
    """A cell of support vector classifiers, tuned; `qmoe.tune.tune` does the other cells.

    Raises:
        InputError: A cell without a validation part or with another cell's choice.
    """
    if cell.protocol == "notebook" or cell.like is not None:
        raise InputError(
            got=f"{cell.router} in the notebook protocol or with another cell's choice",
            expected="its own trials on a validation part",
            do="use a cell of protocol controlled",
        )
    started, trials = time.perf_counter(), cell.trials
    benches = {scaler: bench_of(cell, scaler) for scaler in {t.scaler for t in trials}}
    parts: dict[str, Sequence[Prepared]] = {name: b.parts for name, b in benches.items()}
    kernel = cell.router.removeprefix("svc-")
    tuned = tune_svc(parts, trials, kernel, progress)
    chosen = tuple(int(t) for t in tuned.chosen)
    first = benches[trials[chosen[0]].scaler]
    used = [benches[trials[t].scaler] for t in chosen]
    vectors = int(np.median(tuned.support_vectors))
    correct = tuple(tuple(int(v) for v in row) for row in tuned.validation_correct)
    return CellResult(
        **identity(cell, first, used, trials, searched=len(trials)),
        router=cell.label or f"SVC {kernel} kernel",
        family=cell.family or "ceiling",
        router_parameters=0,
        router_parameters_paper=0,
        model_parameters=vectors,
        frozen_numbers=0,
        multiply_adds=multiply_adds(vectors, first.num_features, first.num_classes),
        circuits=0,
        validation_correct=correct,
        # a support vector classifier has no cross-entropy: ties go to the earlier trial
        validation_loss=tuple(tuple(0.0 for _ in row) for row in correct),
        chosen=chosen,
        train_correct=tuple(int(v) for v in tuned.train_correct),
        test_correct=tuple(int(v) for v in tuned.test_correct),
        features_clipped=tuple(int(sum(b.part(i).clipped)) for i, b in enumerate(used)),
        epochs_kept=(0,) * len(cell.seeds),
        epochs_run=(0,) * len(cell.seeds),
        steps_per_epoch=0,
        routing_entropy=(0.0,) * len(cell.seeds),
        expert_load=((1.0,),) * len(cell.seeds),
        seconds=time.perf_counter() - started,
    )


def _correct(machine: SVC, X: Float64[Floats, "row feature"], y: Int64[Ints, " row"]) -> int:
    return int((machine.predict(X) == y).sum())
