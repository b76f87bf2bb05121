"""The study of noise: its plan, its figures one by one, and the published experiment."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from qmoe.cell import Cell
from qmoe.errors import InputError
from qmoe.figure import Measurement
from qmoe.plan import carry_out
from qmoe.retrained import retrained
from qmoe.store import Store
from qmoe.studies import noise as study
from qmoe.studies.ablation import NOTEBOOK
from qmoe.studies.families import MOONS
from qmoe.suite import load, search, setup
from qmoe.tolerance import kept as tolerated
from qmoe.tolerance import under
from qmoe.train import TrainConfig
from qmoe.trial import Trial
from qmoe.tune import tune

CALL = "qmoe.studies.noise:under_noise"
TEXT = "placement=gate,depolarizing=0.02"
CELL = Cell(
    MOONS[0],
    "quantum",
    {"layers": 2},
    trials=search(6),
    seeds=(3, 5, 8, 9),
    root=5,
    config=TrainConfig(epochs=8, evaluate_every=2),
    sizes=(60, 40, 50),
)
AT = replace(CELL, options={"layers": 2, "noise": TEXT})


@pytest.fixture(scope="module")
def results():
    return {cell.key: tune(cell) for cell in (CELL, AT)}


def figures(results, of=CELL, **options):
    given = {"trained": "clean", "placement": "gate", "strengths": [0.0, 0.1], **options}
    return Measurement(CALL, given, of).run(results[of.key]).figures


def accuracies(found, shots=0):
    """Accuracies of the seeds by strength."""
    return {
        f.labels["strength"]: f.per_seed
        for f in found
        if f.name == "accuracy under noise" and f.labels["shots"] == shots
    }


# --- the plan


def test_the_plan_is_what_the_brief_counts():
    made = study.noise(setup(0, 30, 12))
    assert load("noise").steps[0].call == "qmoe.studies.noise:noise"
    assert len({m.key for m in made.measurements}) == len(made.measurements)
    # 17 combinations of layers and placement, and the second data set
    under = [m for m in made.measurements if m.call == CALL]
    swept = [
        m
        for m in under
        if not {"convention", "simplified"} & set(m.options) and m.of.label != WHOLE
    ]
    clean = Counter(m.of.options["layers"] for m in swept if m.options["trained"] == "clean")
    assert clean == {1: 3, 2: 6, 3: 3, 4: 3, 12: 3}
    for trained in ("noise-aware", "temperature"):
        parts = [m for m in swept if m.options["trained"] == trained]
        assert len(parts) == 36
        for m in parts:
            at_zero = m.options["strengths"] == [0.0]
            assert at_zero == ("noise" not in m.of.options)
            if not at_zero:
                assert m.options["strengths"] == [p for p in study.STRENGTHS if p]
                text = f"placement={m.options['placement']},depolarizing=0.02"
                assert m.of.options["noise"] == text
    assert Counter(m.of.expert_kind for m in under) == {"linear": len(under) - 1, "quantum": 1}
    assert Counter(m.options.get("convention", "pauli") for m in under)["lambda"] == 1
    assert sum(m.options.get("simplified", False) for m in under) == 5
    every = {*(cell.key for cell in made.cells), *(m.of.key for m in under)}
    assert len(every) == 2 * 6 + 6 + 18 + 1
    assert all(len(m.of.trials) == 12 and len(m.of.seeds) == 30 for m in under)
    assert len(made.cells) == 2 * 6 + 6


WHOLE = "quantum L=2 quantum experts"


def test_a_name_of_a_result_means_one_cell():
    made = study.noise(setup(0, 2, 2))
    of = {m.of.key: m.of for m in made.measurements if m.of is not None}
    cells = {cell.key: cell for cell in made.cells} | of
    named = Counter((c.label or (c.router, str(c.options)), c.data) for c in cells.values())
    assert set(named.values()) == {1}


def test_a_smaller_plan_has_what_was_asked_for():
    made = study.noise(
        setup(0, 2, 2),
        layers=(1,),
        strengths=(0.0, 0.02, 0.1),
        placements=("gate", "layer"),
        shots=(50,),
        data=MOONS[:1],
    )
    assert {m.options["placement"] for m in made.measurements if m.call == CALL} == {"gate"}
    assert len(made.cells) == 6 + 1


@pytest.mark.slow
def test_a_tiny_study_runs_and_does_not_depend_on_the_number_of_workers():
    made = study.noise(
        setup(3, 2, 2), layers=(2,), strengths=(0.0, 0.1), placements=("wire",), data=MOONS[:1]
    )
    part = tuple(m for m in made.measurements if m.options["placement"] == "wire")
    assert len(part) == 5
    some = replace(made, cells=(), measurements=part)
    one, two = (carry_out([some], store=Store(None), workers=n) for n in (1, 2))
    assert one.figures.keys() == two.figures.keys()
    for key, found in one.figures.items():
        assert found.figures == two.figures[key].figures
    named = [
        (f.name, tuple(f.labels.items())) for found in one.figures.values() for f in found.figures
    ]
    assert len(set(named)) == len(named)


# --- figures


def test_strength_0_is_the_clean_accuracy(results):
    for trained in ("clean", "noise-aware"):
        found = accuracies(figures(results, trained=trained))
        assert found[0.0] == tuple(results[CELL.key].accuracy.round(5).tolist())
        assert found[0.1] != found[0.0]


def test_noise_aware_routers_are_those_that_a_cell_trains(results):
    found = accuracies(figures(results, AT, trained="noise-aware", strengths=[0.02, 0.1]))
    assert found[0.02] == tuple(results[AT.key].accuracy.round(5).tolist())
    other = replace(
        AT,
        options={"layers": 2, "noise": "placement=gate,depolarizing=0.1"},
        trials=(),
        like=AT,
    )
    assert found[0.1] == tuple(tune(other, results[AT.key]).accuracy.round(5).tolist())
    hot = accuracies(figures(results, AT, trained="temperature", strengths=[0.1]))
    trained = tune(replace(other, gate="temperature"), results[AT.key])
    assert hot[0.1] == tuple(trained.accuracy.round(5).tolist())


@pytest.mark.parametrize("trained", study.TRAINED)
def test_figures_repeat_and_do_not_depend_on_what_else_is_asked_for(results, trained):
    options = {"trained": trained, "regret": True}
    whole = figures(results, AT, strengths=[0.1, 0.02], shots=[20, 1000], **options)
    told = {(f.name, *f.labels.values()): f for f in whole}
    assert len(told) == len(whole) == 2 * (3 + 2 + 1)
    alone = figures(results, AT, strengths=[0.1], shots=[1000], **options)
    assert len(alone) == 2 + 2 + 1
    assert all(told[f.name, *f.labels.values()] == f for f in alone)


def test_figures_say_what_they_are_of(results):
    (accuracy, kept) = figures(results, strengths=[0.1], simplified=True)
    assert accuracy.labels == {
        "dataset": "moons(noise=0.1)",
        "router": "quantum L=2",
        "layers": 2,
        "placement": "gate",
        "convention": "pauli",
        "trained": "clean",
        "circuit": "simplified",
        "experts": "linear",
        "strength": 0.1,
        "shots": 0,
    }
    assert accuracy.value == pytest.approx(np.mean(accuracy.per_seed), abs=1e-5)
    assert accuracy.low < accuracy.value < accuracy.high
    assert kept.name == "routing retention under noise" and len(kept.per_seed) == 4


def test_seeds_without_room_have_no_retention_and_are_counted():
    made = study._figure("routing retention under noise", {}, [0.25, None, 0.75])
    assert made.value == 0.5 and made.per_seed == (0.25, None, 0.75)
    assert made.note.startswith("2 of 3 seeds")
    none = study._figure("routing retention under noise", {}, [None, None])
    assert none.value is None and none.per_seed == (None, None)
    above = study._figure("routing retention under noise", {}, [1.0, 1.5])
    assert above.high > 1.5  # a retention may be more than all


def test_retention_is_measured_against_training_without_noise(results):
    found = figures(results, AT, trained="noise-aware", strengths=[0.1])
    (kept,) = [f for f in found if f.name.startswith("routing retention")]
    text = TEXT.replace("0.02", "0.1")
    noisy = tolerated(retrained(AT, results[AT.key], **under(AT, text)), text)[0]
    plain = tune(replace(AT, options={"layers": 2}, trials=(), like=AT), results[AT.key])
    room = plain.accuracy - noisy.even
    for value, above, whole in zip(kept.per_seed, noisy.accuracy - noisy.even, room, strict=True):
        assert value == (None if whole < 0.02 else pytest.approx(above / whole, abs=1e-5))


def test_an_unknown_training_is_refused(results):
    with pytest.raises(InputError, match="'noisy'"):
        figures(results, trained="noisy")
    with pytest.raises(InputError, match="placement"):
        figures(results, placement="gates")


# --- the published experiment


def test_the_published_experiment_is_retrained_at_every_strength(monkeypatch):
    config = replace(study.PUBLISHED_CONFIG, epochs=1, evaluate_every=1)
    monkeypatch.setattr(study, "PUBLISHED_CONFIG", config)
    found = {
        reading: study.published(placement=placement, seeds=[4, 6], root=1, strengths=[0.0, 0.2])
        for placement, reading in study.READINGS.items()
    }
    name, options = NOTEBOOK
    bare = Cell(
        MOONS[0],
        name,
        options,
        experts=2,
        trials=(Trial(learning_rate=0.05),),
        seeds=(4, 6),
        root=1,
        protocol="notebook",
        config=config,
    )
    for reading, (zero, noisy) in found.items():
        assert zero.per_seed == tuple(tune(bare).accuracy.round(5).tolist())
        assert zero.labels["reading"] == reading and noisy.labels["strength"] == 0.2
        assert (zero.note, noisy.note) == ("published: 1.000", "published: 0.975")
    # one channel per wire at two places is less noise than one after every gate
    assert found["as coded"][1].per_seed != found["as described"][1].per_seed
