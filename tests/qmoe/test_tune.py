"""Cells: all trials and seeds together are what each would be alone; validation alone chooses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from qmoe.bench import Bench
from qmoe.cell import Cell, CellResult, choice
from qmoe.data import DataSpec, Sizes
from qmoe.errors import InputError
from qmoe.predict import evaluate
from qmoe.train import TrainConfig, examples, train
from qmoe.trial import Trial, search
from qmoe.tune import tune

SIZES = (60, 40, 50)
CONFIG = TrainConfig(epochs=6, evaluate_every=2)
TRIALS = (
    Trial(0.1, "[0, pi]"),
    Trial(0.3, "standard", 0.1, "temperature", 2.0),
    Trial(0.05, "[-pi, pi]", 1.0, "temperature", 0.5),
    Trial(0.2, "standard", 1.0, "auto", 0.25),
)


def cell(router: str = "quantum", **changes) -> Cell:
    wanted = {"trials": TRIALS, "seeds": (3, 8, 11), "root": 5, "config": CONFIG, "sizes": SIZES}
    return Cell(DataSpec("moons", noise=0.2), router, **{**wanted, **changes})


@pytest.mark.parametrize("router", ["quantum", "linear", "random-fourier", "dephased"])
@pytest.mark.parametrize("batch_size", [None, 16])
def test_trials_and_seeds_together_are_what_each_is_alone(router, batch_size):
    made = cell(router, config=replace(CONFIG, batch_size=batch_size))
    together = tune(made)
    for t, trial in enumerate(TRIALS):
        bench = Bench.controlled(
            made.data, root=5, seeds=made.seeds, scaler=trial.scaler, sizes=Sizes(*SIZES)
        )
        spec = made.spec(2, 2, trial)
        config = replace(made.config, learning_rate=trial.learning_rate)
        model = spec.build()
        for i, seed in enumerate(made.seeds):
            part = bench.part(i)
            data = examples(np.ascontiguousarray(part.X_train.T)[None], part.y_train[None], config)
            held = examples(
                np.ascontiguousarray(part.X_validation.T)[None], part.y_validation[None], config
            )
            alone = train(model, data, held, config, root=5, seeds=(seed,)).weights[0].numpy()
            answer = evaluate(model, alone, part.X_validation).probabilities
            right = int((answer.argmax(1) == part.y_validation).sum())
            loss = -np.log(answer[np.arange(len(answer)), part.y_validation]).mean()
            assert together.validation_correct[t][i] == right
            assert together.validation_loss[t][i] == pytest.approx(loss, abs=2e-6)
            if together.chosen[i] == t:
                tested = evaluate(model, alone, part.X_test).probabilities.argmax(1)
                assert together.test_correct[i] == int((tested == part.y_test).sum())
                if i == 0:
                    np.testing.assert_allclose(together.first_weights, alone, atol=1e-9)


def test_validation_chooses_and_breaks_ties_by_loss_then_order():
    correct = ((30, 35, 9), (31, 35, 9), (31, 35, 9))
    loss = ((0.1, 0.5, 0.5), (0.4, 0.3, 0.5), (0.2, 0.4, 0.5))
    assert [choice(correct, loss, i) for i in range(3)] == [2, 1, 0]


def test_a_result_reads_back_and_says_what_it_is():
    result = tune(cell())
    again = CellResult.from_json(result.model_dump_json(), "there")
    assert again == result
    assert (result.router, result.family, result.searched) == ("quantum L=2", "quantum", 4)
    assert result.rows == {"train": 60, "validation": 40, "test": 50}
    assert (result.router_parameters, result.circuits) == (4, 1)
    assert result.curve_epochs == (2, 4, 6)
    assert not result.tuned  # four trials are fewer than twelve
    assert 0.5 < result.accuracy.mean() <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"chosen": [9, 0, 0]},
        {"chosen": [0, 0]},
        {"validation_correct": [[1, 1, 1]]},
        {"format": 2},
        {"more": 1},
    ],
)
def test_a_damaged_result_is_one_line(change):
    stored = json.loads(tune(cell(trials=TRIALS[:2])).model_dump_json())
    with pytest.raises(InputError, match="there"):
        CellResult.from_json(json.dumps({**stored, **change}), "there")


def test_a_choice_that_validation_did_not_make_is_refused():
    stored = json.loads(tune(cell(trials=TRIALS[:2])).model_dump_json())
    stored["chosen"] = [1 - t for t in stored["chosen"]]
    with pytest.raises(InputError, match="validation did not make"):
        CellResult.from_json(json.dumps(stored), "there")


def test_a_cell_like_another_trains_its_choice_and_searches_nothing():
    source = cell()
    chosen = tune(source)
    reusing = cell(experts=2, trials=(), like=source)
    result = tune(reusing, chosen)
    assert reusing.models == 3 and result.searched == 0 and result.chosen == chosen.chosen
    for i, t in enumerate(chosen.chosen):
        alone = tune(cell(experts=2, trials=(TRIALS[t],)))
        assert result.test_correct[i] == alone.test_correct[i]
        assert [row[i] is None for row in result.validation_correct] == [
            k != t for k in range(len(TRIALS))
        ]
    with pytest.raises(ValueError, match="train that one first"):
        tune(reusing, None)


def test_keys_name_everything_that_changes_numbers_and_nothing_else():
    keys = [
        cell().key,
        cell("linear").key,
        cell(root=6).key,
        cell(seeds=(3, 8)).key,
        cell(experts=2).key,
        cell(options={"layers": 3}).key,
        cell(trials=TRIALS[:3]).key,
        cell(config=replace(CONFIG, layerwise=True)).key,
        cell(config=replace(CONFIG, epochs=7)).key,
        cell(sizes=(60, 40, 51)).key,
        cell(label="another").key,
        cell(expert_hidden=4).key,
        cell(trials=(), like=cell()).key,
        cell(trials=(), like=cell("linear")).key,
    ]
    assert len(set(keys)) == len(keys)
    assert cell().key == cell().key == cell(config=replace(CONFIG, device="cuda")).key


def test_the_notebook_protocol_has_nothing_to_choose_on():
    with pytest.raises(InputError, match="4 trials in the notebook protocol"):
        tune(cell(protocol="notebook", sizes=None))


def test_a_trial_that_diverges_keeps_its_last_finite_weights():
    trials = (Trial(0.1), replace(Trial(), learning_rate=1e300, scaler="standard"))
    result = tune(cell("linear", trials=trials, config=replace(CONFIG, epochs=12)))
    assert all(np.isfinite(row).all() for row in result.validation_loss)


def test_a_non_moe_mlp_is_one_expert_with_hidden_units():
    result = tune(
        cell("constant", experts=1, expert_hidden=8, label="MLP alone h=8", family="ceiling")
    )
    assert (result.router, result.family, result.circuits) == ("MLP alone h=8", "ceiling", 0)
    assert result.model_parameters == 1 + 2 * 8 + 8 + 8 * 2 + 2


@pytest.mark.parametrize("router", ["svc-rbf", "svc-product"])
def test_a_support_vector_classifier_is_tuned_like_the_rest(router):
    result = tune(cell(router, trials=search(5)))
    assert result.family == "ceiling" and result.searched == 5
    assert result.accuracy.mean() > 0.8
    assert result.router_parameters == 0 and result.model_parameters > 0
    assert CellResult.from_json(result.model_dump_json(), "there") == result


def test_replicates_see_the_same_data_from_another_start():
    first, second = (
        tune(cell("linear", config=replace(CONFIG, replicate=k), trials=TRIALS[:1])) for k in (0, 1)
    )
    assert first.digests == second.digests
    assert first.first_weights != second.first_weights
