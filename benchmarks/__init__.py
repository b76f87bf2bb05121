"""What asv tracks over history, and in `figures` scripts that a person asks for once.

May import every other room of the project, is imported by none. `figures` has no `__init__.py`:
asv imports every package in here, and the scripts need this very commit and their peers.
"""
