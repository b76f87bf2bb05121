"""Constants and weights as one transfer matrix for each step, all steps computed together.

At a few qubits, work is counted in small tensor operations: turns by weights go into the matrix
of the next gate that joins qubits, and all such matrices are built in one stack.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.gates import Qubits
from qmoe.simulate.factors import Fixed, Turn, product, turn_matrix


@dataclass(frozen=True, slots=True)
class Step:
    """The `index`-th matrix of the blocks, on these qubits."""

    qubits: Qubits
    index: int
    work: int


@dataclass(frozen=True, slots=True)
class _Stack:
    """Blocks of one size: runs of one-qubit factors on each wire, then a core.

    even + cos(angle) * cosine + sin(angle) * sine is the factor (block, wire, place); angles are
    `angles @ weights`. Places without a factor hold the identity.
    """

    indices: tuple[int, ...]
    core: Tensor
    even: Tensor
    cosine: Tensor
    sine: Tensor
    angles: Tensor


class Blocks:
    """The factors of a part of a circuit, in steps; turns by features stand by themselves."""

    def __init__(self, listed: Iterable[Fixed | Turn]) -> None:
        self.steps: list[Step | Turn] = []
        self._fixed: dict[int, Fixed] = {}
        self._free: list[tuple[int, Fixed, list[list[Fixed | Turn]]]] = []
        self._placed: dict[
            tuple[torch.dtype, torch.device], tuple[dict[int, Tensor], list[_Stack]]
        ] = {}
        waiting: defaultdict[int, list[Fixed | Turn]] = defaultdict(list)
        for factor in listed:
            if isinstance(factor, Turn) and factor.of_features:
                self._add(factor.qubits, None, waiting)
                self.steps.append(factor)
            elif len(factor.qubits) == 1:
                waiting[factor.qubits[0]].append(factor)
            else:
                assert isinstance(factor, Fixed)
                self._add(factor.qubits, factor, waiting)
        for qubit in list(waiting):
            self._add((qubit,), None, waiting)

    @property
    def weighted(self) -> bool:
        """Whether any weight has a part."""
        return bool(self._free)

    @property
    def work(self) -> int:
        """Multiplications for each Pauli expectation."""
        return sum(step.work if isinstance(step, Step) else 2 for step in self.steps)

    def _add(
        self, qubits: Qubits, core: Fixed | None, waiting: dict[int, list[Fixed | Turn]]
    ) -> None:
        runs = [waiting.pop(q, []) for q in qubits]
        if core is None and not any(runs):
            return
        index, size = len(self._fixed) + len(self._free), 4 ** len(qubits)
        whole = core or Fixed(qubits, np.eye(size))
        self.steps.append(Step(qubits, index, size))
        if any(isinstance(factor, Turn) for run in runs for factor in run):
            self._free.append((index, whole, runs))
            return
        for run in runs:
            for factor in reversed(run):
                assert isinstance(factor, Fixed)
                whole = product(factor, whole)
        self._fixed[index] = whole

    def matrices(self, weights: Float[Tensor, "seed weight"]) -> list[Float[Tensor, "s p p"]]:
        """The matrix of every step, with a seed axis of length 1 where no weight has a part."""
        key = (weights.dtype, weights.device)
        if key not in self._placed:
            fixed = {index: _tensor(one.ptm, weights)[None] for index, one in self._fixed.items()}
            self._placed[key] = (fixed, [*self._stacked(weights)])
        fixed, stacks = self._placed[key]
        found = dict(fixed)
        for stack in stacks:
            angles = (weights @ stack.angles).view(len(weights), *stack.even.shape[:3], 1, 1)
            turns = stack.even + angles.cos() * stack.cosine
            turns = torch.addcmul(turns, angles.sin(), stack.sine)
            runs = turns[:, :, :, 0]
            for place in range(1, turns.shape[3]):
                runs = turns[:, :, :, place] @ runs
            total = runs[:, :, 0]
            for wire in range(1, runs.shape[2]):
                one = runs[:, :, wire, None, :, None, :]
                total = (total[:, :, :, None, :, None] * one).flatten(4).flatten(2, 3)
            found |= zip(stack.indices, (stack.core @ total).unbind(1), strict=True)
        return [found[index] for index in range(len(found))]

    def _stacked(self, weights: Float[Tensor, "seed weight"]) -> Iterator[_Stack]:
        for size in sorted({len(core.qubits) for _, core, _ in self._free}):
            group = [block for block in self._free if len(block[1].qubits) == size]
            deep = max(len(run) for _, _, runs in group for run in runs)
            shape = (len(group), size, deep)
            even = np.tile(np.eye(4), (*shape, 1, 1))
            cosine, sine = np.zeros_like(even), np.zeros_like(even)
            angles = np.zeros((weights.shape[1], *shape))
            for g, (_, _, runs) in enumerate(group):
                for at, factor in _places(g, runs):
                    if isinstance(factor, Fixed):
                        even[at] = factor.ptm
                        continue
                    # at 0, 90 and 180 degrees: even + cosine, even + sine, even - cosine
                    whole, half = np.eye(4), turn_matrix(factor.axis, np.pi)
                    even[at] = (whole + half) / 2
                    cosine[at] = (whole - half) / 2
                    sine[at] = turn_matrix(factor.axis, np.pi / 2) - even[at]
                    for index, scale in factor.scales.items():
                        angles[(index, *at)] = scale
            yield _Stack(
                tuple(index for index, _, _ in group),
                _tensor(np.stack([core.ptm for _, core, _ in group]), weights),
                _tensor(even, weights),
                _tensor(cosine, weights),
                _tensor(sine, weights),
                _tensor(angles.reshape(weights.shape[1], -1), weights),
            )


def _places(
    block: int, runs: list[list[Fixed | Turn]]
) -> Iterator[tuple[tuple[int, int, int], Fixed | Turn]]:
    for wire, run in enumerate(runs):
        for place, factor in enumerate(run):
            yield (block, wire, place), factor


def _tensor(array: Floats, like: Tensor) -> Tensor:
    return torch.from_numpy(array.copy()).to(like)  # a channel's own matrix is read-only
