"""Targets that run a router circuit: simulators, device-like simulators, real devices, twins.

A target is named by a spec, "vendor:target,key=value"; `load` gives the backend behind it. No
vendor's SDK is imported before a backend of that vendor is used.
"""

from backends.registry import load

__all__ = ["load"]
