"""Signs that a training failed, each a warning that names its figure and a cure.

Each detector looks at one thing and says nothing where that thing is not known. None of them
changes a verdict: a router that fails to train has failed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from qmoe.arrays import Floats, Ints
from qmoe.cell import CellResult
from qmoe.metrics import Score

CHANCE_LEVEL = 0.99
"""How sure to be that an accuracy is more than luck before it counts as learned."""
PLATEAU_RATE = math.log(2) / 2
"""Fall of the gradient variance per qubit above which it is a barren plateau: half-way from none
to the ln 2 at which a two-design loses a local observable's gradient (arXiv 1803.11173)."""
OSCILLATION = 0.05
"""Share of a guess's cross-entropy that late training steps may lose again on average."""
FEWEST_RISES = 3


class Failure(NamedTuple):
    """A sign of failure, the figure that shows it, and what cures it.

    >>> print(Failure("oscillation", "the loss rises", "lower the learning rate (--lr)"))
    oscillation: the loss rises; lower the learning rate (--lr)
    """

    name: str
    message: str
    cure: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}; {self.cure}"


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What the detectors look at: one trained model.

    Attributes:
        accuracy: The share of right answers on the evaluated part.
        rows: Rows of that part.
        majority: The share of its largest class.
        classes: Classes, at least 2.
        expert_load: Mean gate weight of each expert on that part.
        steps: Training steps done at each point of the curve.
        train_loss: Cross-entropy (nats) there; nan or infinite where it was not finite.
        gradient_variance: By number of qubits, the variance of the gradient at initial weights
            (`qmoe.trainability`) at one depth and cost; the largest number is the model's own,
            the smallest the reference. None where it was not measured.
    """

    accuracy: float
    rows: int
    majority: float
    classes: int
    expert_load: Float64[Floats, " expert"]
    steps: Int64[Ints, " point"]
    train_loss: Float64[Floats, " point"]
    gradient_variance: Mapping[int, Score] | None = None

    @classmethod
    def of(
        cls,
        result: CellResult,
        seed: int,
        majority: float,
        gradient_variance: Mapping[int, Score] | None = None,
    ) -> Training:
        """The training at position `seed` of a result; `majority` as above."""
        run = [k for k, e in enumerate(result.curve_epochs) if e <= result.epochs_run[seed]]
        kept = run if result.curve_loss else []
        losses = [result.curve_loss[k][seed] for k in kept]
        epochs = np.array([result.curve_epochs[k] for k in kept], dtype=np.int64)
        return cls(
            accuracy=float(result.accuracy[seed]),
            rows=result.rows["test" if result.held_out else "train"],
            majority=majority,
            classes=result.classes,
            expert_load=np.array(result.expert_load[seed]),
            steps=epochs * result.steps_per_epoch,
            train_loss=np.array([math.nan if v is None else v for v in losses]),
            gradient_variance=gradient_variance,
        )


def failures(training: Training) -> tuple[str, ...]:
    """The warnings of a training, for its record."""
    found = (collapse(training), plateau(training), imbalance(training), oscillation(training))
    return tuple(str(failure) for failure in found if failure is not None)


def collapse(training: Training) -> Failure | None:
    """Accuracy that guessing could have had.

    The bound is the most right answers that naming classes blindly, right as often as the largest
    class is frequent, has with 99 % probability (binomial). Where even an accuracy half-way from
    there to 1 would lie within, the rows are too few to say anything.
    """
    from scipy.special import bdtr

    counts = np.arange(training.rows + 1)
    luck = int(np.searchsorted(bdtr(counts, training.rows, training.majority), CHANCE_LEVEL))
    bound = luck / training.rows
    if training.accuracy > bound or bound >= (1 + training.majority) / 2:
        return None
    return Failure(
        "collapse near chance",
        f"accuracy {training.accuracy:.3f} on {training.rows:,} rows, where guessing has "
        f"{training.majority:.3f} and reaches {bound:.3f} by luck (this alone is no barren "
        "plateau)",
        "try small-variance initialisation: --init-scale 0.1",
    )


def plateau(training: Training) -> Failure | None:
    """A gradient that vanishes exponentially with the number of qubits (arXiv 1803.11173).

    Judged by its variance at initial weights alone, never by accuracy: from the lower end of the
    reference's interval to the upper end of the model's own, it has to fall by more than
    `PLATEAU_RATE` per qubit.
    """
    variances = training.gradient_variance or {}
    if len(variances) < 2:
        return None
    few, own = min(variances), max(variances)
    reference, variance = variances[few].low, variances[own].high
    # no quotient, as the variance may be 0; nan (no interval) compares as False
    if not variance < reference * math.exp(-PLATEAU_RATE * (own - few)):
        return None
    ratio = variances[few].value / variances[own].value if variances[own].value else math.inf
    return Failure(
        "barren plateau",
        f"the gradient's variance at initial weights is {variances[own]:.2e} at {own} qubits, "
        f"against {variances[few]:.2e} at {few}: it falls by a factor "
        f"{ratio ** (1 / (own - few)):.2g} per qubit",
        "use layer-wise training: --layerwise, small-variance initialisation: --init-scale 0.1, or "
        "measure fewer qubits",
    )


def imbalance(training: Training) -> Failure | None:
    """An expert that does nearly everything, or one that does nothing.

    Nearly everything: all others together have less than half of one expert's even share 1 / E.
    Nothing: over all rows, the gate weights of an expert add up to less than one row.
    """
    load = training.expert_load
    experts = len(load)
    top, bottom = int(load.argmax()), int(load.argmin())
    if experts > 1 and load[top] > 1 - 0.5 / experts:
        message = f"expert {top} of {experts} carries {load[top]:.1%} of the load"
    elif load[bottom] * training.rows < 1:
        message = f"expert {bottom} of {experts} carries {load[bottom]:.1g} of the load: none"
    else:
        return None
    return Failure("expert imbalance", message, "add the load-balancing loss: --load-balance 0.01")


def oscillation(training: Training) -> Failure | None:
    """A loss that late training keeps losing again, or that is no longer finite.

    Over the second half of the curve: the sum of all rises from point to point, per step between
    points, exceeds `OSCILLATION` of the cross-entropy of a guess, ln(classes); at least
    `FEWEST_RISES` of them, so that a single spike is none. The noise of small batches stays below.
    """
    cure = "lower the learning rate (--lr)"
    loss = training.train_loss
    lost = np.flatnonzero(~np.isfinite(loss))
    if len(lost):
        message = f"the training loss is no longer finite at step {training.steps[lost[0]]:,}"
        return Failure("oscillation", message, cure)
    moves = np.diff(loss)[max(0, len(loss) // 2 - 1) :]
    rises = moves[moves > 0]
    if len(rises) < FEWEST_RISES:
        return None
    lost_again = float(rises.sum()) / len(moves)
    if lost_again <= OSCILLATION * math.log(training.classes):
        return None
    return Failure(
        "oscillation",
        f"the training loss rises {len(rises)} times between the last {len(moves) + 1} points, by "
        f"{lost_again:.3f} nats per point on average",
        cure,
    )
