"""Compiling to native gates where a vendor has no compiler for circuits with free angles.

Nothing here belongs to a vendor: `phased` makes phased_xz and cz, `pulses` IonQ's pulses out of
those, `placement` finds the qubits.
"""
