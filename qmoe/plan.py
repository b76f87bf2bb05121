"""Plans: a study as data, and the run that trains what its plans ask for.

A plan lists cells and measurements. Plans are merged before anything starts: what two studies
share is trained once, the whole is counted and estimated, and the parts run in worker processes
in any order with the same numbers.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from qmoe.cell import Cell, CellResult
from qmoe.errors import QmoeError
from qmoe.figure import Figures, Measurement
from qmoe.progress import Advance
from qmoe.store import Store

Part = Cell | Measurement


@dataclass(frozen=True, slots=True)
class Plan:
    """What one study trains and measures.

    `shown` cells also get a map and a checkpoint, and one more that was trained through the noise
    of the target `trained_for`, if there is one. `maps` are cells of whose first router a map is
    made on a target, with the target's spec and the number of inputs that are measured there.
    """

    study: str
    cells: tuple[Cell, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    shown: bool = False
    trained_for: str = ""
    maps: tuple[tuple[Cell, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The finished parts of some plans, by key."""

    cells: Mapping[str, CellResult]
    figures: Mapping[str, Figures]

    def results(self, plan: Plan) -> tuple[CellResult, ...]:
        """The results of a plan's cells, in its order."""
        return tuple(self.cells[cell.key] for cell in plan.cells)


def all_cells(plans: Iterable[Plan]) -> tuple[Cell, ...]:
    """Every cell once, each after the one that it reuses."""
    found: dict[str, Cell] = {}
    for plan in plans:
        measured = (m.of for m in plan.measurements if m.of is not None)
        mapped = (cell for cell, _, _ in plan.maps)
        for cell in (*plan.cells, *measured, *mapped):
            if cell.like is not None:
                found.setdefault(cell.like.key, cell.like)
            found.setdefault(cell.key, cell)
    return tuple(found.values())


def all_measurements(plans: Iterable[Plan]) -> tuple[Measurement, ...]:
    """Every measurement once."""
    return tuple({m.key: m for plan in plans for m in plan.measurements}.values())


def carry_out(
    plans: Sequence[Plan],
    *,
    store: Store,
    workers: int = 1,
    device: str = "cpu",
    advance: Advance | None = None,
) -> Done:
    """Trains and measures everything in the plans that the store does not hold yet.

    advance: told the number of models and measurements done.

    The numbers do not depend on `workers`: a part is computed by one process alone, from its own
    random streams.

    Raises:
        InputError: A part that cannot be.
        QmoeError: A worker process died.
    """
    cells, measurements = all_cells(plans), all_measurements(plans)
    found = {c.key: r for c in cells if (r := store.cell(c.key)) is not None}
    figures = {m.key: f for m in measurements if (f := store.figures(m.key)) is not None}
    done = sum(c.models for c in cells if c.key in found) + len(figures)
    if advance is not None:
        advance(done)

    def keep(part: Part, result: CellResult | Figures) -> None:
        nonlocal done
        store.keep(result)
        if isinstance(result, CellResult):
            found[part.key] = result
        else:
            figures[part.key] = result
        done += part.models if isinstance(part, Cell) else 1
        if advance is not None:
            advance(done)

    left: list[Part] = [c for c in cells if c.key not in found]
    left += [m for m in measurements if m.key not in figures]
    run = _one_by_one if workers == 1 else _in_processes(workers)
    run(left, found, device, keep)
    return Done(found, figures)


Keep = Callable[[Part, "CellResult | Figures"], None]


def _one_by_one(
    left: Sequence[Part], found: Mapping[str, CellResult], device: str, keep: Keep
) -> None:
    for part in left:
        keep(part, compute(part, _needed(part, found), device))


def _in_processes(
    workers: int,
) -> Callable[[Sequence[Part], Mapping[str, CellResult], str, Keep], None]:
    def run(left: Sequence[Part], found: Mapping[str, CellResult], device: str, keep: Keep) -> None:
        # spawned, not forked: a fork would copy the numerical libraries' threads half-way
        context = multiprocessing.get_context("spawn")
        waiting = list(left)
        running: dict[Future[CellResult | Figures], Part] = {}
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
            try:
                while waiting or running:
                    ready = [p for p in waiting if _ready(p, found)]
                    for part in ready[: max(0, 2 * workers - len(running))]:
                        waiting.remove(part)
                        future = pool.submit(compute, part, _needed(part, found), device)
                        running[future] = part
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        keep(running.pop(future), future.result())
            except BrokenProcessPool as error:
                raise QmoeError(
                    "a worker process died, perhaps for lack of memory; what is finished is kept: "
                    "the same command goes on from there, with fewer --workers"
                ) from error
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                raise

    return run


def _first(part: Part) -> Cell | None:
    """The cell that must be finished before this part can start."""
    return part.like if isinstance(part, Cell) else part.of


def _ready(part: Part, found: Mapping[str, CellResult]) -> bool:
    first = _first(part)
    return first is None or first.key in found


def _needed(part: Part, found: Mapping[str, CellResult]) -> CellResult | None:
    first = _first(part)
    return None if first is None else found[first.key]


def compute(
    part: Part, needed: CellResult | None = None, device: str = "cpu"
) -> CellResult | Figures:
    """The result of one part; what a worker process does.

    needed: the result of the cell that the part builds on, if it does.
    """
    if isinstance(part, Measurement):
        return part.run(needed)
    from qmoe.tune import tune

    return tune(part, needed, device=device)


def _one_thread() -> None:
    """Workers share the cores; more threads each would only slow all of them down."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
