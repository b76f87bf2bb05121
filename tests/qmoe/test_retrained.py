"""Chosen models trained again: the same scores, the same weights, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from qmoe.cell import Cell
from qmoe.data import DataSpec
from qmoe.errors import QmoeError
from qmoe.predict import evaluate
from qmoe.retrained import retrained
from qmoe.suite import search
from qmoe.train import TrainConfig
from qmoe.tune import tune

CONFIG = TrainConfig(epochs=8, evaluate_every=2)
CELL = Cell(
    DataSpec("moons", noise=0.1),
    "quantum",
    {"layers": 2},
    trials=search(6),
    seeds=(3, 5, 8, 9),
    root=5,
    config=CONFIG,
    sizes=(60, 40, 50),
)


@pytest.fixture(scope="module")
def result():
    return tune(CELL)


def test_the_weights_behind_the_stored_scores_come_back(result):
    groups = retrained(CELL, result)
    trials = [result.trials[t] for t in result.chosen]
    assert {t.gate for t in trials} == {"auto", "temperature"}, "a test of both groups"
    assert len({t.embedding_scale for t in trials}) > 1
    assert sorted(i for group in groups for i in group.positions) == [0, 1, 2, 3]
    for group in groups:
        part = group.part("test")
        for k, i in enumerate(group.positions):
            trial = group.settings[k]
            assert trial.to_dict() == trials[i].model_dump()
            assert group.seeds[k] == CELL.seeds[i]
            if i == 0:
                assert group.weights[k].tolist() == list(result.first_weights)
            # one model at a time, by the plain route
            alone = CELL.spec(2, 2, trial).build()
            said = evaluate(alone, group.weights[k].numpy(), part.features[k].T.numpy())
            right = said.probabilities.argmax(1) == part.labels[k].numpy()
            assert right.sum() == result.test_correct[i]
            assert torch.equal(part.seen[k], part.features[k] * trial.embedding_scale)


def test_the_choice_stays_where_the_cell_changes(result):
    plain, hot = retrained(CELL, result), retrained(CELL, result, gate="temperature")
    assert {group.model.gate.kind for group in plain} == {"probability", "temperature"}
    assert {group.model.gate.kind for group in hot} == {"temperature"}
    chosen = {i: t for group in hot for t, i in group.entries}
    assert tuple(chosen[i] for i in range(4)) == result.chosen
    alone = tune(replace(CELL, trials=(), like=CELL, gate="temperature"), result)
    first = next(g.weights[g.positions.index(0)] for g in hot if 0 in g.positions)
    assert first.tolist() == list(alone.first_weights)


def test_a_field_that_does_not_change_is_no_change(result):
    wrong = result.model_copy(update={"test_correct": (*result.test_correct[:3], 1)})
    for changes in ({}, {"gate": CELL.gate, "options": {"layers": 2}}):
        with pytest.raises(QmoeError, match=r"right answers for seed 9 and not the stored 1"):
            retrained(CELL, wrong, **changes)
    retrained(CELL, wrong, gate="softmax")


def test_the_published_protocol_is_checked_on_its_training_part():
    cell = replace(CELL, protocol="notebook", trials=CELL.trials[:1], sizes=None, experts=2)
    result = tune(cell)
    (group,) = retrained(cell, result)
    assert group.part("train").labels.shape == (4, 1000)
    wrong = result.model_copy(update={"train_correct": (1, *result.train_correct[1:])})
    with pytest.raises(QmoeError, match="for seed 3 and not the stored 1"):
        retrained(cell, wrong)


def test_the_result_of_another_cell_is_refused(result):
    with pytest.raises(ValueError, match="train that one first"):
        retrained(replace(CELL, root=6), result)


def test_a_changed_model_takes_the_same_weights(result):
    group = retrained(CELL, result)[0]
    same = group.changed()
    part = group.part("test")
    said = [
        made.output(group.weights, made.prepare(part.features, part.seen)).logits.numpy()
        for made in (group.model, same, group.changed(options={"layers": 2, "entangler": "none"}))
    ]
    np.testing.assert_array_equal(said[0], said[1])
    assert np.abs(said[0] - said[2]).max() > 1e-3
