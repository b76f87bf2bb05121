from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from qmoe.errors import InputError
from qmoe.routers import ROUTERS, build
from qmoe.routers.base import AutogradGradient, Cost, Counts, FusedRouter, fused, outcome_bits
from qmoe.routers.quantum import QuantumRouter
from qmoe.spec import ModelSpec

CASES = {
    "linear": ("linear", 2, 4, {}),
    "mlp": ("mlp", 3, 4, {"hidden": 5}),
    "trig": ("trig-product", 2, 3, {"degree": 2}),
    "product": ("product", 3, 4, {}),
    "product E=3": ("product", 1, 3, {"outcome_map": "parity"}),
    "dephased": ("dephased", 3, 4, {"layers": 2}),
    "dephased notebook": ("dephased", 2, 2, {"ansatz": "notebook", "layers": 2}),
    "constant": ("constant", 2, 4, {}),
    "paper": ("quantum", 2, 4, {"layers": 2}),
    "paper E=1": ("quantum", 2, 1, {"layers": 2}),
    "paper E=3": ("quantum", 3, 3, {"layers": 2, "entangler": "ring"}),
    "reupload": ("quantum", 2, 4, {"ansatz": "reupload", "layers": 3}),
    "marginal": ("quantum", 3, 2, {"outcome_map": "marginal", "measured": (2, 0)}),
    "parity": ("quantum", 3, 4, {"outcome_map": "parity", "measured": (0, 2, 1)}),
    "adapter": ("quantum", 2, 5, {"outcome_map": "adapter", "num_qubits": 3}),
    "notebook z": ("quantum", 2, 2, {"ansatz": "notebook", "readout": "z", "layers": 3}),
    "large": ("quantum", 8, 4, {"layers": 4}),
    "large z": ("quantum", 12, 2, {"readout": "z", "layers": 2}),
    "low-rank": ("low-rank-trig", 3, 4, {"degree": 2, "rank": 3}),
    "fourier": ("random-fourier", 3, 4, {"features": 5, "bandwidth": 0.5}),
    "unentangled": ("unentangled", 3, 4, {"layers": 2}),
    "frozen circuit": ("frozen-circuit", 2, 4, {"layers": 2}),
    "frozen notebook": ("frozen-circuit", 3, 3, {"ansatz": "notebook"}),
    "subspace": ("subspace", 2, 4, {"base": "mlp:hidden=3", "dimension": 2}),
    "subspace of a circuit": ("subspace", 3, 4, {"base": "quantum:layers=2", "dimension": 5}),
    "subspace of a dephased circuit": ("subspace", 2, 4, {"base": "dephased", "dimension": 2}),
}


def case(name: str):
    """The router of a case and weights of three seeds."""
    router_name, d, experts, options = CASES[name]
    router = build(router_name, d, experts, **options)
    draws = [router.init(np.random.default_rng(seed)) for seed in range(3)]
    return router, torch.from_numpy(np.stack(draws))


def features(d: int, lead: int, batch: int = 6) -> torch.Tensor:
    rng = np.random.default_rng(d + lead)
    return torch.from_numpy(rng.uniform(0, np.pi, size=(lead, d, batch)))


def test_every_router_of_the_registry_is_a_case():
    assert {router for router, *_ in CASES.values()} == set(ROUTERS)


@pytest.mark.parametrize("name", CASES)
def test_a_router_is_what_it_says_it_is(name):
    router, weights = case(name)
    _, d, experts, _ = CASES[name]
    assert weights.shape == (3, router.size)
    assert weights.dtype == torch.float64
    assert router.counts.actual + router.counts.frozen == router.size
    assert router.counts.paper <= router.counts.actual
    assert router.cost.multiply_adds >= 0
    assert router.cost.circuits in (0, 1)
    assert (router.num_features, router.num_experts) == (d, experts)
    assert router.label
    assert router.family == CASES[name][0]
    out = router(weights, features(d, 1))
    assert out.shape == (3, experts, 6)
    if router.emits == "probabilities":
        assert (out >= 0).all()
        assert (out.sum(1) - 1).abs().max() < 1e-12


@pytest.mark.parametrize("name", CASES)
def test_initial_weights_come_from_the_generator_alone(name):
    router, _ = case(name)
    first, again = (router.init(np.random.default_rng(5)) for _ in range(2))
    other = router.init(np.random.default_rng(6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", CASES)
def test_the_scale_of_the_start_multiplies_what_trains_and_no_draw(name):
    router, _ = case(name)
    rng, scaled_rng = (np.random.default_rng(5) for _ in range(2))
    start, scaled = router.init(rng), router.init(scaled_rng, 0.25)
    trained = router.counts.actual
    np.testing.assert_array_equal(scaled[:trained], 0.25 * start[:trained])
    if CASES[name][0] != "subspace":  # whose start is that of its base, frozen
        np.testing.assert_array_equal(scaled[trained:], start[trained:])
    assert rng.random() == scaled_rng.random()
    np.testing.assert_array_equal(router.init(np.random.default_rng(5), 1.0), start)


@pytest.mark.parametrize("name", CASES)
def test_frozen_numbers_have_no_gradient(name):
    router, weights = case(name)
    x = features(router.num_features, 1)
    for way in (fused(router), AutogradGradient(router)):
        out, kept = way.forward(weights, way.prepare(x))
        grad = torch.from_numpy(np.random.default_rng(2).normal(size=tuple(out.shape)))
        to_weights = way.backward(weights, kept, grad)
        assert to_weights.shape == weights.shape
        assert (to_weights[:, router.counts.actual :] == 0).all()
        # a single expert has nothing to choose, and a qubit outside the cone nothing to say
        seen = to_weights[:, : router.counts.actual].abs() > 1e-9
        assert seen.any() or router.num_experts == 1


@pytest.mark.parametrize("lead", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_the_hand_written_gradient_is_that_of_autograd(name, lead):
    router, weights = case(name)
    x = features(router.num_features, lead)
    by_hand, plain = fused(router), AutogradGradient(router)
    out, kept = by_hand.forward(weights, by_hand.prepare(x))
    expected, kept_plain = plain.forward(weights, plain.prepare(x))
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-13)
    grad = torch.from_numpy(np.random.default_rng(2).normal(size=tuple(out.shape)))
    torch.testing.assert_close(
        by_hand.backward(weights, kept, grad),
        plain.backward(weights, kept_plain, grad),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("name", CASES)
def test_seeds_do_not_see_each_other(name):
    router, weights = case(name)
    x = features(router.num_features, 3)
    together = router(weights, x)
    for s in range(3):
        alone = router(weights[s : s + 1], x[s : s + 1])
        torch.testing.assert_close(together[s : s + 1], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_single_precision_in_is_single_precision_out(name):
    router, weights = case(name)
    x = features(router.num_features, 1)
    out = router(weights.float(), x.float())
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), router(weights, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_every_router_has_a_gradient_of_its_own(name):
    assert isinstance(case(name)[0], FusedRouter)


@pytest.mark.parametrize(
    ("hidden", "count"), [(2, 12), (4, 22), (8, 42), (16, 82), (32, 162), (64, 322)]
)
def test_mlp_counts_are_the_published_ones(hidden, count):
    assert build("mlp", 2, 2, hidden=hidden).counts == Counts(count, count)


def test_counts_are_the_published_ones():
    published = build("quantum", 2, 2, ansatz="notebook", readout="z", layers=3)
    assert published.counts == Counts(18 + 6, 24)
    assert build("linear", 2, 2).counts == Counts(6, 6)
    assert build("quantum", 2, 4, layers=12).counts == Counts(24, 24)
    assert build("quantum", 2, 4, layers=2).counts == Counts(4, 4)
    assert build("product", 2, 4).counts == Counts(2, 2)
    assert build("dephased", 2, 4, layers=3).counts == Counts(6, 6)
    assert build("constant", 2, 4).counts == Counts(4, 4)
    assert build("trig-product", 2, 4).counts == Counts(36, 36)
    # the paper's formula leaves an adapter out; it is there all the same
    assert build("quantum", 2, 4, layers=2, outcome_map="adapter").counts == Counts(4, 4 + 20)
    assert build("quantum", 2, 4, layers=2, readout="z").counts == Counts(4, 4 + 12)


@pytest.mark.parametrize(
    ("name", "d", "experts", "options", "multiply_adds", "circuits"),
    [
        ("constant", 2, 4, {}, 0, 0),
        ("linear", 2, 4, {}, 2 * 4, 0),
        ("mlp", 2, 4, {"hidden": 16}, 2 * 16 + 16 * 4, 0),
        # cc, cs, sc, ss are products; the row of ones is a bias
        ("trig-product", 2, 4, {}, 4 + 8 * 4, 0),
        ("trig-product", 1, 3, {"degree": 2}, 4 * 3, 0),
        ("trig-product", 3, 2, {}, (3 * 4 + 8) + 26 * 2, 0),
        # cos^2 of each bit; then pairs, then triples of bits
        ("product", 2, 4, {}, 2 + 4, 0),
        ("product", 3, 8, {}, 3 + 4 + 8, 0),
        # each wire of a layer: one square, and two products for each of four probabilities
        ("dephased", 2, 4, {"layers": 2}, 2 * 2 * (1 + 2 * 4), 0),
        # the wire is RX RZ RY RZ: three complex 2 x 2 gates meet two complex amplitudes
        ("dephased", 2, 4, {"ansatz": "notebook", "layers": 1}, 2 * (3 * 16 + 2 + 2 * 4), 0),
        # four RY on four real amplitudes, four squares
        ("quantum", 2, 4, {"layers": 2}, 4 * 2 * 4 + 4, 1),
        ("quantum", 2, 5, {"outcome_map": "adapter"}, 6 * 2 * 8 + 8 + 5 * 8, 1),
        ("quantum", 2, 4, {"readout": "z"}, 4 * 2 * 4 + 4 + 4 * 2, 1),
        # each of the twelve qubits in its own light cone, and still one circuit
        ("quantum", 12, 2, {"readout": "z", "layers": 1}, 12 * (1 * 2 * 2 + 2) + 2 * 12, 1),
        # the factors of two features, their product per term, the map to the experts
        ("low-rank-trig", 2, 4, {"rank": 3}, 2 * 2 * 3 + 3 + 3 * 4, 0),
        ("random-fourier", 2, 4, {"features": 8}, 2 * 8 + 8 * 4, 0),
        ("unentangled", 2, 4, {"layers": 3}, 2 * 2 * 4 + 4, 1),
        ("frozen-circuit", 2, 4, {"layers": 2}, 4 * 2 * 4 + 4 + 4 * 4, 1),
        ("subspace", 2, 4, {"base": "mlp:hidden=8", "dimension": 3}, 2 * 8 + 8 * 4, 0),
    ],
)
def test_costs_are_those_counted_by_hand(name, d, experts, options, multiply_adds, circuits):
    assert build(name, d, experts, **options).cost == Cost(multiply_adds, circuits)


@pytest.mark.parametrize("experts", range(1, 10))
def test_measured_qubits_by_default(experts):
    bits = max(1, math.ceil(math.log2(experts)))
    assert outcome_bits(experts) == bits
    router = QuantumRouter(2, experts, layers=1)
    assert router.circuit.measured == tuple(range(bits))
    assert router.circuit.num_qubits == max(2, bits)
    assert router(torch.zeros(1, router.size).double(), features(2, 1)).shape == (1, experts, 6)


def test_outcomes_feed_experts_modulo_their_number():
    wide = QuantumRouter(3, 8, layers=2)
    for experts in (2, 3, 5):
        narrow = QuantumRouter(3, experts, layers=2, measured=(0, 1, 2))
        w, x = torch.linspace(-2, 2, 6).double().unsqueeze(0), features(3, 1)
        p = wide(w, x)
        expected = torch.stack([p[:, e::experts].sum(1) for e in range(experts)], 1)
        torch.testing.assert_close(narrow(w, x), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["quantum", "dephased", "product"])
def test_warnings_of_uneven_experts_and_unseen_features(name):
    assert build(name, 2, 4).warnings == ()
    (uneven,) = build(name, 2, 3).warnings
    assert uneven == "4 outcomes over 3 experts: a uniform distribution favours the first experts"
    options = {} if name == "product" else {"layers": 2}
    (unseen,) = build(name, 8, 4, **options).warnings
    seen = {"quantum": 3, "dephased": 3, "product": 2}[name]
    assert unseen == f"only {seen} of 8 features lie in the measured light cone"


def test_readout_z_sees_every_feature():
    assert build("quantum", 8, 4, readout="z").warnings == ()


def test_qubits_without_a_feature_embed_nothing():
    router = build("quantum", 1, 4, layers=2)
    assert router.circuit.num_qubits == 2
    assert router.circuit.num_features == 1
    assert router.size == 4


@pytest.mark.parametrize(
    ("name", "d", "experts", "options", "message"),
    [
        ("quantun", 2, 4, {}, "did you mean 'quantum'"),
        ("quantum", 2, 4, {"layer": 2}, "did you mean 'layers'"),
        ("linear", 2, 4, {"hidden": 2}, "option 'hidden' of router 'linear'; expected no options"),
        ("quantum", 2, 4, {"num_experts": 2}, "option of router 'quantum': 'num_experts'"),
        ("quantum", 2, 4, {"layers": -1}, "number of layers -1"),
        ("quantum", 2, 4, {"layers": 0}, "number of layers 0"),
        ("dephased", 2, 4, {"layers": 0}, "number of layers 0"),
        ("mlp", 2, 4, {"hidden": 0}, "hidden units 0"),
        ("quantum", 2, 4, {"ansatz": "papper"}, "did you mean 'paper'"),
        ("quantum", 2, 4, {"entangler": "star"}, "expected one of chain, none, ring"),
        ("quantum", 2, 4, {"ansatz": "notebook", "entangler": "ring"}, "leave the entangler out"),
        ("quantum", 2, 4, {"readout": "x"}, "readout 'x'; expected one of probabilities, z"),
        ("quantum", 2, 4, {"outcome_map": "modullo"}, "did you mean 'modulo'"),
        ("quantum", 5, 4, {"num_qubits": 4}, r"more features than qubits \(5 > 4\).*PCA"),
        ("quantum", 1, 4, {"num_qubits": 1}, "4 experts on 1 qubits"),
        ("quantum", 2, 4, {"measured": (0,)}, "4 experts and 1 measured qubits"),
        ("quantum", 2, 4, {"measured": (0, 2)}, "measured qubit 2"),
        ("quantum", 2, 4, {"measured": (0, 0)}, "qubits that differ"),
        ("quantum", 30, 4, {"layers": 30}, "qubits in the light cone"),
        ("quantum", 2, 0, {}, "number of experts 0"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(name, d, experts, options, message):
    with pytest.raises(InputError, match=message) as caught:
        build(name, d, experts, **options)
    assert "\n" not in str(caught.value)


def test_a_map_that_the_readout_does_not_use_is_refused():
    with pytest.raises(InputError, match="outcome map"):
        build("quantum", 2, 4, readout="z", outcome_map="paritty")
    with pytest.raises(InputError, match="outcome map"):
        build("quantum", 2, 4, readout="z", outcome_map="parity")


@pytest.mark.parametrize("name", ["product", "dephased"])
def test_routers_without_an_adapter_do_not_offer_one(name):
    with pytest.raises(InputError) as caught:
        build(name, 2, 4, outcome_map="adapter")
    assert "expected one of marginal, modulo, parity" in str(caught.value)


@pytest.mark.parametrize("name", ROUTERS)
@pytest.mark.parametrize(("d", "experts"), [(2, 0), (0, 4), (-1, 4), (2, -1)])
def test_no_features_or_no_experts_is_no_router(name, d, experts):
    with pytest.raises(InputError):
        ModelSpec(name, d, 2, num_experts=experts).build()
