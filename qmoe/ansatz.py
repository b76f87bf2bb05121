"""The router circuits, each written once: features and weights free, marks after each part.

`paper` and `notebook` are the two circuits published under one name (arXiv 2512.22296, text and
code); `reupload` repeats the embedding before every layer (arXiv 1907.02085). Feature i enters
on qubit i, in radians; every circuit has num_features = num_qubits. Weight order: layer, then
qubit, then for `notebook` phi, theta, omega.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from qmoe.angles import whole
from qmoe.circuit import Circuit, Feature, Op, Weight
from qmoe.errors import InputError, unknown

ENTANGLERS = ("chain", "ring", "none")
Ansatz: TypeAlias = Callable[..., Circuit]


def paper(
    num_qubits: int,
    layers: int,
    *,
    entangler: str = "chain",
    measured: Iterable[int] | None = None,
) -> Circuit:
    """RY(x_i), then per layer RY(theta) on every qubit and CZs: num_qubits * layers weights.

    Args:
        num_qubits: The number of qubits and of features, at least 1.
        layers: The number of layers, at least 1.
        entangler: "chain" (CZ on i, i+1), "ring" (also the last with the first; with two qubits
            both are one CZ) or "none", which leaves every qubit by itself.
        measured: The measured qubits, most significant bit first; None measures all.

    >>> [op.gate for op in paper(2, 1).ops if not op.is_mark]
    ['ry', 'ry', 'ry', 'ry', 'cz']
    """
    pairs = _cz_pairs(num_qubits, layers, entangler)
    ops = _embedding("ry", num_qubits)
    for layer in range(layers):
        ops += _ry_cz_layer(num_qubits, layer, pairs)
    return _circuit(num_qubits, ops, measured, num_qubits * layers)


def reupload(
    num_qubits: int,
    layers: int,
    *,
    entangler: str = "chain",
    measured: Iterable[int] | None = None,
) -> Circuit:
    """Embedding and layer of `paper`, together `layers` times: data re-uploading.

    Every outcome probability is a trigonometric polynomial of degree `layers` in each feature
    (arXiv 2008.08605). Arguments as for `paper`.
    """
    pairs = _cz_pairs(num_qubits, layers, entangler)
    ops: list[Op] = []
    for layer in range(layers):
        ops += _embedding("ry", num_qubits) + _ry_cz_layer(num_qubits, layer, pairs)
    return _circuit(num_qubits, ops, measured, num_qubits * layers)


def notebook(num_qubits: int, layers: int, *, measured: Iterable[int] | None = None) -> Circuit:
    """RX(x_i), then per layer Rot(phi, theta, omega) on every qubit and a ring of CNOTs.

    PennyLane's AngleEmbedding and StronglyEntanglingLayers with their defaults. Rot is RZ(phi),
    then RY(theta), then RZ(omega); the CNOTs of layer l join qubits l mod (n - 1) + 1 apart.
    3 * num_qubits * layers weights; arguments as for `paper`.
    """
    _check_sizes(num_qubits, layers)
    ops = _embedding("rx", num_qubits)
    for layer in range(layers):
        for qubit in range(num_qubits):
            first = 3 * (layer * num_qubits + qubit)
            ops += [
                Op(gate, (qubit,), (Weight(first + k),))
                for k, gate in enumerate(("rz", "ry", "rz"))
            ]
        if num_qubits > 1:
            reach = layer % (num_qubits - 1) + 1
            ops += [Op("cx", (i, (i + reach) % num_qubits)) for i in range(num_qubits)]
        ops.append(Op("mark_layer", ()))
    return _circuit(num_qubits, ops, measured, 3 * num_qubits * layers)


ANSATZE: Mapping[str, Ansatz] = MappingProxyType(
    {"paper": paper, "reupload": reupload, "notebook": notebook}
)


def build(
    name: str,
    num_qubits: int,
    layers: int,
    *,
    entangler: str | None = None,
    measured: Iterable[int] | None = None,
) -> Circuit:
    """The ansatz of that name; `entangler` None is the ansatz's own default.

    Raises:
        InputError: An unknown name, sizes below 1, or an entangler for `notebook`.
    """
    if name not in ANSATZE:
        raise unknown("ansatz", name, ANSATZE)
    if entangler is None:
        return ANSATZE[name](num_qubits, layers, measured=measured)
    if name == "notebook":
        raise InputError(
            got=f"entangler {entangler!r} for ansatz 'notebook'",
            expected="none: its CNOT ring is fixed",
            do="leave the entangler out",
        )
    return ANSATZE[name](num_qubits, layers, entangler=entangler, measured=measured)


def check_features(num_features: int, num_qubits: int) -> None:
    """Refuse more features than qubits: each feature needs a qubit of its own.

    Raises:
        InputError: With PCA as the way out.
    """
    if num_features > num_qubits:
        raise InputError(
            got=f"more features than qubits ({num_features} > {num_qubits})",
            expected=f"at most {num_qubits} features",
            do=f"reduce them with PCA (--pca {num_qubits}) or use more qubits",
        )


def _check_sizes(num_qubits: int, layers: int) -> None:
    whole(num_qubits, "number of qubits", 1)
    whole(layers, "number of layers", 1)


def _cz_pairs(num_qubits: int, layers: int, entangler: str) -> list[tuple[int, int]]:
    _check_sizes(num_qubits, layers)
    if entangler not in ENTANGLERS:
        raise unknown("entangler", entangler, ENTANGLERS)
    if entangler == "none":
        return []
    pairs = [(i, i + 1) for i in range(num_qubits - 1)]
    if entangler == "ring" and num_qubits > 2:
        pairs.append((num_qubits - 1, 0))
    return pairs


def _embedding(gate: str, num_qubits: int) -> list[Op]:
    ops = [Op(gate, (qubit,), (Feature(qubit),)) for qubit in range(num_qubits)]
    return [*ops, Op("mark_embedding", ())]


def _ry_cz_layer(num_qubits: int, layer: int, pairs: list[tuple[int, int]]) -> list[Op]:
    first = layer * num_qubits
    rotations = [Op("ry", (qubit,), (Weight(first + qubit),)) for qubit in range(num_qubits)]
    return [*rotations, *(Op("cz", pair) for pair in pairs), Op("mark_layer", ())]


def _circuit(
    num_qubits: int, ops: list[Op], measured: Iterable[int] | None, num_weights: int
) -> Circuit:
    chosen = range(num_qubits) if measured is None else measured
    return Circuit(num_qubits, tuple(ops), tuple(chosen), num_qubits, num_weights)
