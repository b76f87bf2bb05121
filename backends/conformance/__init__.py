"""The conformance suite: is a backend what it says it is? `python -m backends.conformance SPEC`.

A vendor or a lab points it at its own backend with `verify(backend)`; a backend need not be
registered. The suite asks only what `backends.base` promises, and judges by the numpy reference
and by a Pauli-transfer product of its own.
"""

from backends.conformance.suite import Check, Outcome, checks, planned, verify

__all__ = ["Check", "Outcome", "checks", "planned", "verify"]
