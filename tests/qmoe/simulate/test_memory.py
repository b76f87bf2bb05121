"""What the adjoint engine keeps and what it needs at its peak, against the depth of the circuit."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from qmoe.ansatz import notebook, paper, reupload
from qmoe.circuit import Circuit
from qmoe.simulate.adjoint import AdjointEngine
from qmoe.simulate.program import Program

N, SEEDS, BATCH = 10, 2, 48
STATE = SEEDS * 2**N * BATCH * 8  # bytes of all real states


def kept_bytes(out: torch.Tensor) -> int:
    """Bytes of the distinct tensors that autograd can reach from a result, the result left out."""
    storages: dict[int, int] = {}
    seen: set[int] = set()
    todo: list[object] = [out.grad_fn]
    while todo:
        item = todo.pop()
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor):
            storage = item.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        elif isinstance(item, (list, tuple)):
            todo += item
        elif hasattr(item, "next_functions"):
            todo += [getattr(item, "saved_tensors", ()), getattr(item, "saved", None)]
            todo += [following for following, _ in item.next_functions]
    return sum(storages.values())


class Peak(TorchDispatchMode):
    """The most bytes alive at once of all that torch made within."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(out):
            key = storage._cdata
            if key not in given and key not in self.alive:
                self.alive[key] = storage.nbytes()
                weakref.finalize(storage, self.alive.pop, key, None)
        self.most = max(self.most, sum(self.alive.values()))
        return out


def _storages(tree: object) -> list[torch.UntypedStorage]:
    return [t.untyped_storage() for t in tree_leaves(tree) if isinstance(t, torch.Tensor)]


def run(circuit: Circuit) -> tuple[int, int]:
    """Bytes kept between forward and backward, and at the peak of both."""
    program = Program(circuit, method="adjoint")
    w = torch.ones(SEEDS, circuit.num_weights, dtype=torch.float64, requires_grad=True)
    x = torch.ones(1, circuit.num_features, BATCH, dtype=torch.float64, requires_grad=True)
    program.engine(torch.float64, w.device)
    with Peak() as peak:
        out = program(w, x)
        kept = kept_bytes(out)
        out.square().sum().backward()
    return kept, peak.most


@pytest.mark.parametrize("ansatz", [paper, reupload, notebook])
def test_memory_does_not_grow_with_depth(ansatz):
    shallow, deep = ansatz(N, 4), ansatz(N, 12)
    (kept, peak), (kept_deep, peak_deep) = run(shallow), run(deep)
    field = 2 if ansatz is notebook else 1  # complex states are twice as large
    assert kept >= STATE * field
    assert kept_deep - kept == SEEDS * (deep.num_weights - shallow.num_weights) * 8
    # per layer, group of four wires and seed: a 16 x 16 gate and a 16 x 16 correlation
    matrices = 2 * SEEDS * 3 * 256 * 8 * field
    assert peak >= 3 * STATE * field
    assert abs(peak_deep - peak) < 8 * 1.5 * matrices < STATE * field


def tables(program: Program) -> int:
    """Bytes of the distinct tables that move and sign amplitudes."""
    engine = program.engine(torch.float64, torch.device("cpu"))
    assert isinstance(engine, AdjointEngine)
    found = {}
    for mover in engine.movers:
        for table in (mover.source, mover.target, mover.sign):
            if table is not None:
                found[table.data_ptr()] = table.untyped_storage().nbytes()
    return sum(found.values())


@pytest.mark.parametrize("ansatz", [paper, reupload, notebook])
def test_layers_with_the_same_entangler_share_its_tables(ansatz):
    # the CNOT rings of `notebook` come round after n - 1 layers
    shallow, deep = (Program(ansatz(N, layers), method="adjoint") for layers in (N, 2 * N))
    assert 0 < tables(deep) == tables(shallow)
