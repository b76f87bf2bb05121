"""IBM: Aer's simulators, the snapshots of real devices that ship, and real devices.

`ibm:aer` is exact; `ibm:dm,depolarizing=...` has noise of our own choice; `ibm:fake_NAME` is a
device as it was calibrated once; `ibm:ibm_NAME` is a real one and needs an account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.base import Backend, TargetInfo

if TYPE_CHECKING:
    from backends.registry import Spec


def load(spec: Spec) -> Backend:
    """The backend of one of IBM's targets.

    Raises:
        InputError: An unknown target or option, or a package that is missing.
    """
    if spec.target.startswith("ibm_"):
        from backends.ibm import runtime

        return runtime.load(spec)
    from backends.ibm import aer

    return aer.load(spec)


def _note() -> str:
    from backends.ibm.account import missing

    lacking = missing()
    return "a device of your account" if lacking is None else f"set {lacking}"


def targets() -> tuple[str, ...]:
    """The specs that load without an account."""
    from backends.ibm import snapshots

    return ("ibm:aer", "ibm:dm", *(f"ibm:{name}" for name in snapshots.names()))


def describe() -> tuple[TargetInfo, ...]:
    """The same with qubits, gates and median errors."""
    from backends.ibm import aer, snapshots

    limits = aer.MOST_QUBITS
    return (
        TargetInfo("ibm:aer", "exact", limits["aer"], ("any",), note="Aer, noise-free"),
        TargetInfo("ibm:dm", "exact", limits["dm"], ("any",), note="Aer, noise of your choice"),
        *map(snapshots.describe, snapshots.names()),
        TargetInfo("ibm:ibm_NAME", "device", note=_note()),
    )
