"""A trained router compiled for a target, told as text: what `qmoe compile` shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends import load
from backends.base import Compiled
from backends.compiled import depth, gate_fidelities, two_qubit_gates
from backends.picture import picture
from backends.shift import ShiftCost, shift_cost
from qmoe.checkpoint import load as load_checkpoint
from qmoe.circuit import Circuit
from qmoe.routed import RoutedCircuit
from qmoe.simplify import cone_features


@dataclass(frozen=True, slots=True)
class Compilation:
    """The router's circuit as written, simplified, and as the target runs it.

    gradient: What training on the target would take for one input, by parameter shift of the
    circuit as written; the adjoint method does not exist there.
    """

    router: str
    template: Circuit
    compiled: Compiled
    gradient: ShiftCost

    def to_dict(self) -> dict[str, Any]:
        """JSON values: figures, and the compiled circuit itself."""
        return {
            "router": self.router,
            "as_written": _sizes(self.template),
            "simplified": _sizes(self.template.simplify()),
            "features": self.template.num_features,
            "features_in_light_cone": len(cone_features(self.template)),
            "circuits_per_gradient": self.gradient.circuits,
            "compiled": json.loads(self.compiled.to_json()),
        }

    def __str__(self) -> str:
        found, written = self.compiled, _sizes(self.template)
        after = _sizes(self.template.simplify())
        seen = len(cone_features(self.template))
        counts: dict[str, int] = {}
        for op in found.native.ops:
            if not op.is_mark:
                counts[op.gate] = counts.get(op.gate, 0) + 1
        gates = ", ".join(f"{count} {gate}" for gate, count in sorted(counts.items()))
        lines = [
            f"{self.router} on {found.spec}",
            "",
            picture(found.native, found.physical),
            "",
            f"layout             {' '.join(found.physical)}",
            f"native gates       {gates}",
            f"depth              {found.depth}",
            f"two-qubit gates    {found.two_qubit_gates}",
            f"as written         {_written(written)}",
            f"simplified         {_written(after)}",
            f"light cone         {seen} of {self.template.num_features} features",
            f"gradient           {self.gradient.circuits} circuits per input by parameter shift",
        ]
        if found.expected_fidelity is None:
            lines.append("expected fidelity  unknown: the target reports no noise")
        else:
            when = f", calibrated {found.calibrated_at}" if found.calibrated_at else ""
            lines.append(f"expected fidelity  {found.expected_fidelity:.4f}{when}")
            for row in gate_fidelities(found):
                if row.fidelity < 1:
                    names = " ".join(found.physical[q] for q in row.qubits)
                    times = f"{row.count} x" if row.count > 1 else ""
                    lines.append(f"  {row.gate:10} {names:12} {row.fidelity:.5f} {times}".rstrip())
            if found.confusion is not None:
                right = found.confusion.diagonal().mean()
                lines.append(f"  {'readout':10} {'':12} {right:.5f}")
        return "\n".join(lines)


def compile_checkpoint(checkpoint: Path, target: str) -> Compilation:
    """The router of a checkpoint compiled for a target.

    Raises:
        InputError: A checkpoint that cannot be read or has no circuit, or no such target.
        FitError: The circuit does not fit the device.
    """
    backend = load(target)
    stored = load_checkpoint(checkpoint)
    routed = RoutedCircuit(stored.model(), stored.weights)
    if stored.trained_for == backend.spec:
        # it was trained through this very circuit, compiled with its weights free
        compiled = backend.compile(routed.circuit).bind_weights(routed.angles)
    else:
        compiled = backend.compile(routed.template)
    cost = shift_cost(routed.circuit, inputs=1, shots=None)
    return Compilation(routed.router.label, routed.template, compiled, cost)


def tell(checkpoint: Path, target: str, as_json: bool) -> None:
    """Prints the compilation as text or as JSON."""
    found = compile_checkpoint(checkpoint, target)
    print(json.dumps(found.to_dict()) if as_json else str(found))


def _sizes(circuit: Circuit) -> dict[str, int]:
    return {
        "gates": sum(not op.is_mark for op in circuit.ops),
        "two_qubit_gates": two_qubit_gates(circuit),
        "depth": depth(circuit),
    }


def _written(sizes: dict[str, int]) -> str:
    return (
        f"{sizes['gates']} gates, {sizes['two_qubit_gates']} on two qubits, depth {sizes['depth']}"
    )
