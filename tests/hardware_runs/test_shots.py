"""`qmoe shots`: planned experiments reach what they promise when they are carried out."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import typer
from scipy.stats import nct, t

from backends.compiled import as_given
from backends.conformance.predict import predicted
from backends.mitigation import load as mitigation
from backends.twin import Twin
from hardware_runs.rehearsal import Rehearsed, Side, rehearse, sides
from hardware_runs.shots import (
    BIAS,
    FEWEST_CHANGES,
    FEWEST_INPUTS,
    FEWEST_ROUTERS,
    SLACK,
    Aim,
    plans,
    plans_within,
    realised,
)
from hardware_runs.treated import checkpoints
from hardware_runs.variance import components
from qmoe import cli_shots
from qmoe.cell import Cell
from qmoe.entry import enter
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.retrained import retrained
from qmoe.simulate import probabilities
from qmoe.studies.families import MOONS, quantum
from qmoe.train import TrainConfig
from qmoe.tune import tune

pytestmark = pytest.mark.usefixtures("unchecked")

SMALL = Cell(
    MOONS[1],
    *quantum(2),
    seeds=tuple(range(16)),
    sizes=(200, 100, 1000),
    config=TrainConfig(epochs=40),
)
RAW = mitigation("none")
NOISE = NoiseModel(depolarizing=0.03)
READOUT = NoiseModel(read_1_of_0=0.04, read_0_of_1=0.1)
GRID = (20, 50, 100, 200, 1000)
EXPERIMENTS = 2000


class Modelled:
    """A target whose noise is a model of ours, on the circuit as given."""

    source = "synthetic"
    foldable = True

    def __init__(self, noise: NoiseModel) -> None:
        self.noise, self.spec = noise, f"modelled:{noise}"

    def compile(self, circuit):
        return as_given(self.spec, circuit, self.noise)

    def emit(self, native, like):
        return self.compile(native)

    def run(self, compiled, features, shots, seed):
        raise NotImplementedError


def noisy(noise: NoiseModel = NOISE, treated: str = "none") -> Side:
    return Side(Twin(Modelled(noise)), mitigation(treated))


EXACT = sides("torch")[1]


@pytest.fixture(scope="module")
def trained():
    return checkpoints(retrained(SMALL, tune(SMALL)))


@pytest.fixture(scope="module")
def seen(trained) -> tuple[Rehearsed, ...]:
    return rehearse((noisy(), EXACT), trained, seed=1, grid=GRID, inputs=1000)


@pytest.fixture(scope="module")
def carried_out(trained):
    """Means over inputs (experiment, router) of experiments as a plan says, by other code."""
    known = []
    for routed, data in trained:
        x = routed.features(data.X_test)
        exact = []
        for noise in (None, NOISE):
            angles = torch.from_numpy(routed.angles)
            p = probabilities(routed.circuit, angles, torch.from_numpy(x), noise=noise)
            exact.append(p.numpy())
            told = as_given("", routed.template, noise)
            np.testing.assert_allclose(exact[-1][:5], predicted(told, x[:5]), atol=1e-12)
        best = routed.answer(data.X_test, exact[0])
        p = exact[1] / exact[1].sum(1, keepdims=True)
        known.append((p, best.probabilities.argmax(1) == data.y_test))

    def carry_out(plan, seed: int):
        rng = np.random.default_rng(seed)
        which = rng.integers(len(trained), size=(EXPERIMENTS, plan.routers))
        means = np.empty(which.shape)
        for k, (routed, data) in enumerate(trained):
            (p, right), here = known[k], which == k
            rows = rng.integers(len(p), size=(int(here.sum()), plan.inputs))
            counts = rng.multinomial(plan.shots, p[rows.ravel()])
            said = routed.answer(data.X_test[rows.ravel()], counts / plan.shots)
            now = said.probabilities.argmax(1) == data.y_test[rows.ravel()]
            difference = now.astype(float) - right[rows.ravel()]
            means[here] = difference.reshape(rows.shape).mean(1)
        return means

    return carry_out


def found_by_t(means, effect: float, alpha: float) -> float:
    """The share of experiments whose paired t test finds a planted difference, up or down."""
    signs = np.where(np.arange(len(means)) % 2, 1.0, -1.0)
    values = means - means.mean() + effect * signs[:, None]
    routers = values.shape[1]
    half = t.ppf(1 - alpha / 2, routers - 1) * values.std(1, ddof=1) / np.sqrt(routers)
    return float((np.abs(values.mean(1)) > half).mean())


@pytest.mark.parametrize(
    "aim", [Aim(0.03), Aim(0.02, power=0.9), Aim(0.03, power=0.6, alpha=0.1)], ids=str
)
def test_a_planned_test_has_the_power_promised(aim, seen, carried_out):
    plan = plans(aim, seen, 30)[0]
    assert plan.reaches <= aim.size
    power = found_by_t(carried_out(plan, 1), plan.reaches, aim.alpha)
    # the simulation itself errs by less than .01 (one standard deviation)
    assert abs(power - aim.power) < 0.05
    assert found_by_t(carried_out(plan, 2), aim.size, aim.alpha) > aim.power - 0.05


def test_a_planned_interval_is_as_narrow_as_promised(seen, carried_out):
    aim = Aim(0.015, power=None)
    plan = plans(aim, seen, 30)[0]
    means = carried_out(plan, 3)
    half = t.ppf(0.975, plan.routers - 1) * means.std(1, ddof=1) / np.sqrt(plan.routers)
    assert np.sqrt((half**2).mean()) == pytest.approx(plan.reaches, rel=0.06)
    covers = np.abs(means.mean(1) - means.mean()) <= half
    assert abs(covers.mean() - 0.95) < 0.02


def test_a_budget_buys_the_difference_promised(seen, carried_out):
    aim = Aim(None)
    plan = plans_within(150_000, aim, seen, 30)[0]
    assert plan.total <= 150_000
    assert abs(found_by_t(carried_out(plan, 4), plan.reaches, 0.05) - 0.8) < 0.05
    # a power of .8 and one of .5 are far enough apart to be told from each other
    assert found_by_t(carried_out(plan, 5), 0.7 * plan.reaches, 0.05) < 0.65


def test_its_own_simulation_says_the_same(seen, carried_out):
    for aim in (Aim(0.03), Aim(0.02, power=None)):
        plan = plans(aim, seen, 30)[0]
        said = realised(plan, aim, next(s for s in seen if s.shots == plan.shots), seed=0)
        if aim.power is None:
            assert said.value == pytest.approx(plan.reaches, rel=0.03)
        else:
            assert said.low - 0.03 < found_by_t(carried_out(plan, 6), plan.reaches, 0.05)
            assert abs(said.value - 0.8) < 0.05
        assert said.low < said.value < said.high


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("routers", [8, 30])
def test_the_factor_is_the_noncentrality_with_that_power(routers, power):
    shift = Aim(0.1, power, 0.01).factor(routers)
    edge = t.ppf(0.995, routers - 1)
    assert nct.sf(edge, routers - 1, shift) + nct.cdf(-edge, routers - 1, shift) == (
        pytest.approx(power, abs=1e-6)
    )
    assert Aim(0.1, None, 0.01).factor(routers) == pytest.approx(edge)


def reached(aim: Aim, each: Rehearsed):
    """What so many routers with so many inputs reach."""
    found = components(each.differences)
    factors = {n: aim.factor(n) for n in range(FEWEST_ROUTERS, 13)}
    return lambda routers, inputs: factors[routers] * np.sqrt(found.of_mean(routers, inputs))


def test_plans_are_the_cheapest_that_reach_what_is_wanted(seen):
    aim = Aim(0.03)
    found = plans(aim, seen, 12)
    assert [p.total for p in found] == sorted(p.total for p in found)
    by_shots = {each.shots: each for each in seen}
    for plan in found:
        each = by_shots[plan.shots]
        reach = reached(aim, each)
        assert plan.circuits == plan.routers * plan.inputs and plan.bias == each.bias
        assert plan.total == plan.circuits * plan.shots
        assert abs(plan.bias) <= BIAS * aim.size
        assert plan.reaches == pytest.approx(reach(plan.routers, plan.inputs))
        if plan.inputs > FEWEST_INPUTS:
            assert reach(plan.routers, plan.inputs - 1) > aim.size
        every = [
            n * i * plan.shots
            for n in range(FEWEST_ROUTERS, 13)
            for i in range(FEWEST_INPUTS, 400)
            if reach(n, i) <= aim.size
        ]
        assert min(every) <= plan.total <= (1 + SLACK) * min(every)
    left_out = set(by_shots) - {plan.shots for plan in found}
    assert all(abs(by_shots[s].bias) > BIAS * aim.size for s in left_out) and 20 in left_out


def test_a_budget_is_split_as_well_as_any(seen):
    aim = Aim(None)
    found = plans_within(150_000, aim, seen, 12)
    assert [p.reaches for p in found] == sorted(p.reaches for p in found)
    by_shots = {each.shots: each for each in seen}
    for plan in found:
        reach = reached(aim, by_shots[plan.shots])
        least = min(
            reach(n, 150_000 // plan.shots // n)
            for n in range(FEWEST_ROUTERS, 13)
            if 150_000 // plan.shots // n >= FEWEST_INPUTS
        )
        assert least * (1 - 1e-9) <= plan.reaches <= (1 + SLACK) * least
        assert abs(plan.bias) <= BIAS * plan.reaches


def test_hardly_any_changed_answers_promise_no_more_than_a_few_would(seen):
    rare = np.zeros_like(seen[0].differences)
    rare[0, 0, 0] = 1
    perfect = replace(seen[-1], differences=rare, bias=0.0)
    (plan,) = plans(Aim(0.02), [perfect], 8)
    assert plan.reaches == pytest.approx(
        Aim(0.02).factor(8) * np.sqrt(FEWEST_CHANGES) / (8 * plan.inputs)
    )
    assert plan.reaches <= 0.02 and realised(plan, Aim(0.02), perfect, seed=0).value > 0.75


def test_what_is_out_of_reach_is_an_error(seen):
    with pytest.raises(InputError, match=r"got 0\.0001"):
        plans(Aim(0.0001), seen, 30)
    with pytest.raises(InputError, match="a budget of 500 shots"):
        plans_within(500, Aim(None), seen, 30)
    with pytest.raises(InputError, match="routers 7"):
        plans(Aim(0.02), seen, FEWEST_ROUTERS - 1)


def accuracy(checkpoint, noise: NoiseModel | None, rows: int) -> float:
    routed, data = checkpoint
    X, x = data.X_test[:rows], routed.features(data.X_test[:rows])
    p = predicted(as_given("", routed.template, noise), x)
    return float((routed.answer(X, p).probabilities.argmax(1) == data.y_test[:rows]).mean())


def test_differences_without_their_shot_bias_are_those_of_exact_probabilities(trained):
    few, rows = trained[:3], 200
    perfect = np.mean([accuracy(each, None, rows) for each in few])
    blurred = np.mean([accuracy(each, READOUT, rows) for each in few])
    other = np.mean([accuracy(each, NOISE, rows) for each in few])
    for compared, expected in (
        ((noisy(READOUT), EXACT), blurred - perfect),
        ((noisy(READOUT), noisy(NOISE)), blurred - other),
        ((noisy(READOUT, "readout"), noisy(READOUT)), perfect - blurred),
    ):
        (each,) = rehearse(compared, few, seed=0, grid=(500,), inputs=rows, draws=2)
        assert each.differences.shape == (3, rows, 2)
        assert each.differences.mean() - each.bias == pytest.approx(expected, abs=1e-12)
        assert each.sampled == (1 if compared[1] is EXACT else 2)
    assert each.shared and each.circuits == (2, 2)


def test_differences_repeat_from_their_seed_and_not_from_another(trained):
    compared = (noisy(), noisy())
    one, again, other = (
        rehearse(compared, trained[:3], seed=s, grid=(50,), inputs=300)[0] for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.differences, again.differences)
    assert (one.differences != other.differences).any()
    # two samples of the same: no bias but that of chance, in 3 x 300 x 4 answers
    spread = np.sqrt(np.mean(one.differences.astype(float) ** 2) / one.differences.size)
    assert abs(one.differences.mean()) < 4.5 * spread


def test_shots_that_a_mitigation_cannot_split_are_left_out(trained):
    compared = (noisy(READOUT, "zne,fit=linear,scales=1/3"), noisy(READOUT))
    found = rehearse(compared, trained[:1], seed=0, grid=(1, 100), inputs=20, draws=2)
    assert [each.shots for each in found] == [100]


@pytest.mark.parametrize(
    ("against", "first", "second"),
    [
        ("exact", "reference", "exact"),
        ("readout", "reference with readout", "reference"),
        ("torch", "reference", "torch"),
    ],
)
def test_a_comparison_is_with_the_exact_router_a_mitigation_or_a_target(against, first, second):
    one, other = sides("reference", against)
    assert (str(one).split(",")[0], str(other)) == (first, second)


@pytest.fixture
def qmoe(monkeypatch, capsys):
    """`qmoe` with this one command: exit code, standard output, standard error."""
    app = typer.Typer()
    app.add_typer(cli_shots.app)
    app.callback()(lambda: None)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qmoe", "shots", *words])
        with pytest.raises(SystemExit) as stop:
            enter(app, "qmoe", "qmoe --help")
        out, err = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, out, err

    return call


def test_the_command_recommends_a_plan(qmoe):
    code, out, err = qmoe("torch", "--detect", "0.03", "--trained", "3", "--json")
    assert (code, err) == (0, "")
    tree = json.loads(out)
    best = tree["recommended"]
    assert best["reaches"] <= 0.03 and best["total"] == best["circuits"] * best["shots"]
    assert all(best["total"] <= other["total"] for other in tree["alternatives"])
    assert tree["compared"] == ["torch", "exact"] and tree["power"] == 0.8
    assert tree["realised"]["low"] < tree["realised"]["value"] < tree["realised"]["high"]


def test_the_command_shows_what_a_budget_finds(qmoe):
    code, out, err = qmoe("torch", "--budget", "200000", "--trained", "3")
    assert (code, err) == (0, "")
    for expected in ("200,000 shots find with power 0.8", "finds", "shot floor", "Recommended: "):
        assert expected in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--precision, --detect and --budget"),
        (("--precision", "0.01", "--detect", "0.02"), "--precision and --detect"),
        (("--precision", "0"), "precision 0"),
        (("--precision", "nan"), "precision nan"),
        (("--detect", "-0.02"), "difference to detect -0.02"),
        (("--detect", "1.5"), "difference to detect 1.5"),
        (("--detect", "0.02", "--power", "1"), "power 1"),
        (("--detect", "0.02", "--power", "0"), "power 0"),
        (("--precision", "0.02", "--power", "2"), "power 2"),
        (("--detect", "0.02", "--alpha", "0"), "alpha 0"),
        (("--budget", "-5"), "budget -5"),
        (("--budget", "many"), "--budget"),
        (("--budget", "5", "--routers", "7"), "routers 7"),
        (("--budget", "5", "--trained", "2"), "trained routers 2"),
        (("--budget", "5", "--seed", "-1"), "seed -1"),
        (("--budget", "5", "--against", "reedout"), "reedout"),
        (("--budget", "5", "--against", "readout,share=2"), "share"),
    ],
)
def test_bad_questions_are_one_line(qmoe, words, said):
    code, out, err = qmoe("torch", *words)
    assert (code, out) == (2, "") and said in err and len(err.splitlines()) == 1


def test_an_unknown_target_is_one_line_with_the_nearest(qmoe):
    code, out, err = qmoe("refrence", "--detect", "0.02")
    assert (code, out) == (2, "") and "'reference'" in err and len(err.splitlines()) == 1


def test_help_has_an_example(qmoe):
    code, out, _ = qmoe("--help")
    assert code == 0 and "Example: qmoe shots" in out
