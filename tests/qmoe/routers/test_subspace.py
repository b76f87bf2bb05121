"""Subspace training: the base's function on a few random directions, and nothing of it lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qmoe.checkpoint import Checkpoint, load, save
from qmoe.errors import InputError
from qmoe.provenance import capture
from qmoe.routers import build
from qmoe.routers.subspace import SubspaceRouter
from qmoe.scaling import Scaler
from qmoe.spec import ModelSpec
from qmoe.texts import name_and_options
from qmoe.train import TrainConfig, examples, train

BASES = {
    "linear": ("linear", {}, "linear"),
    "mlp": ("mlp", {"hidden": 3}, "mlp:hidden=3"),
    "quantum": ("quantum", {"layers": 2, "measured": (1, 0)}, "quantum:layers=2:measured=1/0"),
    "dephased": ("dephased", {"layers": 2}, "dephased:layers=2"),
}


def pair(name: str, dimension: int, seeds: int = 3):
    """A base, its subspace router and weights of both from the same draws."""
    router_name, options, text = BASES[name]
    base = build(router_name, 2, 4, **options)
    router = build("subspace", 2, 4, base=text, dimension=dimension)
    assert isinstance(router, SubspaceRouter)
    of_base, weights = (
        torch.from_numpy(np.stack([r.init(np.random.default_rng(s)) for s in range(seeds)]))
        for r in (base, router)
    )
    return base, router, of_base, weights


def parts(weights: torch.Tensor, dimension: int, size: int):
    """z, theta_0 and A of every seed, by the documented order."""
    z, start, directions = weights.split((dimension, size, size * dimension), 1)
    return z, start, directions.reshape(len(weights), size, dimension)


def points(lead: int = 1, batch: int = 7) -> torch.Tensor:
    rng = np.random.default_rng(lead)
    return torch.from_numpy(rng.uniform(0, np.pi, size=(lead, 2, batch)))


@pytest.mark.parametrize("name", BASES)
def test_it_starts_as_its_base_does(name):
    base, router, of_base, weights = pair(name, 2)
    z, start, directions = parts(weights, 2, base.size)
    assert (z == 0).all()
    assert torch.equal(start, of_base)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(3, 2).double())
    assert torch.equal(router(weights, points()), base(of_base, points()))
    assert (router.emits, router.warnings, router.cost) == (base.emits, base.warnings, base.cost)
    assert router.label == f"subspace 2 of {base.label}"
    assert router.counts == (2, 2, base.size * 3)


@pytest.mark.parametrize("lead", [1, 3])
@pytest.mark.parametrize("name", BASES)
def test_output_and_gradient_are_those_of_the_base_along_the_directions(name, lead):
    base, router, _, weights = pair(name, 3)
    weights[:, :3] = torch.from_numpy(np.random.default_rng(4).normal(size=(3, 3)))
    z, start, directions = parts(weights, 3, base.size)
    leaf = z.clone().requires_grad_()
    expected = base(start + (directions @ leaf.unsqueeze(2)).squeeze(2), points(lead))
    out, kept = router.forward(weights, router.prepare(points(lead)))
    torch.testing.assert_close(out, expected.detach(), rtol=0, atol=1e-13)
    grad = torch.from_numpy(np.random.default_rng(2).normal(size=tuple(out.shape)))
    (to_z,) = torch.autograd.grad(expected, leaf, grad)
    found = router.backward(weights, kept, grad)
    torch.testing.assert_close(found[:, :3], to_z, rtol=0, atol=1e-12)
    assert to_z.abs().min() > 1e-6
    assert (found[:, 3:] == 0).all()


@pytest.mark.parametrize("name", BASES)
def test_as_many_directions_as_weights_reach_every_function_of_the_base(name):
    base, _, of_base, _ = pair(name, 1)
    _, router, _, weights = pair(name, base.size)
    wanted = of_base.roll(1, 0)  # those of another seed
    _, start, directions = parts(weights, base.size, base.size)
    weights[:, : base.size] = torch.linalg.solve(directions, wanted - start)
    found, expected = router(weights, points()), base(wanted, points())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert (found - base(of_base, points())).abs().max() > 0.01


def test_the_scale_is_that_of_the_base_and_leaves_the_directions():
    base, router, *_ = pair("mlp", 2)
    draws = [router.init(np.random.default_rng(1), scale) for scale in (1.0, 0.1)]
    (_, start, directions), (_, scaled, same) = (
        parts(torch.from_numpy(w[None]), 2, base.size) for w in draws
    )
    torch.testing.assert_close(scaled, 0.1 * start, rtol=1e-15, atol=0)
    assert torch.equal(directions, same)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_it_has_as_many_trainable_numbers_as_a_circuit(layers):
    circuit = build("quantum", 2, 4, layers=layers)
    router = build("subspace", 2, 4, dimension=circuit.size)
    assert router.counts.actual == circuit.counts.actual == 2 * layers
    assert router.label == f"subspace {2 * layers} of MLP h=16"


@pytest.mark.parametrize("base", ["mlp:hidden=4", "quantum:layers=2"])
def test_training_lowers_the_loss_and_moves_no_frozen_number(base):
    rng = np.random.default_rng(1)
    x = rng.uniform(0, np.pi, size=(2, 2, 60))
    config = TrainConfig(epochs=60, evaluate_every=1)
    data = examples(x, (x[:, 0] > x[:, 1]).astype(np.int64), config)
    model = ModelSpec("subspace", 2, 2, 4, {"base": base, "dimension": 3}).build()
    result = train(model, data, None, config, root=0, seeds=(0, 1))
    start = torch.from_numpy(np.stack([model.init(0, seed) for seed in (0, 1)]))
    size = model.router.size
    assert (result.curve.train_loss[-1] < result.curve.train_loss[0] - 0.1).all()
    assert (result.weights[:, :3].abs() > 1e-3).all()
    assert torch.equal(result.weights[:, 3:size], start[:, 3:size])
    assert model.parameters == 3 + model.experts.size == model.size - size + 3


def test_a_checkpoint_holds_all_that_its_predictions_need(tmp_path):
    name, options = name_and_options("subspace,base=mlp:hidden=3,dimension=2", "router")
    spec = ModelSpec(name, 2, 2, 4, options)
    X = np.random.default_rng(0).normal(size=(20, 2))
    weights = spec.build().init(0, 0)
    weights[:2] = (0.3, -0.7)
    checkpoint = Checkpoint(
        spec=spec,
        weights=weights,
        scaler=Scaler.fit(X, "standard"),
        classes=("a", "b"),
        seed=0,
        dataset="none",
        dataset_digest="0",
        metrics={},
        provenance=capture(0),
    )
    save(tmp_path / "one", checkpoint)
    again = load(tmp_path / "one")
    assert again.spec == spec
    np.testing.assert_array_equal(again.predict_proba(X), checkpoint.predict_proba(X))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "subspace"}, "base 'subspace' of a subspace"),
        ({"base": "subspace:base=mlp"}, "name the router itself"),
        ({"base": "frozen-circuit"}, "base 'frozen-circuit' with 4 frozen numbers"),
        ({"base": "linear", "dimension": 13}, "13 of linear; expected at most its 12 weights"),
        ({"dimension": 0}, "subspace dimension 0"),
        ({"dimension": 2.0}, "dimension=2.0"),
        ({"base": "mpl"}, "did you mean 'mlp'"),
        ({"base": "mlp:hiden=3"}, "did you mean 'hidden'"),
        ({"base": "mlp:hidden=a"}, "hidden='a' for router 'mlp'"),
        ({"base": "mlp:hidden"}, "expected key=value"),
        ({"base": "quantum:layers=0"}, "number of layers 0"),
        ({"bas": "mlp"}, "did you mean 'base'"),
    ],
)
def test_what_is_no_subspace_is_refused_in_one_line(options, message):
    with pytest.raises(InputError, match=message) as caught:
        build("subspace", 2, 4, **options)
    assert "\n" not in str(caught.value)
