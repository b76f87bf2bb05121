"""The quantum router under noise: what it says, how it trains, how it is named and stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from qmoe import checkpoint
from qmoe.compiled import covers
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.routers import build
from qmoe.routers.base import AutogradGradient
from qmoe.routers.outcomes import outcome_matrix
from qmoe.routers.quantum import QuantumRouter
from qmoe.simulate import probabilities
from qmoe.simulate.noisy import NoisyProgram
from qmoe.spec import ModelSpec
from qmoe.texts import options
from qmoe.train import TrainConfig, train
from tests.qmoe.simulate import density
from tests.qmoe.test_checkpoint import made
from tests.qmoe.training import part, same_model, small

NOISE = "placement=gate,depolarizing=0.02"
READING = "placement=wire,depolarizing=0.03,read_1_of_0=0.02,read_0_of_1=0.1"
OPTIONS = {
    "probabilities": {},
    "modulo": {"measured": (1, 0), "layers": 3},
    "adapter": {"outcome_map": "adapter"},
    "z": {"readout": "z"},
    "notebook z": {"ansatz": "notebook", "readout": "z"},
    "reupload": {"ansatz": "reupload"},
}


def router(experts: int = 4, **given) -> QuantumRouter:
    made = build("quantum", 2, experts, **given)
    assert isinstance(made, QuantumRouter)
    return made


def draws(made: QuantumRouter, seeds: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Initial weights (seed, size) and features (1, 2, 5)."""
    rng = np.random.default_rng(1)
    weights = np.stack([made.init(rng) for _ in range(seeds)])
    return torch.from_numpy(weights), torch.from_numpy(rng.uniform(0, np.pi, (1, 2, 5)))


@pytest.mark.parametrize("simplified", [False, True])
@pytest.mark.parametrize("noise", [NOISE, READING, "over_rotation=0.1,crosstalk=0.1"])
@pytest.mark.parametrize("given", OPTIONS.values(), ids=OPTIONS.keys())
def test_outcomes_are_those_of_the_density_matrix_for_the_circuit_as_given(
    given, noise, simplified
):
    noisy = router(3, noise=noise, simplified=simplified, **given)
    weights, x = draws(noisy)
    circuit, model = noisy.circuit, NoiseModel.parse(options(noise, "noise"))
    steps = model.place(circuit.simplify() if simplified else circuit)
    measured = circuit.measured
    for s, row in enumerate(weights):
        angles, rest = row.numpy()[: circuit.num_weights], row.numpy()[circuit.num_weights :]
        p = density.probabilities(
            steps, 2, measured, angles, x[0].T.numpy(), model.confusion(measured)
        )
        if given.get("readout") == "z":
            bits = p.reshape(-1, 2, 2)
            z = [bits.sum(2)[:, 0] - bits.sum(2)[:, 1], bits.sum(1)[:, 0] - bits.sum(1)[:, 1]]
            p = np.stack(z, 1)
        if noisy.adapter:
            columns = p.shape[1]
            expected = p @ rest[: 3 * columns].reshape(3, columns).T + rest[3 * columns :]
        else:
            expected = p @ outcome_matrix("modulo", 3, 2).T
        got = noisy.forward(weights, noisy.prepare(x))[0]
        np.testing.assert_allclose(got[s].T, expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(noisy(weights, x)[s].T, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("noise", [NOISE, READING, "over_rotation=0.1"])
@pytest.mark.parametrize("given", OPTIONS.values(), ids=OPTIONS.keys())
def test_the_gradient_is_that_of_autograd(given, noise):
    noisy = router(noise=noise, **given)
    weights, x = draws(noisy)
    plain = AutogradGradient(noisy)
    out, saved = noisy.forward(weights, noisy.prepare(x))
    expected, kept = plain.forward(weights, x)
    grad = torch.linspace(-1, 2, out.numel()).double().view(out.shape).sin()
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(
        noisy.backward(weights, saved, grad),
        plain.backward(weights, kept, grad),
        rtol=0,
        atol=1e-12,
    )


def test_simplifying_first_meets_less_noise_and_changes_nothing_without():
    written, simple = router(noise=NOISE), router(noise=NOISE, simplified=True)
    weights, x = draws(written)
    ideal = router()(weights, x)
    far = [float((made(weights, x) - ideal).abs().sum(1).max()) for made in (written, simple)]
    assert 0.01 < far[1] < far[0] - 0.01
    torch.testing.assert_close(router(simplified=True)(weights, x), ideal, rtol=0, atol=1e-13)


@pytest.mark.parametrize("given", OPTIONS.values(), ids=OPTIONS.keys())
def test_a_model_without_any_noise_is_the_noise_free_router(given):
    plain, silent = router(**given), router(noise="placement=gate", **given)
    weights, x = draws(plain)
    torch.testing.assert_close(silent(weights, x), plain(weights, x), rtol=0, atol=1e-12)
    for name in ("label", "family", "size", "counts", "cost", "warnings", "circuit", "emits"):
        assert getattr(silent, name) == getattr(plain, name)
    (out, kept), (_, other) = (m.forward(weights, m.prepare(x)) for m in (plain, silent))
    grad = torch.ones_like(out).cumsum(1)
    found, expected = silent.backward(weights, other, grad), plain.backward(weights, kept, grad)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("text", [
    "", "gate", "depolarizing", "depolarizing=", "depolarizing=much", "depolarizing=2",
    "placement=everywhere", "depolarising=0.1", "px=0.1,px=0.1", "placement=wire,depolarizing2=0.1",
])  # fmt: skip
def test_a_text_that_is_no_noise_is_refused(text):
    with pytest.raises(InputError):
        router(noise=text)


def test_noise_is_text_and_the_flag_a_flag():
    for given in ({"noise": 0.02}, {"simplified": "yes"}):
        with pytest.raises(InputError, match="for router 'quantum'"):
            router(**given)


def test_an_unknown_option_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="depolarizing"):
        router(noise="depolarizin=0.1")


def test_a_placement_that_the_circuit_cannot_have_is_refused():
    # every ansatz has its marks; a circuit on more qubits than can be simulated is another matter
    assert router(noise="placement=notebook,depolarizing=0.1")
    with pytest.raises(InputError, match="at most 12 with noise"):
        build("quantum", 13, 4, layers=13, noise=NOISE)


# ---- another program


def test_a_router_runs_through_another_program():
    ideal = router(readout="z")
    noisy = router(readout="z", noise=READING)
    model = NoiseModel.parse(options(READING, "noise"))
    circuit = ideal.circuit
    program = NoisyProgram(
        model.place(circuit),
        circuit.measured,
        num_features=2,
        num_weights=circuit.num_weights,
        confusion=model.confusion(circuit.measured),
    )
    weights, x = draws(ideal)
    before = ideal(weights, x)
    through = ideal.through(program)
    torch.testing.assert_close(through(weights, x), noisy(weights, x), rtol=0, atol=1e-13)
    p = program(weights[:, : circuit.num_weights], x)
    torch.testing.assert_close(through(weights, x), ideal.from_outcomes(weights, p))
    assert torch.equal(ideal(weights, x), before)
    assert not torch.allclose(through(weights, x), before)
    # a noisy router goes through another program as the ideal one does
    again = noisy.through(program)
    torch.testing.assert_close(again(weights, x), noisy(weights, x), rtol=0, atol=1e-13)
    assert (through.label, through.cost, through.circuit) == (
        ideal.label,
        ideal.cost,
        ideal.circuit,
    )


@pytest.mark.parametrize("changes", [
    {"num_features": 3}, {"num_weights": 5}, {"measured": (0,)},
])  # fmt: skip
def test_a_program_of_another_shape_is_refused(changes):
    ideal = router()
    given = {"measured": (0, 1), "num_features": 2, "num_weights": 4} | changes
    with pytest.raises(InputError, match="expected 2, 4 and 4 as the router"):
        ideal.through(NoisyProgram(ideal.circuit.ops, **given))


# ---- models


SPECS = {
    "gate": ModelSpec("quantum", 2, 2, options={"noise": NOISE}),
    "z": ModelSpec("quantum", 2, 2, options={"noise": READING, "readout": "z"}),
    "temperature": ModelSpec("quantum", 2, 2, options={"noise": NOISE}, gate="temperature"),
    "coherent": ModelSpec(
        "quantum", 2, 2, options={"noise": "over_rotation=0.1", "simplified": True}
    ),
    "uploads": ModelSpec("quantum", 2, 2, options={"noise": NOISE, "ansatz": "reupload"}),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_the_kernel_does_not_cover_it(spec):
    model = spec.build()
    weights = torch.from_numpy(model.init(0, 0)[None])
    assert not covers(model, weights)
    config = TrainConfig(epochs=1, engine="compiled")
    data = small(1, 8, config)
    with pytest.raises(InputError, match="compiled"):
        train(model, data, None, config, root=0, seeds=[0])


@pytest.mark.parametrize(("name", "batch_size"), [("gate", 16), *((name, None) for name in SPECS)])
def test_seeds_train_together_as_they_train_alone_and_learn(name, batch_size):
    config = TrainConfig(epochs=9, batch_size=batch_size, evaluate_every=3)
    data, held_out = small(3, 40, config), small(3, 30, config, seed=1)
    model = SPECS[name].build()
    together = train(model, data, held_out, config, root=1, seeds=[4, 0, 9])
    for i, seed in enumerate([4, 0, 9]):
        alone = train(model, part(data, i), part(held_out, i), config, root=1, seeds=[seed])
        same_model(model, together.weights[i : i + 1], alone.weights, data.features[i : i + 1])
    loss = together.curve.train_loss
    assert (loss[-1] < loss[0] - 0.02).all()


def test_training_under_noise_follows_the_loss_under_noise():
    spec = SPECS["gate"]
    model = spec.build()
    config = TrainConfig(epochs=1)
    data = small(2, 30, config)
    weights = torch.from_numpy(np.stack([model.init(0, seed) for seed in (0, 1)]))
    targets = torch.nn.functional.one_hot(data.labels, 2).transpose(1, 2).double()
    found = model.gradient(weights, model.prepare(data.features), targets).to_weights
    direction = torch.from_numpy(np.random.default_rng(0).normal(size=weights.shape))
    step = 1e-5
    ends = [model.loss(weights + s * direction, data.features, targets) for s in (-step, step)]
    slope = (ends[1] - ends[0]) / (2 * step)
    torch.testing.assert_close((found * direction).sum(1), slope, rtol=0, atol=1e-8)
    # and the loss is that of the noisy distribution, by the plain function
    circuit, noise = model.router.circuit, NoiseModel(depolarizing=0.02)
    p = probabilities(circuit, weights[:, :4], data.features.transpose(1, 2), noise=noise)
    torch.testing.assert_close(
        model.output(weights, model.prepare(data.features)).gate_weights.transpose(1, 2),
        p,
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_descriptions_and_checkpoints_keep_the_noise(spec, tmp_path: Path):
    assert ModelSpec.from_dict(spec.to_dict()) == spec
    stored = made(spec)
    checkpoint.save(tmp_path / "model.safetensors", stored)
    back = checkpoint.load(tmp_path / "model.safetensors")
    assert back.spec == spec
    x = torch.linspace(0, 3, 10).double().view(1, 2, 5)
    weights = torch.from_numpy(stored.weights)[None]
    answers = [
        read.model().output(weights, read.model().prepare(x)).logits for read in (stored, back)
    ]
    torch.testing.assert_close(*answers, rtol=0, atol=0)
    ideal = replace(spec, options={"readout": spec.options.get("readout", "probabilities")})
    if spec.options.get("ansatz") is None:
        other = ideal.build().output(weights, ideal.build().prepare(x)).logits
        assert not torch.allclose(answers[0], other, atol=1e-4)
