"""The entry point: takes one core and one thread before anything numerical is imported."""

from __future__ import annotations

import sys

from benchmarks.speed.timing import one_core

if __name__ == "__main__":
    one_core()
    from benchmarks.speed.cli import main

    sys.exit(main())
