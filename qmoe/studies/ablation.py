"""Study `ablation`: linear, quantum and deep routers beside every classical control.

Model A is the linear router, B the quantum one, C the MLPs. Protocol `controlled` draws fresh
data per seed and scores a held-out test part; every family gets the same trials in the registered
cells, the other sizes reuse the trial that was chosen for the same depth with four experts.
Protocol `notebook` repeats the published code as it is, training accuracy and all, over many
initialisations instead of one.
"""

from __future__ import annotations

from dataclasses import replace

from qmoe.catalogue import SETS
from qmoe.cell import Cell
from qmoe.data import DataSpec
from qmoe.errors import InputError, unknown
from qmoe.plan import Plan
from qmoe.studies.families import (
    CONSTANT,
    LINEAR,
    MOONS,
    PRODUCT,
    TRIG,
    Family,
    cell,
    cells,
    dephased,
    mlp,
    quantum,
)
from qmoe.suite import Setup
from qmoe.train import TrainConfig
from qmoe.trial import Trial

QUICK: tuple[Family, ...] = (
    *(LINEAR, mlp(4), mlp(16), TRIG, PRODUCT, dephased(2), CONSTANT, quantum(2)),
)
LAYERS = (1, 2, 3, 4, 12)
SIZES = (1, 2, 3, 4, 8)
OUTCOMES = 4  # of two qubits
REGISTERED_LAYERS = (1, 2, 4, 12)
REGISTERED_SIZES = (2, 4)
DEEP = (4, 16)
REUPLOAD: Family = ("quantum", {"layers": 2, "ansatz": "reupload"})
NOTEBOOK: Family = ("quantum", {"layers": 3, "ansatz": "notebook", "readout": "z"})
CONTROLS: tuple[Family, ...] = (
    *(LINEAR, *(mlp(h) for h in DEEP), TRIG, PRODUCT, CONSTANT),
    ("low-rank-trig", {"degree": 1, "rank": 2}),
    ("random-fourier", {"features": 32}),
    ("frozen-circuit", {"layers": 2}),
)
PUBLISHED: tuple[Family, ...] = (
    *(LINEAR, *(mlp(h) for h in (2, 4, 8, 16, 32, 64)), NOTEBOOK, CONSTANT),
)
PUBLISHED_CONFIG = TrainConfig(epochs=30, batch_size=32, evaluate_every=1)
PROTOCOLS = ("controlled", "notebook")


def quick(setup: Setup) -> Plan:
    """The step of suite `quick`: eight families on Two Moons, full batch, fresh data per seed."""
    return Plan("quick", cells(setup, MOONS[:1], QUICK), shown=True)


def controlled(setup: Setup, data: str = "") -> Plan:
    """Experts x layers for quantum, dephased and unentangled circuits, experts for the rest.

    data: one data set; both moons, the Holm family of the claims, where it is left out.
    """
    sets = MOONS if not data else (DataSpec.parse(data),)
    if any(each.path or SETS[each.name].features != 2 for each in sets):
        raise InputError(
            got=f"data {data!r} in study ablation",
            expected="a set of two features",
            do="use qmoe train for one router on other data",
        )
    out: list[Cell] = []
    for each in sets:
        out += [cell(setup, each, CONSTANT, experts=1, label="single expert", family="single")]
        out += _ceilings(setup, each)
        out += [cell(setup, each, REUPLOAD), cell(setup, each, NOTEBOOK)]
        for layers in LAYERS:
            out += _sizes(setup, each, quantum(layers)) + _sizes(setup, each, dephased(layers))
        for layers in REGISTERED_LAYERS:
            out += _sizes(setup, each, ("unentangled", {"layers": layers}))
        for family in CONTROLS:
            out += _sizes(setup, each, family)
    return Plan("ablation", tuple(out))


def _sizes(setup: Setup, data: DataSpec, family: Family) -> list[Cell]:
    """A family with every number of experts; tuned in the registered cells, reusing elsewhere."""
    name, options = family
    source = cell(setup, data, family)
    out = []
    for size in SIZES:
        if size == 1 and name == "constant":
            continue  # the single expert, which has its own name
        wanted = options
        if name == "quantum" and size > OUTCOMES:
            # more experts than outcomes of two qubits: a learned map from outcomes to experts
            wanted = {**options, "outcome_map": "adapter", "num_qubits": 2, "measured": (0, 1)}
        registered = size in REGISTERED_SIZES and options.get("layers", 1) in REGISTERED_LAYERS
        if registered or len(setup.trials) == 1:
            out.append(cell(setup, data, (name, wanted), experts=size))
        elif size == 4:
            out.append(source)
        else:
            out.append(cell(setup, data, (name, wanted), experts=size, trials=(), like=source))
    return out


def _ceilings(setup: Setup, data: DataSpec) -> list[Cell]:
    """What is no Mixture of Experts: an MLP alone and a support vector classifier."""
    alone = {"experts": 1, "expert_hidden": 16, "label": "MLP alone h=16", "family": "ceiling"}
    return [
        cell(setup, data, CONSTANT, **alone),
        cell(setup, data, ("svc-rbf", {}), experts=1),
    ]


def notebook(setup: Setup) -> Plan:
    """The published protocol: two experts, batches of 32, Adam at .05, 30 epochs."""
    trial = Trial(learning_rate=0.05)
    made = tuple(
        replace(
            cell(setup, MOONS[0], family, experts=2, trials=(trial,)),
            protocol="notebook",
            config=PUBLISHED_CONFIG,
        )
        for family in PUBLISHED
    )
    return Plan("ablation-notebook", made, shown=True)


def ablation(setup: Setup, protocol: str = "both", data: str = "") -> Plan:
    """The whole study: `controlled`, `notebook` or both.

    Raises:
        InputError: An unknown protocol, or a data set that the published protocol does not have.
    """
    if protocol not in (*PROTOCOLS, "both"):
        raise unknown("protocol", protocol, (*PROTOCOLS, "both"))
    if protocol == "notebook" and data and DataSpec.parse(data) != DataSpec("moons"):
        raise InputError(
            got=f"data {data!r} in the notebook protocol",
            expected="moons, the published set",
            do="use --protocol controlled for other data",
        )
    parts: list[Cell] = []
    if protocol != "notebook":
        parts += controlled(setup, data).cells
    if protocol != "controlled":
        parts += notebook(setup).cells
    return Plan("ablation", tuple(parts))
