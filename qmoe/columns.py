"""Columns of the tables of results: what each of them holds, and which make figures alike."""

from __future__ import annotations

from typing import NamedTuple

QUANTUM = "quantum"
SPLITS = ("train", "validation", "test")
PARAMETERS = ("router_parameters_paper", "router_parameters", "model_parameters")
COSTS = ("frozen_numbers", "multiply_adds", "circuits")

LIKE = ["study", "protocol", "dataset", "population", "source", "experts"]
"""Columns that must agree before two figures are set beside each other."""


class Column(NamedTuple):
    """What a column of a table holds, and its unit ("" for names and for plain fractions)."""

    meaning: str
    unit: str = ""


COLUMNS: dict[str, Column] = {
    "study": Column("the study that trained the router"),
    "protocol": Column("how it was trained and scored: notebook or controlled"),
    "dataset": Column("the data set, with its parameters"),
    "dataset_digest": Column("digest of the data this seed saw"),
    "population": Column("what a seed draws anew"),
    "source": Column("where the probabilities come from: exact, sampled, ..., device"),
    "experts": Column("number of experts; 0 where the record does not say", "experts"),
    "router": Column("the router's name"),
    "family": Column("its family; quantum is under test, every other one is a control"),
    "seed": Column("the seed; equal seeds of one protocol and data set are paired"),
    "trials": Column(
        "trials searched for this seed, of which validation chose one; 0 where the choice is that "
        "of another number of experts",
        "trials",
    ),
    "accuracy_on": Column("the part that accuracy is measured on: test where one is held out"),
    "accuracy": Column("the headline accuracy; empty where it was not finite"),
    "accuracy_train": Column("accuracy on the training part"),
    "accuracy_validation": Column("accuracy on the validation part; empty without one"),
    "accuracy_test": Column("accuracy on the held-out test part; empty without one"),
    "router_parameters_paper": Column(
        "trainable router parameters as arXiv 2512.22296 counts them", "parameters"
    ),
    "router_parameters": Column("trainable parameters of the router as they are", "parameters"),
    "model_parameters": Column("trainable parameters of router and experts", "parameters"),
    "frozen_numbers": Column("random numbers of the router that never train", "numbers"),
    "multiply_adds": Column(
        "real multiplications with addition that the model takes for one prediction, simulated",
        "multiply-adds",
    ),
    "circuits": Column("circuits that a device would run for one prediction", "circuits"),
    "routing_entropy": Column("mean entropy of the gate weights of an input", "bits"),
    "busiest_expert_load": Column("the largest expert load"),
    "expert_load": Column("mean gate weight of each expert, separated by spaces"),
    "rows_train": Column("rows trained on", "rows"),
    "rows_validation": Column("rows that choices were made on", "rows"),
    "rows_test": Column("rows scored once", "rows"),
    "qmoe": Column("version of qmoe"),
    "commit": Column("git commit of the code; empty outside a checkout"),
    "created": Column("when the run was made, UTC"),
    "warnings": Column("what was odd but did not stop the training, separated by |"),
}
"""The columns of `load`, in order.

After them come, sorted, what only some records have: further metrics under their own names
(loss_train, steps, features_clipped, ...) and settings as `setting_<name>`.
"""
