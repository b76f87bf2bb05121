"""Our side: the router step with and without the cached embedding, and the trainer."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.figures.speed.workloads import (
    LEARNING_RATE,
    ROOT,
    RouterWork,
    Step,
    StepResult,
    TrainResult,
    TrainWork,
)
from qmoe.ansatz import paper
from qmoe.simulate.program import Program, probabilities
from qmoe.train import TrainConfig, examples, train


def router(work: RouterWork) -> Step:
    """The public function and autograd, embedding computed in every step, as every peer does."""
    circuit = paper(work.qubits, work.layers, entangler="ring")
    weights = torch.tensor(work.weights, requires_grad=True)
    features, cotangent = torch.from_numpy(work.features), torch.from_numpy(work.cotangent)

    def step() -> StepResult:
        out = probabilities(circuit, weights, features)
        (gradient,) = torch.autograd.grad((out * cotangent).sum(), weights)
        return StepResult(out.detach(), gradient)

    return step


def router_cached(work: RouterWork) -> Step:
    """What the trainer does: the embedding computed once per data set, the gradient by hand."""
    program = Program(paper(work.qubits, work.layers, entangler="ring"))
    weights = torch.from_numpy(work.weights)[None]
    cotangent = torch.from_numpy(work.cotangent.T.copy())[None]
    prepared = program.prepare(torch.from_numpy(work.features.T.copy())[None])

    def step() -> StepResult:
        out, saved = program.forward(weights, prepared)
        return StepResult(out[0].T, program.backward(weights, saved, cotangent)[0])

    return step


def ours_train(work: TrainWork) -> TrainResult:
    """The library's trainer, all seeds in one program, evaluated once at the end."""
    config = TrainConfig(
        epochs=work.epochs,
        batch_size=work.batch_size,
        learning_rate=LEARNING_RATE,
        evaluate_every=work.epochs,
    )
    features, labels = work.data
    rows = examples(np.ascontiguousarray(features.T)[None], labels[None], config)
    model = work.model.build()
    done = train(model, rows, None, config, root=ROOT, seeds=range(work.seeds))
    return TrainResult(done.curve.train_loss[-1], done.weights.numpy())
