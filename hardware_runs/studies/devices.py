"""The targets that the device studies share: emulated devices, each with a calibration."""

from __future__ import annotations

DEVICES = (
    "ibm:fake_boston",
    "ibm:fake_torino",
    "ibm:fake_fez",
    "ibm:fake_kingston",
    "ibm:fake_marrakesh",
    "cirq:willow_pink",
    "braket:emulator",
    "braket:emulator,properties=ionq",
)
"""Five snapshots of IBM, Google's Willow, and Braket's emulator of an IQM and of an IonQ device."""
