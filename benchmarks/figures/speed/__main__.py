"""The entry point: takes one core and one thread before anything numerical is imported."""

from __future__ import annotations

import sys

from benchmarks.figures.speed.timing import one_core

if __name__ == "__main__":
    one_core()
    from benchmarks.figures.speed.cli import main

    sys.exit(main())
