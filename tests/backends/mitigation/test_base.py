"""Runs, chains, the projection and the one pipeline."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

import backends
from backends.base import Compiled, check_features, compiled, sample
from backends.execute import EXPANSION, check_budget, execute
from backends.mitigation import Chain, Job, Plain, Run, load, project
from backends.mitigation.base import derived, made_by
from qmoe.ansatz import paper
from qmoe.circuit import Circuit, Op
from qmoe.errors import InputError

X = np.array([[0.3, 1.2], [2.0, 0.4], [1.0, 1.0]])


def bound(n: int = 2, layers: int = 2) -> Circuit:
    circuit = paper(n, layers)
    return circuit.bind_weights(np.linspace(-1, 1, circuit.num_weights))


@dataclass(frozen=True)
class Split:
    """Runs everything `parts` times with equal shares and takes the mean; notes who calls."""

    tag: str
    parts: int = 2

    @property
    def name(self) -> str:
        return self.tag

    def on(self, job: Job) -> Split:
        return self

    def expand(self, runs: Any, rng: np.random.Generator) -> Any:
        return tuple(
            derived(run, self.tag, share=1 / self.parts, label=f"{k}")
            for run in runs
            for k in range(self.parts)
        )

    def combine(self, runs: Any, values: Any) -> Any:
        assert all(made_by(run, self.tag) for run in runs)
        parents = [
            replace(run, share=run.share * self.parts, path=run.path[:-1], label="")
            for run in runs[:: self.parts]
        ]
        means = [
            np.mean(values[k : k + self.parts], axis=0) for k in range(0, len(runs), self.parts)
        ]
        return tuple(parents), tuple(means)


def test_none_is_the_plain_run_of_the_backend() -> None:
    backend = backends.load("reference")
    circuit = backend.compile(bound())
    found = execute(backend, circuit, load("none"), X, 1000, 7)
    counts = sample(backend.probabilities(circuit, X), 1000, 7)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found.probabilities, counts / 1000)
    assert found.clipped == 0
    assert (found.overhead.circuits, found.overhead.shots, found.overhead.gamma) == (3, 3000, 1)


def test_exact_probabilities_take_no_shots() -> None:
    backend = backends.load("reference")
    circuit = backend.compile(bound())
    found = execute(backend, circuit, Split("a", 3), X, None, 0)
    np.testing.assert_allclose(
        found.quasi,
        backend.probabilities(circuit, X),  # type: ignore[attr-defined]
        atol=1e-14,
    )
    assert found.overhead.shots == 0


def test_run_k_draws_from_its_own_stream_so_that_order_and_parts_do_not_matter() -> None:
    backend = backends.load("reference")
    circuit = backend.compile(bound())
    exact = backend.probabilities(circuit, X)  # type: ignore[attr-defined]
    found = execute(backend, circuit, Split("a"), X, 200, 3)
    drawn = [sample(exact, 100, 3, run=k) / 100 for k in range(2)]
    np.testing.assert_allclose(found.quasi, np.mean(drawn, 0), atol=1e-15)
    assert not np.array_equal(*drawn)
    again = execute(backend, circuit, Split("a"), X, 200, 3)
    np.testing.assert_array_equal(found.quasi, again.quasi)
    assert EXPANSION > 2**31  # no run is ever that far out


def test_a_chain_expands_right_to_left_and_combines_left_to_right() -> None:
    chain = Chain((Split("a", 2), Split("b", 3)))
    runs = chain.expand((Run(bound()),), np.random.default_rng(0))
    assert len(runs) == 6
    assert {run.path for run in runs} == {("b", "a")}
    assert sum(run.share for run in runs) == pytest.approx(1)
    left, values = chain.combine(runs, [np.full((1, 4), float(k)) for k in range(6)])
    assert left[0].path == ()
    assert left[0].share == pytest.approx(1)
    np.testing.assert_allclose(values[0], 2.5)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("zne+readout", "readout in the first place"),
        ("twirl+twirl", "each step once"),
        ("none+twirl", "none alone"),
        ("raedout", "readout"),
        ("none,a=1", "option of none"),
        ("readout,share", "key=value"),
        ("readout,share=.1,share=.2", "each key once"),
    ],
)
def test_bad_texts_are_one_line_errors(text: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_budget_that_is_too_small_is_refused_before_anything_runs() -> None:
    with pytest.raises(InputError, match="at least one shot"):
        execute(
            backends.load("reference"),
            backends.load("reference").compile(bound()),
            Split("a", 8),
            X,
            4,
            0,
        )
    for shots in (0, -5):
        with pytest.raises(InputError, match="shots"):
            execute(
                backends.load("reference"),
                backends.load("reference").compile(bound()),
                Plain(),
                X,
                shots,
                0,
            )


def test_shares_that_are_fractions_lose_no_shot() -> None:
    third = Run(bound(), share=1 / 3)
    assert third.shots(3000, 5) == 1000
    calibration = Run(Circuit(2, (), (0, 1)), role="calibration", share=0.05)
    assert calibration.shots(1000, 200) == 10_000
    assert check_budget((third, calibration), None, 5) == (0, 0)


def test_a_queued_target_cannot_be_asked_for_exact_probabilities() -> None:
    class Sampled:
        spec, source = "planted", "synthetic"

        def compile(self, circuit: Circuit) -> Compiled:
            return compiled(self.spec, circuit, ("a", "b"), noisy=None)

        def emit(self, native: Circuit, like: Compiled) -> Compiled:
            return self.compile(native)

        def run(self, found: Compiled, features: Any, shots: int, seed: int) -> Any:
            rows = check_features(found, features)
            return sample(np.full((len(rows), 4), 0.25), shots, seed)

    backend: Any = Sampled()
    with pytest.raises(InputError, match="without shots"):
        execute(backend, backend.compile(bound()), Plain(), X, None, 0)
    found = execute(backend, backend.compile(bound()), Split("a"), X, 100, 0)
    np.testing.assert_allclose(found.probabilities.sum(1), 1)


def test_runs_survive_json() -> None:
    run = Run(
        bound(),
        "calibration",
        scale=3.0,
        share=0.25,
        path=("zne", "readout"),
        coefficient=-1.5,
        label="zeros",
        row=4,
        vendor=("ibm.dd",),
    )
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run
    assert set(Run(bound()).to_dict()) == {"circuit"}


@pytest.mark.parametrize(
    "change",
    [
        {"role": "spy"},
        {"path": "zne"},
        {"path": ["x"] * 100},
        {"label": "x" * 1000},
        {"row": -1},
        {"share": float("nan")},
        {"unknown": 1},
        {"vendor": [3]},
    ],
)
def test_runs_from_outside_are_not_trusted(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Run.from_dict({**Run(bound()).to_dict(), **change})


@given(arrays(np.float64, (1, 4), elements=st.floats(-2, 2)))
def test_the_projection_is_the_nearest_distribution(v: Any) -> None:
    found = project(v)[0]
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    best = minimize(
        lambda p: ((p - v[0]) ** 2).sum(),
        np.full(4, 0.25),
        jac=lambda p: 2 * (p - v[0]),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        method="SLSQP",
    )
    assert ((found - v[0]) ** 2).sum() <= best.fun + 1e-6


def test_what_a_target_is_sent_is_emitted_on_the_same_qubits() -> None:
    """A changed circuit goes through `emit`; the given one is not compiled anew."""
    seen: list[Circuit] = []

    class Watched:
        spec, source = "reference", "exact"

        def __init__(self) -> None:
            self.inner: Any = backends.load("reference")

        def compile(self, circuit: Circuit) -> Compiled:
            raise AssertionError("compiled again")

        def emit(self, native: Circuit, like: Compiled) -> Compiled:
            seen.append(native)
            return self.inner.emit(native, like)  # type: ignore[no-any-return]

        def probabilities(self, found: Compiled, features: Any) -> Any:
            return self.inner.probabilities(found, features)

        def run(self, found: Compiled, features: Any, shots: int, seed: int) -> Any:
            return self.inner.run(found, features, shots, seed)

    @dataclass(frozen=True)
    class Flip(Split):
        def expand(self, runs: Any, rng: np.random.Generator) -> Any:
            (run,) = runs
            flipped = replace(run.circuit, ops=(*run.circuit.ops, Op("x", (0,))))
            return (
                derived(run, self.tag, share=0.5, circuit=flipped),
                derived(run, self.tag, share=0.5),
            )

    backend: Any = Watched()
    like = backend.inner.compile(bound())
    found = execute(backend, like, Flip("f"), X, None, 0)
    assert len(seen) == 1
    p = backend.inner.probabilities(like, X)
    np.testing.assert_allclose(found.quasi, (p + p[:, [2, 3, 0, 1]]) / 2, atol=1e-12)
