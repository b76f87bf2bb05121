"""The figures of what a target answered, beside the same router exact on the same inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from backends.compiled import Compiled
from backends.execute import Executed
from backends.twin import predict
from hardware_runs.scores import Asked
from qmoe.agreement import hellinger_fidelity, retention, shot_floor, total_variation
from qmoe.figure import Figure
from qmoe.metrics import ACCURACY_RANGE, Score, mean_score, paired_difference, wilson
from qmoe.studies.figures import Labels, plain, scored

if TYPE_CHECKING:
    from qmoe.predict import Answer


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long it took: compiling, running all inputs, and answering from their outcomes."""

    compiling: float
    running: float
    answering: float


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What a target gave under one treatment, and what the experts made of it.

    Attributes:
        asked: The inputs with what the ideal router gives.
        compiled: What the target made of the circuit.
        found: What the treatment gave.
        answer: Class probabilities and gate weights from it.
        shots: Of each input, all circuits of the treatment together; 0 where exact.
        seconds: What it took.
        seed: Of bootstraps and predictions.
    """

    asked: Asked
    compiled: Compiled
    found: Executed
    answer: Answer
    shots: int
    seconds: Seconds
    seed: int

    def figures(self, labels: Labels, *, predicted: bool) -> Iterator[Figure]:
        """Every figure, each with these labels.

        predicted: Also what the twin expected; for a target as it is, without mitigation.
        """
        yield from self._right(labels)
        yield from self._distances(labels)
        yield from self._routed(labels)
        if predicted and self.shots and self.compiled.noisy is not None:
            yield from self._predicted(labels)
        yield from self._taken(labels)

    def _right(self, labels: Labels) -> Iterator[Figure]:
        asked = self.asked
        best, even = asked.routed.answer(asked.X, asked.ideal), asked.routed.even(asked.X)
        right, exact, least = (
            said.probabilities.argmax(1) == asked.y for said in (self.answer, best, even)
        )
        yield scored("target accuracy", labels, wilson(int(right.sum()), len(right)))
        change = paired_difference(right.astype(float), exact.astype(float))
        yield scored("target minus exact accuracy", labels, change, note="exploratory")
        kept = retention(right, exact, least, self.seed)
        if kept is None:
            yield plain("routing retention", labels, None, "an even gate answers as well")
        else:
            yield scored("routing retention", labels, kept)

    def _distances(self, labels: Labels) -> Iterator[Figure]:
        found, ideal = self.found.probabilities, self.asked.ideal
        distance = total_variation(found, ideal)
        yield scored("total variation", labels, mean_score(distance, limits=(0.0, 1.0)))
        # of the raw budget, to which every treatment is held
        floor = shot_floor(ideal, self.shots).mean() if self.shots else 0.0
        yield plain("shot floor", labels, float(floor))
        fidelity = hellinger_fidelity(found, ideal)
        yield scored("hellinger fidelity", labels, mean_score(fidelity, limits=(0.0, 1.0)))

    def _routed(self, labels: Labels) -> Iterator[Figure]:
        """Which experts were asked: agreement, load, and who in place of whom."""
        gates, ideal = self.answer.gate_weights, self.asked.first
        first, rows = gates.argmax(1), len(gates)
        yield scored("top-1 agreement", labels, wilson(int((first == ideal).sum()), rows))
        experts = range(gates.shape[1])
        for k in experts:
            load = mean_score(gates[:, k], limits=ACCURACY_RANGE)
            yield scored("expert load", {**labels, "expert": k + 1}, load)
        for i in experts:
            for k in experts:
                both = int(((ideal == i) & (first == k)).sum())
                place = {**labels, "ideal": i + 1, "asked": k + 1}
                yield scored("routing confusion", place, wilson(both, rows))

    def _predicted(self, labels: Labels) -> Iterator[Figure]:
        """What the twin expected of the figures that were measured."""
        features = self.asked.routed.features(self.asked.X)
        for name in ("accuracy", "total variation"):
            score = partial(self.asked.score, name)
            expected = predict(self.compiled, features, self.shots, score, seed=self.seed)
            inside = expected.low <= score(self.found.probabilities) <= expected.high
            note = "inside" if inside else "outside"
            yield scored(f"predicted {name}", labels, expected, note=note)

    def _taken(self, labels: Labels) -> Iterator[Figure]:
        """What was compiled, what the treatment took, and how long."""
        compiled, overhead, seconds = self.compiled, self.found.overhead, self.seconds
        yield plain("two-qubit gates", labels, compiled.two_qubit_gates)
        yield plain("depth", labels, compiled.depth)
        calibrated = compiled.calibrated_at or ""
        yield plain("expected fidelity", labels, compiled.expected_fidelity, calibrated)
        yield plain("qubits", labels, compiled.native.num_qubits, " ".join(compiled.physical))
        yield plain("circuits", labels, overhead.circuits)
        yield plain("shots used", labels, overhead.shots)
        yield plain("gamma", labels, overhead.gamma)
        for name, value in (
            ("compile seconds", seconds.compiling),
            ("run seconds", seconds.running),
            ("answer seconds", seconds.answering),
        ):
            yield scored(name, labels, Score(value, math.nan, math.nan), unit="s")
