"""Routers, quantum and classical, one class in one file each, by name.

A name maps to a dotted path that is imported on first use. To add a router: one class with the
methods of `qmoe.routers.base.Router`, one line here; in another package, one entry point of the
group `qmoe.routers` whose object is that class.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, cast, get_type_hints

from qmoe.angles import whole
from qmoe.dotted import named
from qmoe.errors import InputError, unknown
from qmoe.plugins import added, loaded
from qmoe.routers.base import Cost as Cost
from qmoe.routers.base import Counts as Counts
from qmoe.routers.base import Router as Router

GROUP = "qmoe.routers"
ROUTERS: Mapping[str, str] = {
    "quantum": "qmoe.routers.quantum:QuantumRouter",
    "linear": "qmoe.routers.linear:LinearRouter",
    "mlp": "qmoe.routers.mlp:MLPRouter",
    "trig-product": "qmoe.routers.trig:TrigRouter",
    "product": "qmoe.routers.product:ProductRouter",
    "dephased": "qmoe.routers.dephased:DephasedRouter",
    "low-rank-trig": "qmoe.routers.lowrank:LowRankTrigRouter",
    "random-fourier": "qmoe.routers.fourier:FourierRouter",
    "unentangled": "qmoe.routers.unentangled:UnentangledRouter",
    "frozen-circuit": "qmoe.routers.frozen:FrozenCircuitRouter",
    "constant": "qmoe.routers.constant:ConstantRouter",
    "subspace": "qmoe.routers.subspace:SubspaceRouter",
}


def build(name: str, num_features: int, num_experts: int, /, **options: Any) -> Router:
    """The router of that name with its options.

    Raises:
        InputError: An unknown router or option, or a value that the router refuses.

    >>> build("quantum", 2, 4, layers=2).counts
    Counts(paper=4, actual=4, frozen=0)
    """
    whole(num_features, "number of features", 1)
    whole(num_experts, "number of experts", 1)
    kind = _kind(name)
    allowed = [p for p in inspect.signature(kind).parameters if p not in _CONTEXT]
    for option in options:
        if option not in allowed:
            if not allowed:
                raise InputError(
                    got=f"option {option!r} of router {name!r}",
                    expected="no options",
                    do="leave it out",
                )
            raise unknown(f"option of router {name!r}:", option, allowed)
    _check_types(name, get_type_hints(kind.__init__), options)
    return cast(Router, kind(num_features, num_experts, **options))


def _kind(name: str) -> Any:
    if name in ROUTERS:
        return named(ROUTERS[name])
    others = added(GROUP)
    if name not in others:
        raise unknown("router", name, [*ROUTERS, *others])
    return loaded(GROUP, name)


def _check_types(name: str, hints: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Options come from command lines and files: their types are held to the annotations."""
    from pydantic import TypeAdapter, ValidationError

    for option, value in options.items():
        try:
            TypeAdapter(hints[option]).validate_python(value, strict=True)
        except ValidationError as error:
            wanted = str(error.errors()[0]["msg"])
            raise InputError(
                got=f"{option}={value!r} for router {name!r}",
                expected=wanted[0].lower() + wanted[1:],
                do=f"correct {option}",
            ) from error


_CONTEXT = ("num_features", "num_experts")
