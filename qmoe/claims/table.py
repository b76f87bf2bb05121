"""The fourteen claims of arXiv 2512.22296, each with the comparison that was registered for it.

Everything here was fixed before the comparisons were made: routers, data, metric, margin and
Holm family, and which outcome speaks for a claim. No outcome is asked for.
"""

from __future__ import annotations

from typing import Final

from qmoe.claims.claim import MOONS, Claim, Pair
from qmoe.claims.context import (
    against,
    best_controls,
    failures,
    figures,
    measured_eta,
    never_there,
    published_protocol,
    smallest_mlp,
)
from qmoe.claims.counted import adjoint_passes, eta
from qmoe.claims.noisy import QUANTUM_EXPERTS, tolerance, tolerances

SHAPES: Final = (
    *(MOONS[0], "circles(noise=0.1)"),
    *("rings(noise=0.05,rings=3)", "spirals(arms=3,noise=0.05)"),
)
IMAGES: Final = ("mnist(classes=0/1)", "fashion-mnist(classes=0/6)")
QUANTUM: Final = "quantum L=2"
_ANYWHERE: Final = "uniform in [0, pi]"


def _pairs(
    sets: tuple[str, ...], router: str, control: str, *more: tuple[str, str]
) -> tuple[Pair, ...]:
    return tuple(Pair(data, a, b) for a, b in ((router, control), *more) for data in sets)


CLAIMS: Final = (
    Claim(
        id="C1",
        statement="Two Moons: the quantum router is better than classical linear routing.",
        published="94 % against 65 %",
        test=f"Test accuracy of {QUANTUM} against linear, 4 experts: the direction is judged, "
        "not whether the published figures come out again.",
        study="ablation",
        pairs=_pairs(MOONS, QUANTUM, "linear"),
        context=(
            *(best_controls, published_protocol),
            figures("accuracy closest to 0.65", among="all"),
            figures("accuracy closest to 0.65", among="30 epochs or more, soft gate, bias"),
        ),
    ),
    Claim(
        id="C2",
        statement="The quantum router needs only 24 parameters, the classical one 12.",
        published="24 (18 angles + 6 of the linear map behind them) against 12 (MLP h=2: 6 + 6)",
        test="Test accuracy of the published circuit (24 parameters) against the MLP router of "
        "nearest size (22 parameters), 2 experts.",
        study="efficiency",
        pairs=_pairs(MOONS, "quantum notebook L=3 z", "MLP h=4"),
        experts=2,
        context=(against("MLP h=2"),),
    ),
    Claim(
        id="C3",
        statement="Parameter efficiency eta = accuracy / log(1 + P) is higher.",
        published="7.14 against 2.79",
        test="Whether one reading of the formula (logarithm, unit of accuracy, count of P, "
        "published figures) gives both published values to two decimals.",
        study="efficiency",
        rule=eta,
        context=(
            *(
                figures("ratio of the published etas"),
                figures("ratio of the etas by the stated formula"),
            ),
            *(figures("readings within rounding of the published eta"), measured_eta),
        ),
    ),
    Claim(
        id="C4",
        statement="The advantage survives up to 2 % depolarizing noise, breaks down near 2.5 %.",
        published="breakdown near 2.5 %",
        test=f"The noise strength (per gate) at which the mean paired difference of {QUANTUM}, "
        "trained without noise, to linear reaches 0, 4 experts: the interval has to hold .025 and "
        "to lie within a factor of 2 of it.",
        study="noise",
        rule=tolerance,
        scope="noise after each gate, exact probabilities",
        context=(tolerances,),
    ),
    Claim(
        id="C5",
        statement="A deep classical router needs about 10 times the parameters to match.",
        published="about 10 times",
        test=f"Test accuracy of {QUANTUM} (4 parameters) against MLP h=2 (18, 4.5 times as many), "
        "4 experts: an MLP with less than half the published factor must not match.",
        study="efficiency",
        pairs=_pairs(MOONS, QUANTUM, "MLP h=2"),
        context=(smallest_mlp, against("MLP h=4", "subspace 4 of MLP h=16", "linear")),
    ),
    Claim(
        id="C6",
        statement="The router acts as a kernel |<psi(x)|psi(x')>|^2 of exponentially large "
        "dimension.",
        published="none in the claim",
        test="Test accuracy of a support vector classifier with that kernel, in closed form, "
        "against one with the RBF kernel.",
        study="interference",
        pairs=_pairs(MOONS, "SVC product kernel", "SVC rbf kernel"),
        experts=1,
        scope="as a kernel that classifies better; its dimension is beside it",
        context=(
            figures("largest deviation of simulated overlaps from the closed form"),
            figures("kernel feature dimension", data=_ANYWHERE),
            figures("effective rank of the kernel", data=_ANYWHERE),
        ),
    ),
    Claim(
        id="C7",
        statement="Interference of amplitudes, not classical probabilities, is what does it.",
        published="none in the claim",
        test=f"Test accuracy of {QUANTUM} against the same circuit dephased after every layer, 4 "
        "experts.",
        study="interference",
        pairs=_pairs(MOONS, QUANTUM, "dephased L=2"),
        context=(against("product"),),
    ),
    Claim(
        id="C8",
        statement="More layers: more expressivity, more noise sensitivity.",
        published="L = 1, 2, 3, 4; no figure in the claim",
        test="Test accuracy of quantum L=4 against quantum L=1, 4 experts; and the accuracy that "
        "each loses between no noise and 2 % after each gate, trained without it. It holds only "
        "if L=4 is better and loses more.",
        study="efficiency",
        pairs=_pairs(MOONS, "quantum L=4", "quantum L=1"),
        losses=(Pair(MOONS[0], "quantum L=4", "quantum L=1"),),
        scope="expressivity in accuracy; the function space is beside it",
        without_losses="in accuracy; the function space is beside it, noise is not judged yet",
        context=(figures("function-space dimension"), figures("weights that count")),
    ),
    Claim(
        id="C9",
        statement="Adjoint differentiation makes the gradient's cost O(1) circuit executions in "
        "the number of parameters P.",
        published="O(1) in P",
        test="Passes over the circuit that one adjoint gradient takes, counted for several P.",
        study="convergence",
        rule=adjoint_passes,
        scope="in simulation",
        context=(figures("circuit executions per gradient", method="parameter shift"),),
    ),
    Claim(
        id="C10",
        statement="Accuracy near 50 % is a barren plateau, cured by small-variance initialisation "
        "or layer-wise training.",
        published="near 50 %",
        test="Test accuracy of quantum L=12 with either cure against plain initialisation, 4 "
        "experts.",
        study="trainability",
        pairs=_pairs(
            *(MOONS, "quantum L=12 init 0.1", "quantum L=12 init 1"),
            ("quantum L=12 layer-wise", "quantum L=12 init 1"),
        ),
        scope="2 qubits, L = 12",
        context=(failures, figures("decay rate of the variance per qubit", cost="outcome")),
    ),
    Claim(
        id="C11",
        statement="Reduced MNIST (8 PCA components) and Fashion-MNIST subsets: the advantage "
        "carries over.",
        published="none in the claim",
        test=f"Test accuracy of {QUANTUM} against linear at 8 PCA components, 4 experts.",
        study="images",
        pairs=_pairs(IMAGES, QUANTUM, "linear"),
        context=(best_controls, figures("accuracy lost by PCA")),
    ),
    Claim(
        id="C12",
        statement="Keeping the experts classical is what keeps noise low, against quantum experts.",
        published="none in the claim",
        test=f"Accuracy that {QUANTUM}, trained without noise, loses between no noise and 2 % "
        "after each gate, with quantum experts (under the same noise) against linear ones.",
        study="noise",
        losses=(Pair(MOONS[0], f"{QUANTUM}{QUANTUM_EXPERTS}", QUANTUM),),
        scope="2 qubits, 2 layers in router and experts",
    ),
    Claim(
        id="C13",
        statement="The quantum router converges faster.",
        published="none in the claim",
        test=f"Training steps until validation accuracy is .9, cut at 200, of {QUANTUM} against "
        "linear, 4 experts, each with its chosen trial; margin 10 steps, one evaluation interval.",
        study="convergence",
        pairs=_pairs(MOONS, QUANTUM, "linear"),
        metric="steps to target",
        context=(never_there("product", "dephased L=2", "trig-product D=1"),),
    ),
    Claim(
        id="C14",
        statement="A topological advantage: it untangles data that linear routing cannot.",
        published="none in the claim",
        test=f"Test accuracy of {QUANTUM} against linear and against a linear router on the same "
        "trigonometric features, 4 experts, on four shapes; it holds only if better than both.",
        study="interference",
        pairs=_pairs(SHAPES, QUANTUM, "linear", (QUANTUM, "trig-product D=1")),
        context=(best_controls,),
    ),
)
