"""The honest peer: hand-written JAX of the same fused algebra, a whole run compiled by XLA.

What makes it fast, each kept because it was faster than its alternatives on one core: the block
of the circuit is a 4x4 real matrix whose product over layers is a tree of elementwise sums (XLA
fuses those; a chain of tiny matrix products costs a call each); the embedding is computed once;
the head's gradient is written by hand, so that router and experts share one product forward and
one back; two classes need one logit difference; epochs and batches are nested lax.scan; seeds
are vmapped in groups that fit the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.figures.speed.workloads import (
    BETAS,
    EPS,
    LEARNING_RATE,
    RouterWork,
    Step,
    StepResult,
    TrainResult,
    TrainWork,
)

jax.config.update("jax_enable_x64", True)

# 64 seeds at once leave the cache: 8 at a time took about two thirds of the time.
SEEDS_AT_ONCE = 8


def compiled_step(run: Callable[[Any, Any], Any], work: RouterWork) -> Step:
    """One jitted forward and backward pass of a function (weights, features) -> probabilities."""
    weights, features = jnp.asarray(work.weights), jnp.asarray(work.features)
    cotangent = jnp.asarray(work.cotangent)

    def loss(weights: Any, features: Any) -> tuple[Any, Any]:
        out = run(weights, features)
        return jnp.sum(out * cotangent), out

    compiled = jax.jit(jax.value_and_grad(loss, has_aux=True))

    def step() -> StepResult:
        (_, out), gradient = jax.block_until_ready(compiled(weights, features))
        return StepResult(out, gradient)

    return step


class Training:
    """A compiled training run; the first call of `run` compiles."""

    def __init__(self, work: TrainWork) -> None:
        self.work = work
        features, labels = work.data
        x = features / 2
        c, s = np.cos(x), np.sin(x)
        embedded = [a[:, 0] * b[:, 1] for a in (c, s) for b in (c, s)]
        # rows: 4 amplitudes, 2 features, ones (for the biases), the label
        self.rows = jnp.asarray(np.stack([*embedded, *features.T, np.ones(len(x)), labels]))
        self.initial = jnp.asarray(work.initial)
        train_one = partial(_train_one, self.rows, work)
        self.compiled = jax.jit(
            lambda start, orders: lax.map(train_one, (start, orders), batch_size=SEEDS_AT_ONCE)
        )

    def run(self) -> TrainResult:
        """All seeds from their initial numbers to the last epoch, batch orders drawn anew."""
        if self.work.batch_size is None:  # nothing to draw: scan only counts the epochs
            orders = jnp.zeros((self.work.seeds, self.work.epochs, 0), dtype=jnp.int64)
        else:
            orders = jnp.asarray(self.work.orders().swapaxes(0, 1))
        weights, losses = jax.block_until_ready(self.compiled(self.initial, orders))
        return TrainResult(np.asarray(losses), np.asarray(weights))


def _train_one(rows: Any, work: TrainWork, seed: tuple[Any, Any]) -> tuple[Any, Any]:
    """One seed: numbers (P,) and orders (epoch, row) to trained numbers and the last loss."""
    start, orders = seed

    def step(carry: Any, batch: Any) -> tuple[Any, Any]:
        weights, mean, square, count = carry
        loss, gradient = _loss_and_gradient(weights, batch, work.layers)
        return _adam(weights, mean, square, count + 1, gradient), loss

    def epoch(carry: Any, order: Any) -> tuple[Any, Any]:
        if work.batch_size is None:
            return step(carry, rows)
        whole, rest = divmod(work.points, work.batch_size)
        cut = whole * work.batch_size
        batches = order[:cut].reshape(whole, work.batch_size)
        carry, losses = lax.scan(lambda c, rows_of: step(c, rows[:, rows_of]), carry, batches)
        total = losses.sum()
        if rest:
            carry, last = step(carry, rows[:, order[cut:]])
            total = total + last
        return carry, total / (whole + (rest > 0))

    zeros = jnp.zeros_like(start)
    (weights, *_), losses = lax.scan(epoch, (start, zeros, zeros, 0.0), orders)
    return weights, losses[-1]


def _adam(
    weights: Any, mean: Any, square: Any, count: Any, gradient: Any
) -> tuple[Any, Any, Any, Any]:
    """Adam (arXiv 1412.6980), the division by 1 - beta^t where torch has it."""
    mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
    square = BETAS[1] * square + (1 - BETAS[1]) * gradient * gradient
    rate = LEARNING_RATE / (1 - BETAS[0] ** count)
    scale = jnp.sqrt(square / (1 - BETAS[1] ** count)) + EPS
    return weights - rate * mean / scale, mean, square, count


def _block(angles: Any, layers: int) -> Any:
    """The real 4x4 matrix of all layers: RY x RY, then CZ, the first layer rightmost."""
    half = angles.reshape(layers, 2) / 2
    c, s = jnp.cos(half), jnp.sin(half)
    rotation = jnp.stack([jnp.stack([c, -s], -1), jnp.stack([s, c], -1)], -2)
    product = jnp.einsum("lij,lkm->likjm", rotation[:, 0], rotation[:, 1])
    blocks = product.reshape(layers, 4, 4) * jnp.array([1.0, 1.0, 1.0, -1.0])[:, None]
    while len(blocks) > 1:
        if len(blocks) % 2:
            blocks = jnp.concatenate([blocks, jnp.eye(4)[None]])
        blocks = (blocks[1::2, :, :, None] * blocks[0::2, None]).sum(2)
    return blocks[0]


def _loss_and_gradient(weights: Any, batch: Any, layers: int) -> tuple[Any, Any]:
    """Mean cross-entropy of a batch (8 rows, batch) and its gradient to all numbers (P,)."""
    first = 2 * layers
    block, pull_back = jax.vjp(partial(_block, layers=layers), weights[:first])
    matrices = weights[first : first + 16].reshape(4, 2, 2)
    biases = weights[first + 16 :].reshape(4, 2)
    rows, label = batch[:7], batch[7]

    # amplitudes and, per expert, the difference of its two logits, by one product
    mixer = jnp.zeros((8, 7)).at[:4, :4].set(block)
    mixer = mixer.at[4:, 4:6].set(matrices[:, 1] - matrices[:, 0])
    mixer = mixer.at[4:, 6].set(biases[:, 1] - biases[:, 0])
    out = mixer @ rows
    amplitudes, opinions = out[:4], out[4:]

    raised = jnp.exp(amplitudes * amplitudes)  # of probabilities: cannot overflow
    gate = raised / _sum4(raised)
    logit = _sum4(gate * opinions)
    loss = jax.nn.softplus((1 - 2 * label) * logit).mean()

    slope = (jax.nn.sigmoid(logit) - label) / rows.shape[1]
    to_opinions = slope * gate
    to_amplitudes = 2 * amplitudes * to_opinions * (opinions - logit)
    to_mixer = jnp.concatenate([to_amplitudes, to_opinions]) @ rows.T
    (to_angles,) = pull_back(to_mixer[:4, :4])
    to_matrices, to_biases = to_mixer[4:, 4:6], to_mixer[4:, 6]
    both = jnp.stack([-to_matrices, to_matrices], 1), jnp.stack([-to_biases, to_biases], 1)
    return loss, jnp.concatenate([to_angles, both[0].ravel(), both[1].ravel()])


def _sum4(rows: Any) -> Any:
    """The sum of four rows, written out: XLA fuses it where it would not fuse a reduction."""
    return rows[0] + rows[1] + rows[2] + rows[3]
