"""What every adapter checks before it does or spends anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.compiled import Compiled
from qmoe.circuit import Circuit
from qmoe.errors import FitError, InputError


def check_features(compiled: Compiled, features: ArrayLike) -> NDArray[np.float64]:
    """The features (batch, d) of a run as doubles.

    Raises:
        InputError: Another shape, values that are not finite, or weights that are still free.
    """
    native = compiled.native
    if native.num_weights:
        raise InputError(
            got=f"a compiled circuit with {native.num_weights} free weights",
            expected="none",
            do="put them in with compiled.bind_weights(weights)",
        )
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != native.num_features:
        raise InputError(
            got=f"features of shape {x.shape}",
            expected=f"(batch, {native.num_features})",
            do="pass one row per input, radians",
        )
    if not np.isfinite(x).all():
        raise InputError(
            got=f"{int((~np.isfinite(x)).sum())} features that are not finite",
            expected="finite numbers",
            do="clean the data",
        )
    return x


def check_like(native: Circuit, like: Compiled) -> None:
    """Refuses a changed native circuit that cannot stand on the qubits of `like`.

    Raises:
        InputError: It has another number of qubits.
    """
    if native.num_qubits != like.native.num_qubits:
        raise InputError(
            got=f"a native circuit of {native.num_qubits} qubits",
            expected=f"{like.native.num_qubits}, as it was compiled to",
            do="change the compiled circuit's own native circuit",
        )


def check_width(num_qubits: int, most: int, spec: str, kind: str = "qubits") -> None:
    """Refuses a circuit that is too wide for a target.

    kind: What is counted, such as "active qubits".

    Raises:
        FitError: There are more than `most`.
    """
    if num_qubits > most:
        raise FitError(
            got=f"a circuit of {num_qubits} {kind}",
            expected=f"at most {most} on {spec}",
            do="simplify it, or measure or use fewer qubits",
        )
