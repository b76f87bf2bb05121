"""Studies as plans: what they train and measure, and the functions that their figures come from."""

from __future__ import annotations

import inspect
import math
from collections import defaultdict
from dataclasses import replace
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from qmoe.cell import SVC as SVC_NAMES
from qmoe.cell import Cell, CellResult
from qmoe.data import DataSpec, splits
from qmoe.errors import InputError
from qmoe.eta import READINGS, STATED, Reading, efficiencies
from qmoe.figure import Measurement
from qmoe.images import IMAGE_SETS
from qmoe.plan import Plan
from qmoe.routers import build
from qmoe.spec import ModelSpec
from qmoe.studies import efficiency, hunt, trainability
from qmoe.studies.families import MOONS, quantum
from qmoe.suite import Setup, resolve, search, setup
from qmoe.train import TrainConfig
from qmoe.trial import Trial
from qmoe.tune import tune

SETUP = setup(0, 30, 12)
STUDIES = (
    *("ablation", "efficiency", "interference", "convergence", "trainability", "images", "hunt"),
)
MNIST, FASHION = DataSpec("mnist", classes=(0, 1)), DataSpec("fashion-mnist", classes=(0, 6))
SHAPES = (
    MOONS[0],
    *(DataSpec("circles"), DataSpec("rings", rings=3), DataSpec("spirals", arms=3)),
)

# What the claims are judged by: study, data sets, and the routers with their numbers of experts.
CONTRACT = {
    "C1": ("ablation", MOONS, {("quantum L=2", 4), ("linear", 4)}),
    "C2": (
        "efficiency",
        MOONS,
        {("quantum notebook L=3 z", 2), ("MLP h=4", 2), ("MLP h=2", 2)},
    ),
    "C3": ("efficiency", MOONS, {("quantum L=2", 4), ("linear", 4), ("constant", 4)}),
    "C5": (
        "efficiency",
        MOONS,
        {
            *(("quantum L=2", 4), ("subspace 4 of MLP h=16", 4)),
            *((f"MLP h={h}", 4) for h in (2, 4, 8, 16, 32, 64)),
        },
    ),
    "C6": ("interference", MOONS, {("SVC product kernel", 1), ("SVC rbf kernel", 1)}),
    "C7": ("interference", MOONS, {("quantum L=2", 4), ("dephased L=2", 4)}),
    "C8": ("efficiency", MOONS, {("quantum L=4", 4), ("quantum L=1", 4)}),
    "C10": (
        "trainability",
        MOONS,
        {
            *(("quantum L=12 init 0.1", 4), ("quantum L=12 init 1", 4)),
            ("quantum L=12 layer-wise", 4),
        },
    ),
    "C11": ("images", (MNIST, FASHION), {("quantum L=2", 4), ("linear", 4)}),
    "C13": ("convergence", MOONS, {("quantum L=2", 4), ("linear", 4)}),
    "C14": (
        "interference",
        SHAPES,
        {("quantum L=2", 4), ("linear", 4), ("trig-product D=1", 4)},
    ),
}


@pytest.fixture
def image_files(tmp_path, monkeypatch):
    """A data directory where the image sets are present, though nothing could read them."""
    for images in IMAGE_SETS.values():
        (tmp_path / images.name).mkdir()
        for file in images.files:
            (tmp_path / images.name / file.name).touch()
    monkeypatch.setenv("QMOE_DATA_DIR", str(tmp_path))


@cache
def plan(name: str, made: Setup = SETUP) -> Plan:
    return resolve(f"qmoe.studies.{name}:{name}")(made)


def label(cell: Cell) -> str:
    """The name that the cell's result will have."""
    if cell.label:
        return cell.label
    if cell.router in SVC_NAMES:
        return f"SVC {cell.router.removeprefix('svc-')} kernel"
    return _label(cell.router, cell.pca or 2, cell.experts, tuple(cell.options.items()))


@cache
def _label(router: str, features: int, experts: int, options: tuple) -> str:
    return build(router, features, experts, **dict(options)).label


@pytest.mark.usefixtures("image_files")
@pytest.mark.parametrize("claim", CONTRACT)
def test_every_claim_finds_its_routers_tuned_on_its_data(claim):
    study, data, wanted = CONTRACT[claim]
    for each in data:
        tuned = {
            (label(cell), cell.experts)
            for cell in plan(study).cells
            if cell.data == each and cell.protocol == "controlled" and len(cell.trials) == 12
        }
        assert wanted <= tuned, f"{claim} on {each} lacks {wanted - tuned}"


@pytest.mark.usefixtures("image_files")
def test_plans_are_values_and_a_name_means_one_cell_in_all_studies():
    meant = defaultdict(set)
    for name in STUDIES:
        made = plan(name)
        assert made == plan.__wrapped__(name)
        keys = [cell.key for cell in made.cells]
        assert len(set(keys)) == len(keys)
        for cell in made.cells:
            seeds = SETUP.seeds if not cell.data.fixed else SETUP.seeds[:10]
            assert cell.seeds == seeds and cell.root == SETUP.root
            meant[label(cell), cell.experts, cell.data, cell.protocol].add(cell.key)
    assert [name for name, keys in meant.items() if len(keys) > 1] == []
    shared = [{cell.key for cell in plan(name).cells} for name in ("efficiency", "convergence")]
    assert len(shared[0] & shared[1]) >= 8  # four routers on both moons are trained once


@pytest.mark.usefixtures("image_files")
@pytest.mark.parametrize("name", STUDIES)
def test_measurements_can_be_called_with_their_options_and_follow_the_root_seed(name):
    for made in plan(name).measurements:
        module, function = made.call.split(":")
        inspect.signature(getattr(import_module(module), function)).bind(**made.options)
    other = plan(name, Setup(1, SETUP.seeds, SETUP.trials))
    for made, moved in zip(plan(name).measurements, other.measurements, strict=True):
        assert (made == moved) == (made.call == "qmoe.studies.efficiency:eta_readings")


TINY = {
    "qmoe.studies.efficiency:eta_readings": {},
    "qmoe.studies.efficiency:expressivity": {"layers": [1, 2], "root": 3},
    "qmoe.studies.interference:kernel_closed_form": {"layers": [1, 3], "rows": 5, "qubits": 3},
    "qmoe.studies.interference:kernel_dimension": {"features": [3], "rows": 30},
    "qmoe.studies.convergence:gradient_cost": {"layers": [1, 3]},
    "qmoe.studies.trainability:gradient_variances": {"qubits": [2, 4], "layers": 2, "samples": 20},
    "qmoe.studies.hunt:closest": {
        "experts": [1, 2],
        "epochs": [1],
        "rates": [0.01],
        "scalers": ["standard"],
        "seeds": 2,
    },
    "qmoe.studies.images:pca_loss": {"data": "digits", "components": 4, "seeds": 2},
}


@pytest.mark.usefixtures("image_files")
def test_every_measurement_of_a_plan_has_a_tiny_one():
    assert {made.call for name in STUDIES for made in plan(name).measurements} == set(TINY)


@pytest.mark.parametrize("call", TINY)
def test_a_measurement_gives_the_same_figures_twice_and_each_once(call):
    made = Measurement(call, TINY[call])
    figures = made.run().figures
    assert figures == made.run().figures
    named = [(figure.name, tuple(figure.labels.items())) for figure in figures]
    assert len(set(named)) == len(named) > 0


def figures_of(call: str, **options) -> dict:
    found = Measurement(f"qmoe.studies.{call}", options).run().figures
    return {(f.name, *f.labels.values()): f for f in found}


# --- efficiency


def test_matched_routers_have_the_same_number_of_parameters():
    def parameters(families, experts):
        made = (build(name, 2, experts, **options) for name, options in families)
        return [router.counts.actual for router in made]

    assert parameters([quantum(layers) for layers in efficiency.LAYERS], 4) == [2, 4, 6, 8]
    assert parameters(efficiency.MATCHED, 4) == [2, 2, 4, 4, 6, 6, 8, 8]
    assert parameters(efficiency.PUBLISHED[:3], 2) == [24, 12, 22]


def test_no_reading_of_the_formula_gives_a_published_eta():
    found = figures_of("efficiency:eta_readings")
    stated = found["eta by the stated formula", "quantum", "e", "percent", 94.0, 24]
    assert stated.value == pytest.approx(29.2, abs=0.01)
    stated = found["eta by the stated formula", "classical", "10", "fraction", 0.65, 12]
    assert stated.value == pytest.approx(0.65 / 1.113943, rel=1e-5)
    needed = found["parameters that the published eta would take", "quantum", "2", "percent"]
    assert needed.value == pytest.approx(2 ** (94 / 7.14) - 1)
    assert found["ratio of the published etas",].value == pytest.approx(2.5591, abs=1e-4)
    # .94 ln 13 / (.65 ln 25)
    ratio = found["ratio of the etas by the stated formula",]
    assert ratio.value == pytest.approx(1.1524, abs=1e-4)
    # the widest fractions lie below both, the narrowest percentages above both
    counts = np.array([*efficiency.ROUTERS, *(n + 12 for n in efficiency.ROUTERS)])
    assert 1 / np.log10(1 + counts.min()) < 2.79
    assert 65 / np.log2(1 + counts.max()) > 7.14
    hits = [f.value for key, f in found.items() if key[0].startswith("readings within")]
    assert hits == [0, 0]


def test_a_reading_that_gives_a_published_eta_is_found(monkeypatch):
    planted = efficiency.CLAIMED[0]._replace(eta=round(94 / math.log2(43), 2))
    monkeypatch.setattr(efficiency, "CLAIMED", (planted, efficiency.CLAIMED[1]))
    found = figures_of("efficiency:eta_readings")
    near = found["eta of the closest reading", "quantum", "2", "percent", 94.0, 42]
    assert near.value == pytest.approx(94 / math.log2(43))
    hits = {key[1]: f.value for key, f in found.items() if key[0].startswith("readings within")}
    assert hits["quantum"] >= 1 and hits["classical"] == 0


def test_expressivity_is_told_by_layer():
    found = figures_of("efficiency:expressivity", layers=[1, 2])
    # one layer is a product: each pair of {1, cos, sin} of both features comes with one sign
    # pattern of the outcomes, 3 x 3 functions
    assert found["function-space dimension", 1, 2, 4].value == 9
    assert found["function-space dimension", 2, 2, 4].value > 9
    assert found["parameters", 2, 2, 4].value == found["weights that count", 2, 2, 4].value == 4


# --- eta table


@pytest.fixture(scope="module")
def result() -> CellResult:
    """A small trained cell of two seeds, to plant figures in."""
    config = TrainConfig(epochs=4, evaluate_every=1)
    small = Cell(MOONS[0], "linear", seeds=(0, 1), config=config, sizes=(40, 50, 100))
    return tune(small)


def planted(
    result: CellResult, router: str, correct: tuple[int, int], router_count: int, model: int
):
    return result.model_copy(
        update={
            "router": router,
            "family": "constant" if router == "constant" else "linear",
            "test_correct": correct,
            "router_parameters": router_count,
            "router_parameters_paper": router_count,
            "model_parameters": model,
        }
    )


def test_the_eta_table_agrees_with_hand_numbers_and_marks_planted_flips(result):
    table = efficiencies(
        [
            planted(result, "small", (88, 92), 4, 100),
            planted(result, "large", (80, 80), 12, 20),
            planted(result, "constant", (72, 68), 4, 28),
        ]
    )
    assert len(table) == 3 * len(READINGS)
    rows = {(row.router, row.reading): row for row in table}

    def told(router: str, reading: Reading) -> tuple[float, int | None, tuple[str, ...]]:
        row = rows[router, reading]
        return round(row.eta.value, 4), row.rank, row.flipped

    # .9 / ln 5, .8 / ln 13, .7 / ln 5
    assert told("small", STATED) == (0.5592, 1, ())
    assert told("large", STATED) == (0.3119, 3, ())
    assert told("constant", STATED) == (0.4349, 2, ())
    # .9 / ln 101, .8 / ln 21, .7 / ln 29: the order turns round
    model = STATED._replace(counted="model")
    assert told("small", model) == (0.1950, 3, ("large", "constant"))
    assert told("large", model) == (0.2628, 1, ("small", "constant"))
    assert told("constant", model) == (0.2079, 2, ("small", "large"))
    # .2 / ln 5, .1 / ln 13, 0: only the constant gate falls behind
    above = STATED._replace(numerator="accuracy above constant gate")
    assert told("small", above) == (0.1243, 1, ())
    assert told("large", above) == (0.0390, 2, ("constant",))
    assert told("constant", above) == (0.0, 3, ("large",))
    # paired: the two differences of `small` are .16 and .24
    assert rows["small", above].eta.high > 0.1243 > rows["small", above].eta.low
    for row in table:
        natural = rows[row.router, row.reading._replace(base="e")]
        factor = {"2": math.log(2), "e": 1.0, "10": math.log(10)}[row.reading.base]
        assert row.eta.value == pytest.approx(natural.eta.value * factor)
        assert (row.rank, row.flipped) == (natural.rank, natural.flipped)


def test_eta_of_no_parameters_and_without_a_constant_gate(result):
    table = efficiencies(
        [planted(result, "none", (90, 90), 0, 12), planted(result, "tied", (90, 90), 4, 12)]
    )
    assert {row.reading.numerator for row in table} == {"accuracy"}
    stated = {row.router: row for row in table if row.reading == STATED}
    assert stated["none"].eta is None and stated["none"].rank is None
    assert stated["tied"].rank == 1
    model = [row.rank for row in table if row.reading == STATED._replace(counted="model")]
    assert model == [1, 1]
    other = planted(result, "other", (90, 90), 4, 12).model_copy(update={"dataset": "circles"})
    ranks = [row.rank for row in efficiencies([planted(result, "a", (95, 95), 4, 12), other])]
    assert set(ranks) == {1}  # another data set is another ranking


# --- interference, convergence


def test_the_kernel_is_closed_form_and_has_the_dimension_of_its_products():
    deviations = figures_of("interference:kernel_closed_form", layers=[1, 4], rows=10)
    assert all(figure.value < 1e-12 for figure in deviations.values())
    found = figures_of("interference:kernel_dimension", features=[4], rows=50)
    assert found["kernel feature dimension", "moons(noise=0.1)", 2, 1.0, 50].value == 9
    assert found["kernel rank on the rows", "moons(noise=0.1)", 2, 1.0, 50].value == 9
    assert found["kernel feature dimension", "uniform in [0, pi]", 4, 1.0, 50].value == 81
    assert found["kernel rank on the rows", "uniform in [0, pi]", 4, 1.0, 50].value == 50
    effective = [
        found["effective rank of the kernel", "moons(noise=0.1)", 2, scale, 50].value
        for scale in (0.25, 0.5, 1.0, 2.0)
    ]
    assert effective == sorted(effective)  # a narrower kernel tells more rows apart


def test_the_cost_of_a_gradient_by_method():
    found = figures_of("convergence:gradient_cost", layers=[1, 4])
    name = "circuit executions per gradient"
    assert [found[name, "parameter shift", p, 1, True].value for p in (2, 8)] == [4, 16]
    assert [found[name, "SPSA", p, 1, True].value for p in (2, 8)] == [2, 2]
    assert [found[name, "adjoint", p, 1, False].value for p in (2, 8)] == [None, None]
    passes = [found["passes per gradient", "adjoint", p, 1, False].value for p in (2, 8)]
    assert passes == [2, 2]


# --- trainability


def test_cures_differ_from_the_usual_start_in_nothing_else():
    made = {label(cell): cell for cell in plan("trainability").cells if cell.data == MOONS[0]}
    usual, small = made["quantum L=12 init 1"], made["quantum L=12 init 0.1"]
    assert {trial.init_scale for trial in usual.trials} == {1.0}
    assert {trial.init_scale for trial in small.trials} == {0.1}
    assert [replace(trial, init_scale=1.0) for trial in small.trials] == list(usual.trials)
    layerwise = made["quantum L=12 layer-wise"]
    assert layerwise.config.layerwise and layerwise.trials == usual.trials
    assert {cell.load_balance for cell in made.values() if cell.experts == 8} == {0.0, 0.01}


def test_the_decay_of_gradient_variance_is_that_of_its_figures():
    found = figures_of(
        "trainability:gradient_variances", qubits=[2, 6], layers=2, init_scales=[1.0], samples=50
    )
    few, many = (found["gradient variance", "global", 1.0, 2, n].value for n in (2, 6))
    rate = found["decay rate of the variance per qubit", "global", 1.0, 2]
    assert rate.value == pytest.approx(math.log(few / many) / 4)
    assert rate.value > 0.35 and rate.low is None  # two points have no interval


def test_failures_are_counted_where_they_are_planted(result):
    rows = {"train": 40, "validation": 50, "test": 100}
    assert result.rows == rows
    healthy = {
        "test_correct": (95, 95),
        "validation_correct": ((48, 47),),
        "expert_load": ((0.25,) * 4, (0.25,) * 4),
    }
    sick = {**healthy, "test_correct": (95, 52), "expert_load": ((0.97, 0.01, 0.01, 0.01),) * 2}
    sick["validation_correct"] = ((24, None), (48, 26))
    sick["curve_loss"] = tuple((0.1, float(k % 2)) for k in range(len(result.curve_epochs) * 5))
    sick["curve_epochs"] = tuple(range(1, len(sick["curve_loss"]) + 1))
    sick["epochs_run"] = (20, 20)
    names = ("collapse near chance", "expert imbalance", "oscillation")
    for planted_figures, wanted in ((healthy, (0, 0, 0, 0)), (sick, (0.5, 1, 0.5, 2 / 3))):
        found = trainability.failure_shares([result.model_copy(update=planted_figures)])
        values = {figure.name: figure.value for figure in found}
        got = [values[f"share of seeds: {name}"] for name in names]
        got.append(values["share of all trials: collapse near chance"])
        assert got == pytest.approx(wanted)


# --- hunt


@pytest.mark.parametrize("protocol", ["notebook", "controlled"])
def test_the_grid_trains_what_a_cell_trains(protocol):
    grid = hunt.trained(
        experts=[1, 2],
        epochs=[1, 3],
        rates=[0.01, 0.05],
        scalers=["standard", "[0, pi]"],
        protocols=[protocol],
        seeds=[0, 1],
        root=5,
    )
    assert len(grid) == 2 * 2 * 2 * (2 + 4)  # one expert has no gate to harden
    config = TrainConfig(epochs=3, batch_size=32, evaluate_every=3)
    for gate, top_k in (("soft", None), ("hard", 1)):
        alone = tune(
            Cell(
                MOONS[0],
                "linear",
                experts=2,
                trials=(Trial(0.05, "[0, pi]"),),
                seeds=(0, 1),
                root=5,
                protocol=protocol,
                config=config,
                top_k=top_k,
            )
        )
        setting = hunt.Setting(protocol, 2, gate, True, "[0, pi]", 0.05, 3)
        np.testing.assert_allclose(grid[setting], alone.accuracy, atol=1e-12)


def test_without_biases_a_model_says_nothing_of_the_origin():
    model = ModelSpec("linear", 2, 2, 4).build()
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=(1, model.size)))
    origin = model.prepare(torch.zeros(1, 2, 1, dtype=torch.float64))
    without = model.output(weights * ~hunt._biases(model), origin)
    assert (without.logits == 0).all() and (without.gate_weights == 0.25).all()
    assert hunt._biases(model).sum() == 4 + 8
    only = model.output(weights * hunt._biases(model), model.prepare(torch.ones(1, 2, 1).double()))
    assert torch.equal(only.logits, model.output(weights * hunt._biases(model), origin).logits)


def test_the_closest_cell_is_the_planted_one():
    near = hunt.Setting("controlled", 2, "hard", False, "standard", 0.01, 5)
    grid = {
        hunt.AS_PUBLISHED: np.array([0.9, 0.92]),
        near: np.array([0.6, 0.72]),
        near._replace(epochs=100): np.array([0.4, 0.5]),
    }
    found = {(f.name, f.labels.get("among")): f for f in hunt._told(grid)}
    closest = found["accuracy closest to 0.65", "all"]
    assert closest.value == pytest.approx(0.66)
    assert {**closest.labels, "among": ""} == {**near._asdict(), "among": ""}
    assert found["lowest accuracy", "all"].value == pytest.approx(0.45)
    assert found["share of cells below 0.70", "all"].value == pytest.approx(2 / 3)
    assert found["share of single models below 0.70", "all"].value == pytest.approx(1 / 2)
    assert found["accuracy closest to 0.65", "notebook"].value == pytest.approx(0.91)
    plausible = found["accuracy closest to 0.65", "30 epochs or more, soft gate, bias"]
    assert plausible.value == pytest.approx(0.91)
    assert found["accuracy as published", None].value == pytest.approx(0.91)


# --- images


def test_images_that_are_not_here_fail_the_plan_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("QMOE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"got no mnist .*`qmoe data fetch mnist`"):
        plan.__wrapped__("images")


@pytest.mark.usefixtures("image_files")
def test_images_are_ten_seeds_of_eight_components_in_single_precision():
    for cell in plan("images").cells:
        assert (cell.pca, cell.sizes, len(cell.seeds)) == (8, None, 10)
        assert (cell.config.dtype, cell.config.epochs, cell.config.batch_size) == (
            "float32",
            20,
            100,
        )
    names = [label(cell) for cell in plan("images").cells if cell.data == FASHION]
    assert "low-rank trig D=2 r=8 (approximation)" in names
    few = plan("images", Setup(0, (0, 1, 2), search(2)))
    assert {cell.seeds for cell in few.cells} == {(0, 1, 2)}
    assert {made.options["seeds"] for made in few.measurements} == {3}


def test_what_pca_loses_is_what_scikit_learn_finds():
    found = figures_of("images:pca_loss", data="digits", components=4, seeds=2, root=1)
    by_hand = []
    for seed in (0, 1):
        train, _, test = splits(DataSpec("digits"), root=1, seed=seed)
        whole = make_pipeline(StandardScaler(), SVC(gamma=1 / 64))
        reduced = make_pipeline(StandardScaler(), PCA(4), StandardScaler(), SVC(gamma=1 / 4))
        scores = [m.fit(train.X, train.y).score(test.X, test.y) for m in (whole, reduced)]
        by_hand.append(scores)
    whole, reduced = np.mean(by_hand, axis=0)
    common = ("digits", "RBF support vectors")
    assert found["accuracy without a router", *common, "all pixels"].value == pytest.approx(whole)
    lost = found["accuracy lost by PCA", *common, 4]
    assert lost.value == pytest.approx(whole - reduced, abs=0.003)
    assert lost.low < lost.value < lost.high
