"""Study `ablation`: linear, quantum and deep routers beside every classical control.

Model A is the linear router, B the quantum one, C the MLPs. Protocol `controlled` draws fresh
data per seed and scores a held-out test part; protocol `notebook` repeats the published code as
it is, training accuracy and all, over many initialisations instead of one.
"""

from __future__ import annotations

from qmoe.bench import Bench
from qmoe.data import DataSpec
from qmoe.errors import InputError, unknown
from qmoe.studies.comparison import Family, compare
from qmoe.suite import Context
from qmoe.train import TrainConfig

QUICK: tuple[Family, ...] = (
    ("linear", {}),
    ("mlp", {"hidden": 4}),
    ("mlp", {"hidden": 16}),
    ("trig-product", {"degree": 1}),
    ("product", {}),
    ("dephased", {"layers": 2}),
    ("constant", {}),
    ("quantum", {"layers": 2}),
)
DEEP: tuple[Family, ...] = tuple(("mlp", {"hidden": h}) for h in (2, 4, 8, 16, 32, 64))
FULL: tuple[Family, ...] = (
    ("linear", {}),
    *DEEP,
    ("trig-product", {"degree": 1}),
    ("trig-product", {"degree": 2}),
    ("product", {}),
    ("dephased", {"layers": 2}),
    ("constant", {}),
    *(("quantum", {"layers": layers}) for layers in (1, 2, 3, 4, 12)),
    ("quantum", {"layers": 2, "ansatz": "reupload"}),
    ("quantum", {"layers": 3, "ansatz": "notebook", "readout": "z"}),
)
PUBLISHED: tuple[Family, ...] = (
    ("linear", {}),
    *DEEP,
    ("quantum", {"layers": 3, "ansatz": "notebook", "readout": "z"}),
    ("constant", {}),
)
PROTOCOLS = ("controlled", "notebook")


def quick(context: Context) -> None:
    """The step of suite `quick`: eight families on Two Moons, full batch, fresh data per seed."""
    bench = Bench.controlled(DataSpec("moons"), root=context.root, seeds=context.seeds)
    compare(context, bench, QUICK, TrainConfig(), num_experts=4, title="Two Moons")


def controlled(context: Context, data: str = "moons") -> None:
    """Every family on one data set, fresh data or a new split per seed."""
    bench = Bench.controlled(DataSpec.parse(data), root=context.root, seeds=context.seeds)
    compare(context, bench, FULL, TrainConfig(), num_experts=4, title=data)


def notebook(context: Context) -> None:
    """The published protocol: two experts, batches of 32, Adam at .05, 30 epochs."""
    bench = Bench.notebook(root=context.root, seeds=context.seeds)
    config = TrainConfig(epochs=30, batch_size=32, learning_rate=0.05, evaluate_every=1)
    compare(context, bench, PUBLISHED, config, num_experts=2, title="notebook protocol")


def ablation(context: Context, protocol: str = "both", data: str = "moons") -> None:
    """The whole study: `controlled`, `notebook` or both.

    Raises:
        InputError: An unknown protocol, or a data set that the published protocol does not have.
    """
    if protocol not in (*PROTOCOLS, "both"):
        raise unknown("protocol", protocol, (*PROTOCOLS, "both"))
    if protocol == "notebook" and DataSpec.parse(data) != DataSpec("moons"):
        raise InputError(
            got=f"data {data!r} in the notebook protocol",
            expected="moons, the published set",
            do="use --protocol controlled for other data",
        )
    if protocol != "notebook":
        controlled(context, data)
    if protocol != "controlled":
        notebook(context)
