"""mitiq's own techniques as steps, and ours against them."""

from __future__ import annotations

import ast
import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backends
from backends.compiled import two_qubit_gates
from backends.execute import execute
from backends.mitigation import Job, Run, load, mitiq_bridge, mitiq_techniques
from backends.mitigation.mitiq_bridge import Mitiq
from backends.mitigation.mitiq_circuits import Given
from backends.mitigation.mitiq_techniques import Cancelled
from backends.mitigation.paulis import digits
from backends.mitigation.pec import quasi_probabilities
from qmoe import channels
from qmoe.ansatz import paper, reupload
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.simulate import reference
from tests.backends.mitigation.by_hand import probabilities as exact
from tests.backends.mitigation.simulated import Noisy

ROOT = Path(__file__).parents[3]
X = np.array([[0.3, 1.2], [2.0, 0.4]])
NOISE = NoiseModel(depolarizing=0.02)
ALL = (
    "mitiq.zne",
    "mitiq.zne,fit=richardson,scales=1/3/5,folding=local",
    "mitiq.lre",
    "mitiq.ddd",
    "mitiq.pec,samples=12",
)


def bound(n: int = 2, layers: int = 2) -> Circuit:
    circuit = paper(n, layers)
    return circuit.bind_weights(np.linspace(-1, 2, circuit.num_weights))


def job(circuit: Circuit, noise: NoiseModel = NOISE) -> Job:
    backend = Noisy(noise)
    return Job(backend.compile(circuit), None, True, backend.spec)


def expanded(text: str, circuit: Circuit, seed: int = 0) -> tuple[Run, ...]:
    ready = load(text).on(job(circuit))
    return ready.expand((Run(circuit),), np.random.default_rng(seed))


# ---- circuits


@pytest.fixture(scope="module")
def native() -> Circuit:
    """A router as IBM's snapshot has it: rz, sx and cz, features free."""
    template = reupload(3, 2).bind_weights(np.linspace(-2, 2, 6))
    return backends.load("ibm:fake_boston").compile(template).native


@pytest.mark.parametrize("text", ["mitiq.zne,fit=richardson", "mitiq.zne,folding=local,scales=1/5"])
def test_folds_have_native_gates_and_exactly_scale_times_the_two_qubit_gates(
    text: str, native: Circuit
) -> None:
    x = np.random.default_rng(1).uniform(0, np.pi, (2, 3))
    ideal = reference.probabilities(native, (), x)
    for run in expanded(text, native):
        assert two_qubit_gates(run.circuit) == run.scale * two_qubit_gates(native)
        assert {op.gate for op in run.circuit.ops} <= {"rz", "sx", "x", "cz"}
        np.testing.assert_allclose(
            reference.probabilities(run.circuit, (), x), ideal, rtol=0, atol=1e-12
        )


EVERY = Circuit(
    2,
    (
        Op("h", (0,)),
        Op("s", (0,)),
        Op("sx", (1,)),
        Op("ecr", (0, 1)),
        Op("phased_xz", (0,), (Feature(0), 0.2, 0.3)),
        Op("rzz", (1, 0), (Feature(1, -0.5),)),
        Op("ry", (0,), (0.4,)),
        Op("mark_layer", ()),
        Op("cx", (1, 0)),
        Op("y", (1,)),
        Op("rx", (0,), (5.0,)),
        Op("z", (0,)),
    ),
    (1, 0),
    2,
)


@pytest.mark.parametrize("text", ALL[:4])
def test_every_gate_comes_back_and_so_does_its_inverse(text: str) -> None:
    ideal = reference.probabilities(EVERY, (), X)
    runs = expanded(text, EVERY)
    for run in runs:
        np.testing.assert_allclose(
            reference.probabilities(run.circuit, (), X), ideal, rtol=0, atol=1e-12
        )
    kept = sorted(repr(op) for op in EVERY.ops if not op.is_mark)
    assert sorted(map(repr, runs[0].circuit.ops)) == kept  # the first is not changed


@pytest.mark.parametrize("text", [*ALL[:3], "mitiq.pec,samples=5"])
def test_a_template_gives_what_each_input_alone_would_give(text: str) -> None:
    circuit = bound(3)
    for row in np.random.default_rng(2).uniform(-3, 3, (3, 3)):
        alone = expanded(text, circuit.bind(row))
        for run, single in zip(expanded(text, circuit), alone, strict=True):
            mine = run.circuit.bind(row)
            assert [(op.gate, op.qubits) for op in mine.ops] == [
                (op.gate, op.qubits) for op in single.circuit.ops
            ]
            for op, other in zip(mine.ops, single.circuit.ops, strict=True):
                np.testing.assert_allclose(op.angles, other.angles, atol=1e-12)
            assert run.coefficient == pytest.approx(single.coefficient, abs=1e-12)


def test_pulses_fill_idle_windows() -> None:
    idle = Circuit(2, (Op("x", (1,)), *[Op("ry", (0,), (0.3,))] * 4, Op("cz", (0, 1))), (0, 1))
    for rule, gates in (("xx", ["x", "x"]), ("yy", ["y", "y"]), ("xyxy", ["x", "y", "x", "y"])):
        (run,) = expanded(f"mitiq.ddd,rule={rule}", Circuit(2, (*idle.ops, *idle.ops), (0, 1)))
        inserted = [op.gate for op in run.circuit.ops if op.qubits == (1,)]
        assert len(inserted) >= 2 + len(gates) or rule == "xyxy"
        assert run.coefficient == 1
    runs = expanded("mitiq.ddd,trials=3", idle)
    assert [run.share for run in runs] == [pytest.approx(1 / 3)] * 3


# ---- values


@pytest.mark.parametrize(
    "options",
    [
        "fit=linear,scales=1/3",
        "fit=linear,scales=1/3/5",
        "fit=richardson,scales=1/3/5",
        "fit=polynomial,scales=1/3/5/7,order=2",
        "fit=linear,scales=1/5,folding=local",
    ],
)
def test_our_zne_equals_mitiqs(options: str) -> None:
    backend = Noisy(NOISE)
    compiled = backend.compile(bound())
    ours, theirs = (
        execute(backend, compiled, load(f"{name},{options}"), X, None, 0)
        for name in ("zne", "mitiq.zne")
    )
    np.testing.assert_allclose(theirs.quasi, ours.quasi, atol=1e-9)
    assert theirs.overhead.gamma == pytest.approx(ours.overhead.gamma)
    assert theirs.overhead.circuits == ours.overhead.circuits


def by_component(combine: Any, results: Any) -> Any:
    """mitiq's combine_results for each outcome of each row by itself: (k, rows, 2^m)."""
    out = np.empty(results.shape[1:])
    for place in np.ndindex(out.shape):
        out[place] = combine([float(v) for v in results[:, *place]])
    return out


@pytest.mark.parametrize("text", ALL)
def test_the_weights_are_mitiqs_combination_of_every_component(text: str) -> None:
    circuit = bound()
    ready = load(text).on(job(circuit))
    runs = ready.expand((Run(circuit),), np.random.default_rng(7))
    given, state = Given(circuit), np.random.RandomState()
    state.set_state(np.random.RandomState(_seed(7)).get_state())
    made, _, combine = ready.technique.built(given, state)
    assert [given.back(each) for each in made] == [run.circuit for run in runs]
    results = np.random.default_rng(0).dirichlet(np.ones(4), size=(len(runs), 2))
    (left,), (quasi,) = ready.combine(runs, list(results))
    expected = by_component(combine, results)
    expected += (1 - expected.sum(1, keepdims=True)) / 4  # nothing but for pec
    np.testing.assert_allclose(quasi, expected, atol=1e-10)
    assert (left.path, left.coefficient, left.share) == ((), pytest.approx(1), pytest.approx(1))


def _seed(seed: int) -> int:
    return int(np.random.default_rng(seed).integers(2**32))


def test_vectors_in_mitiqs_combination_are_wrong_without_a_word() -> None:
    """Why only scalars are passed to it: mitiq 1.1.0."""
    from mitiq import ddd, pec

    results = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    assert np.shape(pec.combine_results(results, 1.5, [1, 1])) == ()
    assert np.shape(ddd.combine_results(results)) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "wires"), [("global", 1), ("local", 1), ("global", 2), ("local", 2)]
)
def test_its_representations_have_our_quasi_probabilities(kind: str, wires: int) -> None:
    q = 0.03
    op = Op("cz", (0, 1)) if wires == 2 else Op("ry", (0,), (0.4,))
    circuit = Circuit(2, (op,), (0, 1))
    given = Given(circuit)
    technique = Cancelled(noise=kind, levels={(op.gate, op.qubits): q})
    found = np.zeros(4**wires)
    for weight, noisy in technique.representation(op, given).basis_expansion:
        paulis = [0, 0]
        for pauli in given.back(noisy.circuit).ops[1:]:
            paulis[pauli.qubits[0]] = "ixyz".index(pauli.gate)
        index = paulis[0] * 4 + paulis[1] if wires == 2 else paulis[0]
        found[index] += weight
    if kind == "global" or wires == 1:
        expected = quasi_probabilities(channels.depolarizing(range(wires), q))
    else:
        one = quasi_probabilities(channels.depolarizing((0,), q))
        expected = np.kron(one, one)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert digits(6, 2) == (1, 2)


@pytest.mark.parametrize(("kind", "placement"), [("global", "gate"), ("local", "wire")])
def test_gamma_is_that_of_our_pec_where_the_noise_is_what_mitiq_assumes(
    kind: str, placement: str
) -> None:
    noise = NoiseModel(placement=placement, depolarizing=0.02)
    at = job(bound(), noise)
    runs = (
        load(f"mitiq.pec,samples=3,noise={kind}")
        .on(at)
        .expand((Run(at.compiled.native),), np.random.default_rng(0))
    )
    assert sum(abs(run.coefficient) for run in runs) == pytest.approx(load("pec").on(at).gamma)


def test_all_of_its_samples_recover_the_ideal_where_paulis_have_no_noise() -> None:
    """Noise on the two-qubit gate only: x, y and z are free of it."""
    turns = tuple(Op("ry", (q,), (1.0 + q,)) for q in (0, 1))
    core = Op("cz", (0, 1))
    circuit = Circuit(2, (*turns, core, *turns), (0, 1))
    noise, x = NoiseModel(depolarizing2=0.15), np.zeros((1, 0))
    ready = load("mitiq.pec").on(job(circuit, noise))
    given, total = Given(circuit), np.zeros((1, 4))
    for weight, noisy in ready.technique.representation(core, given).basis_expansion:
        ops = (*turns, *given.back(noisy.circuit).ops, *turns)
        total += weight * exact(noise.place(Circuit(2, ops, (0, 1))), x, circuit)
    ideal = reference.probabilities(circuit, (), x)
    np.testing.assert_allclose(total, ideal, atol=1e-10)
    assert np.abs(exact(noise.place(circuit), x, circuit) - ideal).max() > 0.01


def test_lre_is_exact_where_noise_is_a_polynomial_of_its_degree() -> None:
    """Values 1 - a s + b s^2 in the one scale of a single chunk."""
    circuit = bound()
    ready = load("mitiq.lre,chunks=1").on(job(circuit))
    runs = ready.expand((Run(circuit),), np.random.default_rng(0))
    assert [run.scale for run in runs] == [1, 3, 5]
    values = [
        np.array([[0.7, 0.3]]) + (-0.02 * r.scale + 0.001 * r.scale**2) * np.array([[1, -1]])
        for r in runs
    ]
    _, (quasi,) = ready.combine(runs, values)
    np.testing.assert_allclose(quasi, [[0.7, 0.3]], atol=1e-10)


# ---- the whole way


@pytest.mark.parametrize("text", ALL)
def test_runs_keep_the_budget_and_their_text(text: str) -> None:
    backend = Noisy(NOISE)
    found = execute(backend, backend.compile(bound()), load(text), X, None, 0)
    assert sum(run.share for run in found.runs) == pytest.approx(1)
    again = [Run.from_dict(json.loads(json.dumps(run.to_dict()))) for run in found.runs]
    assert again == list(found.runs)
    np.testing.assert_allclose(found.quasi.sum(1), 1, atol=1e-12)
    assert load(load(text).name) == load(text)


@pytest.mark.parametrize(
    "text", ["readout+mitiq.zne", "mitiq.ddd+pec,samples=5", "twirl,variants=2+mitiq.lre,chunks=1"]
)
def test_chains_come_back_to_one_run(text: str) -> None:
    backend = Noisy(NOISE)
    found = execute(backend, backend.compile(bound()), load(text), X, None, 0)
    assert found.quasi.shape == (2, 4)
    assert sum(run.share for run in found.runs) == pytest.approx(1)


@pytest.mark.parametrize("text", ALL)
def test_global_random_state_is_neither_used_nor_changed(text: str) -> None:
    circuit = bound()
    ready = load(text).on(job(circuit))

    def drawn() -> Any:
        return ready.expand((Run(circuit),), np.random.default_rng(3))

    np.random.seed(1)
    random.seed(1)
    before = np.random.get_state()
    first = drawn()
    after = np.random.get_state()
    assert before[2] == after[2]
    np.testing.assert_array_equal(before[1], after[1])
    np.random.seed(2)
    random.seed(2)
    assert drawn() == first


def test_both_global_states_are_put_back() -> None:
    """By itself: what checks types in tests draws from `random` too."""
    before, before_ = np.random.get_state(), random.getstate()
    draws = []
    for _ in range(2):
        with mitiq_bridge._untouched(np.random.default_rng(5)) as state:
            draws.append((random.random(), np.random.rand(), state.rand()))
        assert random.getstate() == before_
        np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    assert draws[0] == draws[1]


# ---- what is refused


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("mitiq.znne", "did you mean 'zne'"),
        ("mitiq.rem", "technique of mitiq 'rem'"),
        ("mitiq.zne,scales=1/2", "odd whole numbers"),
        ("mitiq.zne,fit=richardson,scales=1", "order"),
        ("mitiq.zne,fit=exponential", "linear in the values"),
        ("mitiq.pec,samples=0", "samples of mitiq.pec"),
        ("mitiq.pec,noise=globl", "did you mean 'global'"),
        ("mitiq.lre,degree=0", "degree of mitiq.lre"),
        ("mitiq.lre,chunk=3", "did you mean 'chunks'"),
        ("mitiq.lre,folding=random", "folding of mitiq.lre"),
        ("mitiq.ddd,rule=zz", "rule of mitiq.ddd"),
        ("mitiq.ddd,trials=0", "trials of mitiq.ddd"),
    ],
)
def test_bad_options_are_told(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        load(text)


def test_what_the_circuit_or_target_cannot_take_is_refused() -> None:
    circuit = bound()
    with pytest.raises(InputError, match="at most one chunk"):
        expanded("mitiq.lre,chunks=99", circuit)
    with pytest.raises(InputError, match=r"mitiq.pec on simulated:noisy, where gamma is"):
        load("mitiq.pec").on(job(circuit, NoiseModel(depolarizing=0.3)))
    at = job(circuit)
    silent = Job(backends.load("reference").compile(circuit), None, True, "reference")
    object.__setattr__(silent.compiled, "noisy", None)
    with pytest.raises(InputError, match="does not state its noise"):
        load("mitiq.pec").on(silent)
    with pytest.raises(InputError, match="unsupported"):
        load("mitiq.zne").on(Job(at.compiled, None, False, at.spec))
    with pytest.raises(InputError, match="write it last"):
        execute(Noisy(NOISE), at.compiled, load("mitiq.pec+zne"), X, None, 0)


def test_without_mitiq_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitiq", None)
    with pytest.raises(InputError, match=r"pip install 'qmoe-bench\[mitigation\]'"):
        load("mitiq.zne")


def test_what_it_gave_is_combined_without_mitiq(monkeypatch: pytest.MonkeyPatch) -> None:
    step = load("mitiq.zne")
    assert isinstance(step, Mitiq)
    runs = expanded("mitiq.zne", bound())
    for name in [name for name in sys.modules if name.partition(".")[0] == "mitiq"]:
        monkeypatch.setitem(sys.modules, name, None)
    _, (quasi,) = step.combine(runs, [np.array([[0.6, 0.4]]), np.array([[0.5, 0.5]])])
    np.testing.assert_allclose(quasi, [[0.65, 0.35]], atol=1e-12)


def test_one_file_imports_it() -> None:
    found = set()
    for path in (ROOT / "backends").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[Any] = []
            match node:
                case ast.Import():
                    names = [alias.name for alias in node.names]
                case ast.ImportFrom():
                    names = [node.module]
                case ast.Call(func=ast.Name(id="require" | "import_module"), args=args):
                    names = [arg.value for arg in args if isinstance(arg, ast.Constant)]
            if any(str(name).partition(".")[0] == "mitiq" for name in names):
                found.add(path)
    assert found == {Path(mitiq_techniques.__file__)}
