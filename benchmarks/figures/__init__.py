"""Ratios and figures that a person asks for once, each printed by a command of its own."""
