"""`python -m benchmarks.figures.speed`: what is measured and what is printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.figures.speed import router, training
from benchmarks.figures.speed.rows import Row, table
from benchmarks.figures.speed.workloads import ROOT, ROUTER_WORKS, TrainWork
from qmoe.angles import whole
from qmoe.errors import InputError, QmoeError
from qmoe.provenance import capture, installed_versions

PEER_DISTRIBUTIONS = ("pennylane", "jax", "jaxlib", "tensorcircuit-ng", "numba")
FORMAT = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code: 0 done, 1 a peer was refused, 2 bad input."""
    options = _parser().parse_args(argv)
    try:
        return _run(options)
    except QmoeError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _run(options: argparse.Namespace) -> int:
    whole(options.seeds, "number of seeds", 1)
    target = None if options.json is None else Path(options.json)
    if target is not None and not target.absolute().parent.is_dir():
        raise InputError(
            got=f"--json {target}", expected="a file in a folder that exists", do="make the folder"
        )
    torch.set_num_threads(1)
    provenance = capture(ROOT, threads=1).model_dump()
    provenance["versions"] |= installed_versions(PEER_DISTRIBUTIONS)
    versions = ", ".join(f"{k} {v}" for k, v in provenance["versions"].items())
    print(f"one core, one thread, float64; processor seconds; {provenance['platform']}, {versions}")
    rows: list[Row] = []
    for title, found in _tables(options):
        print("\n" + table(title, found), flush=True)
        rows += found
    if target is not None:
        content = {
            "format": FORMAT,
            "provenance": provenance,
            "rows": [asdict(row) for row in rows],
        }
        target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return int(any(row.note.startswith("refused") for row in rows))


def _tables(options: argparse.Namespace) -> Iterator[tuple[str, list[Row]]]:
    """Titles and rows, one workload at a time."""
    if options.only != "training":
        for work in ROUTER_WORKS[: 2 if options.quick else None]:
            rows = router.measure(work, rounds=5 if options.quick else 15)
            yield f"router step, {work.title}, forward and backward to the weights", rows
    if options.only != "router":
        counts = [options.seeds] if options.quick else sorted({1, 8, options.seeds})
        epochs = 20 if options.quick else 100
        for batch_size in (64, None):
            for seeds in counts:
                train = TrainWork(seeds, batch_size, epochs)
                rows = training.measure(train, rounds=3 if options.quick else 5)
                yield f"training, Two Moons, {train.title}, {epochs} epochs, per model", rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figures.speed",
        description="Ratios of medians beside PennyLane, JAX and tensorcircuit-ng, in one process.",
        epilog="example: python -m benchmarks.figures.speed --quick --only router",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two router sizes, one seed count, 20 epochs, fewer rounds (ratios less steady)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write every row to FILE")
    parser.add_argument("--seeds", type=int, default=64, help="models trained at once (64)")
    parser.add_argument("--only", choices=("router", "training"), help="one half of it")
    return parser
