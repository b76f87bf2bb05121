"""Disturbances: physical, the same everywhere on a device, and hidden from what compile says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import load
from backends.base import Exact, compiled
from backends.conformance import checks
from backends.conformance.bench import Bench
from backends.conformance.predict import predicted
from backends.conformance.suite import outcomes
from backends.disturb import (
    Crosstalk,
    Disturbance,
    Disturbed,
    Drift,
    OverRotation,
    PairedReadout,
    disturbed,
    parse_disturbances,
    written,
)
from backends.effects import strong
from qmoe import channels, readout
from qmoe.ansatz import paper, reupload
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from tests.backends.planted import QUBITS, Sound
from tests.qmoe.simulate.density import probabilities
from tests.qmoe.strategies import spread

ALL = (Drift(0.5, 3), Crosstalk(0.1), OverRotation(0.05, 0.02), PairedReadout(0.02))
NAMED = [pytest.param(each, id=type(each).__name__) for each in ALL]
MODEL = NoiseModel(
    depolarizing=0.01, depolarizing2=0.03, amplitude_damping=0.02, over_rotation2=0.04,
    read_1_of_0=0.02, read_0_of_1=0.07,
)  # fmt: skip


def placed(circuit: Circuit, model: NoiseModel = MODEL, names: str = "abcdefg"):
    """The circuit as given with the noise of a model, on qubits with letters for names."""
    return compiled(
        "modelled",
        circuit,
        names[: circuit.num_qubits],
        noisy=model.place(circuit),
        confusion=model.confusion(circuit.measured),
    )


def choi(channel: Channel) -> np.ndarray:
    """Eigenvalues of sum_ij |i><j| (x) E(|i><j|), by what the map does to matrix units."""
    k = len(channel.qubits)
    paulis = [np.eye(2), [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]]
    strings = [np.eye(1)]
    for _ in range(k):
        strings = [np.kron(s, p) for s in strings for p in paulis]
    out = np.zeros((4**k, 4**k), complex)
    for i in range(2**k):
        for j in range(2**k):
            unit = np.zeros((2**k, 2**k))
            unit[i, j] = 1
            r = channel.ptm @ [np.trace(s @ unit) for s in strings]
            image = sum(c * s for c, s in zip(r, strings, strict=True)) / 2**k
            out += np.kron(unit, image)
    return np.linalg.eigvalsh(out)


def physical(found) -> None:
    """Completely positive, trace preserving, stochastic, and within what JSON may hold."""
    for step in found.noisy:
        if isinstance(step, Channel):
            assert choi(step).min() > -1e-9
            np.testing.assert_allclose(step.ptm[0], np.eye(1, len(step.ptm))[0], atol=1e-12)
    if found.confusion is not None:
        assert found.confusion.min() >= 0
        np.testing.assert_allclose(found.confusion.sum(0), 1, atol=1e-12)
    assert type(found).from_json(found.to_json()) == found


@pytest.mark.parametrize("disturbance", NAMED)
def test_a_disturbed_device_is_physical(disturbance):
    assert isinstance(disturbance, Disturbance)
    before = placed(paper(3, 2, measured=(2, 0)))
    after = disturbance.on(before)
    physical(after)
    assert after != before and after.native == before.native
    assert after.spec == f"modelled~{disturbance}"
    same = ("native", "physical", "depth", "two_qubit_gates", "calibrated_at", "template")
    assert all(getattr(after, name) == getattr(before, name) for name in same)
    product = np.mean(np.diag(after.confusion))
    for step in after.noisy:
        if isinstance(step, Channel):
            product *= np.trace(step.ptm) / len(step.ptm)
    assert after.expected_fidelity == pytest.approx(product)


@given(st.floats(0, 6), st.floats(0, 0.3), st.floats(0, 0.3), st.floats(-0.5, 0.5))
def test_any_strength_of_a_channel_is_a_channel(factor, loss, damping, angle):
    for ptm in (
        channels.pauli(0, loss, loss, 0.0).ptm,  # no root of it is a channel
        channels.amplitude_damping(0, damping, 0.1).ptm,
        channels.rotation(0, "x", angle).ptm @ channels.phase_damping(0, loss).ptm,
        channels.cz_rotation((0, 1), angle).ptm @ channels.depolarizing((0, 1), loss).ptm,
    ):
        qubits = tuple(range(len(ptm).bit_length() // 2))
        found = Channel(qubits, strong(ptm, factor))
        assert choi(found).min() > -1e-12


@given(st.floats(0, 6), st.floats(0, 1), st.floats(0, 1))
def test_any_strength_of_a_misreading_is_stochastic(factor, up, down):
    found = strong(readout.independent([up], [down]), factor)
    assert found.min() >= 0 and np.allclose(found.sum(0), 1)


def test_strength_multiplies_a_small_error():
    for factor in (0.0, 0.3, 1.0, 1.7, 2.0, 3.4):
        ptm = strong(channels.depolarizing((0,), 1e-5).ptm, factor)
        assert 1 - ptm[1, 1] == pytest.approx(factor * 4e-5 / 3, rel=1e-3)
    ptm = channels.amplitude_damping(0, 0.2).ptm
    np.testing.assert_allclose(strong(ptm, 1.0), ptm)
    np.testing.assert_allclose(strong(ptm, 2.0), ptm @ ptm)
    np.testing.assert_allclose(strong(ptm, 2 - 1e-9), ptm @ ptm, atol=1e-8)


@pytest.mark.parametrize(
    "disturbance", [Drift(0.0, 5), Crosstalk(0.0), OverRotation(0.0), PairedReadout(0.0)]
)
def test_a_disturbance_of_strength_0_changes_nothing(disturbance):
    before = placed(paper(3, 2))
    after = disturbance.on(before)
    assert len(after.noisy) == len(before.noisy)
    for one, other in zip(after.noisy, before.noisy, strict=True):
        if isinstance(one, Channel):
            assert one.qubits == other.qubits
            np.testing.assert_allclose(one.ptm, other.ptm, atol=1e-15)
        else:
            assert one == other
    np.testing.assert_allclose(after.confusion, before.confusion, atol=1e-15)


@pytest.mark.parametrize(
    ("disturbance", "change"),
    [
        (OverRotation(0.05, 0.03), {"over_rotation": 0.05, "over_rotation2": 0.03}),
        (OverRotation(0.0, -0.1), {"over_rotation2": -0.1}),
        (Crosstalk(0.1), {"crosstalk": 0.1}),
        (PairedReadout(0.02), {"readout_pair": 0.02}),
    ],
)
@pytest.mark.parametrize("readout_error", [0.0, 0.03])
def test_what_a_noise_model_has_too_is_the_same_there(disturbance, change, readout_error):
    ops = [Op("sx", (1,)), Op("rz", (1,), (Feature(0),)), Op("phased_xz", (0,), (Feature(0), 1, 2))]
    circuit = paper(4, 2, measured=(1, 0, 3))  # a chain: indices are neighbours
    circuit = replace(circuit, ops=(*ops, *circuit.ops, *ops))
    model = NoiseModel(depolarizing=0.02, read_1_of_0=readout_error)
    found = disturbance.on(placed(circuit, model))
    wanted = replace(model, **change)
    assert found.noisy == wanted.place(circuit)
    expected = wanted.confusion(circuit.measured)
    if expected is None:
        assert found.confusion is None
    else:
        np.testing.assert_allclose(found.confusion, expected, atol=1e-15)


def test_crosstalk_goes_by_couplings_not_by_indices():
    ops = (Op("cz", (0, 2)), Op("sx", (1,)), Op("cz", (3, 2)), Op("cz", (0, 2)))
    found = Crosstalk(0.1).on(placed(Circuit(4, ops, (0,)), NoiseModel()))
    pairs = [s.qubits for s in found.noisy if isinstance(s, Channel)]
    assert pairs == [(2, 3), (2, 0), (2, 3)]
    two = placed(paper(2, 2))
    assert Crosstalk(0.1).on(two).noisy == two.noisy


def drifted(channel: Channel, before: Channel) -> float:
    """The factor of a depolarizing channel's strength, where it is at most 1."""
    return (1 - channel.ptm[1, 1]) / (1 - before.ptm[1, 1])


def factors(found, before) -> dict[tuple[str, ...], set[float]]:
    """The factors that the channels on each set of physical qubits have got."""
    seen: dict[tuple[str, ...], set[float]] = {}
    for one, other in zip(found.noisy, before.noisy, strict=True):
        if isinstance(one, Channel):
            key = tuple(sorted(found.physical[q] for q in one.qubits))
            seen.setdefault(key, set()).add(round(drifted(one, other), 6))
    return seen


def test_a_drift_is_one_of_the_device_in_every_circuit():
    model = NoiseModel(depolarizing=1e-6, read_1_of_0=0.02, read_0_of_1=0.07)
    drift = Drift(0.5, 7)
    native = paper(3, 2).bind_weights([0.1] * 6)
    twirled = replace(native, ops=(Op("x", (1,)), *native.ops[:5], Op("y", (2,)), *native.ops[5:]))
    flipped = Circuit(3, (Op("x", (0,)), Op("x", (2,))), native.measured)
    turned = replace(  # the same gates on other native numbers, as another layout has them
        native, ops=tuple(replace(op, qubits=tuple(2 - q for q in op.qubits)) for op in native.ops)
    )
    swapped = replace(native, ops=tuple(replace(op, qubits=op.qubits[::-1]) for op in native.ops))
    seen: dict[tuple[str, ...], set[float]] = {}
    confusions = []
    for circuit, names in (
        *((native.folded(scale), "abc") for scale in (1, 3, 5)),
        *((each, "abc") for each in (twirled, flipped, swapped)),
        (turned, "cba"),
    ):
        before = placed(circuit, model, names)
        after = drift.on(before)
        for key, values in factors(after, before).items():
            seen.setdefault(key, set()).update(values)
        if names == "abc":
            confusions.append(after.confusion)
    assert set(seen) == {("a",), ("b",), ("c",), ("a", "b"), ("b", "c")}
    assert all(len(values) == 1 for values in seen.values())  # one factor each, wherever it stands
    assert len({v for values in seen.values() for v in values}) == len(seen)  # and its own
    for confusion in confusions[1:]:
        np.testing.assert_array_equal(confusion, confusions[0])


def test_a_drift_is_log_normal_over_days_and_qubits():
    before = placed(
        Circuit(1, (Op("x", (0,)),), (0,)), NoiseModel(depolarizing=1e-7, read_1_of_0=1e-7)
    )
    gates, reads = [], []
    for day in range(400):
        after = Drift(0.3, day).on(before)
        gates.append(drifted(after.noisy[1], before.noisy[1]))
        reads.append(after.confusion[1, 0] / before.confusion[1, 0])
    for logs in (np.log(gates) / 0.3, np.log(reads) / 0.3):
        # standard normal: mean and variance within 5 of their standard errors
        assert abs(logs.mean()) < 5 / np.sqrt(400)
        assert abs(logs.var() - 1) < 5 * np.sqrt(2 / 400)
    assert abs(np.corrcoef(gates, reads)[0, 1]) < 5 / np.sqrt(400)
    assert Drift(0.3, 4).on(before) == Drift(0.3, 4).on(before) != Drift(0.3, 5).on(before)


def test_a_drift_scales_each_misreading_of_independent_qubits():
    circuit = paper(2, 1)
    confusion = readout.independent([0.01, 0.03], [0.02, 0.05])
    before = replace(placed(circuit, NoiseModel()), confusion=confusion)
    found = Drift(0.2, 1).on(before).confusion.reshape(2, 2, 2, 2)
    each = [found.sum(1)[:, :, 0], found.sum(0)[:, 0, :]]  # of one qubit while the other is 0
    np.testing.assert_allclose(np.kron(*each), found.reshape(4, 4), atol=1e-12)
    ratios = [m[1, 0] / up for m, up in zip(each, (0.01, 0.03), strict=True)]
    assert ratios[0] != pytest.approx(ratios[1], abs=1e-3)
    assert each[0][0, 1] / 0.02 == pytest.approx(ratios[0], rel=0.03)


def test_a_drift_of_correlated_confusion_stays_stochastic_and_correlated():
    before = placed(paper(3, 1), NoiseModel(readout_pair=0.05, read_1_of_0=0.02))
    after = Drift(0.5, 2).on(before)
    physical(after)
    ratio = after.confusion[0b011, 0] / before.confusion[0b011, 0]
    assert ratio == pytest.approx(after.confusion[0b110, 0] / before.confusion[0b110, 0], rel=0.01)
    assert abs(ratio - 1) > 0.01


def test_the_disturbed_target_answers_as_its_disturbed_noise_says():
    inner = Sound()
    backend = Disturbed(inner, ALL)
    assert isinstance(backend, Exact) and backend.source == "synthetic"
    circuit = reupload(3, 2, measured=(2, 0))
    rng = np.random.default_rng(4)
    weights = rng.uniform(-3, 3, circuit.num_weights)
    x = rng.uniform(-3, 3, (3, 3))
    found = backend.compile(circuit).bind_weights(weights)
    told = inner.compile(circuit).bind_weights(weights)
    assert found == replace(told, spec=backend.spec)  # calibration A is all that anybody sees
    assert backend.emit(found.native, found).noisy == told.noisy
    real = disturbed(told, ALL)
    expected = probabilities(real.noisy, 3, real.native.measured, weights, x, real.confusion)
    answered = backend.probabilities(found, x)
    assert spread(answered, expected) < 1e-12
    assert np.abs(answered - predicted(found, x)).sum(1).max() > 1e-2
    counts = backend.run(found, x, 4000, seed=2)
    # total variation of 4000 shots: mean <= sqrt(outcomes / shots) / 2, and by McDiarmid above
    # that by t with chance exp(-2 * 4000 t^2), 3e-9 for t = .05
    assert np.abs(counts / 4000 - expected).sum(1).max() / 2 < np.sqrt(4 / 4000) / 2 + 0.05


def test_an_undisturbed_target_is_a_sound_backend():
    backend = Disturbed(Sound(), ())
    assert backend.spec == "planted~none"
    known = [check for check in checks() if check.name != "noise of the spec"]  # names no model
    found = tuple(outcomes(Bench(backend, qubits=QUBITS), known))
    assert {o.name: o.seen for o in found if o.status == "failed"} == {}
    assert {o.name for o in found if o.status == "not applicable"} == {"options refused"}


# what a disturbed target must do all the same; the others compare answers with what compile says
STILL = (
    *("width refused", "native equals circuit", "noise is on native", "figures"),
    *("json round trip", "compiles alike", "template is kept", "emit changes nothing"),
    *("probabilities are rows", "free weights refused", "features refused", "shots refused"),
    *("batch lengths", "row sums", "seeds", "row streams"),
)


@pytest.mark.usefixtures("unchecked")
def test_a_disturbed_target_is_one_but_for_its_noise():
    backend = Disturbed(Sound(), ALL)
    known = {check.name: check for check in checks()}
    bench = Bench(backend, qubits=QUBITS)
    found = tuple(outcomes(bench, [known[name] for name in STILL]))
    assert {o.name: o.seen for o in found if o.status != "passed"} == {}
    (told,) = outcomes(bench, [known["random circuits"]])
    assert told.status == "failed"  # it does what its calibration does not say


class Unknown(Sound):
    """A target without a calibration."""

    def made(self, native, physical):
        return compiled(self.spec, native, physical, noisy=None)


def test_a_target_without_a_calibration_cannot_be_disturbed():
    with pytest.raises(InputError, match="no calibration"):
        Disturbed(Unknown(), ALL).compile(paper(2, 1))
    for each in ALL:
        with pytest.raises(InputError, match="does not say what its noise is"):
            each.on(Unknown().compile(paper(2, 1)))


@pytest.mark.parametrize("disturbance", [*NAMED, OverRotation(0.0, 0.1), Drift(0.2)])
def test_the_text_of_a_disturbance_reads_back(disturbance):
    assert parse_disturbances(str(disturbance)) == (disturbance,)


def test_texts_join_in_order():
    assert parse_disturbances(written(ALL)) == ALL
    assert parse_disturbances("none") == () and written(()) == "none"
    assert str(Drift(0.3)) == "drift=0.3" and str(Drift(0.3, 1)) == "drift=0.3,seed=1"
    both = disturbed(placed(paper(2, 1)), ALL[:2])
    assert both.spec == "modelled~drift=0.5,seed=3+crosstalk=0.1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drfit=0.3", "did you mean 'drift'"),
        ("drift=0.3,sede=1", "did you mean 'seed'"),
        ("drift=0.3,crosstalk=1", "option of drift 'crosstalk'"),
        ("drift", "drift=VALUE once"),
        ("drift=", "drift=VALUE once"),
        ("drift=0.3,drift=0.3", "drift=VALUE once"),
        ("seed=1", "drift=VALUE too"),
        ("drift=much", "numbers"),
        ("drift=0.3,seed=1.5", "the seed a whole one"),
        ("drift=-0.1", "drift -0.1"),
        ("drift=inf", "inf"),
        ("drift=0.1,seed=-1", "seed of drift -1"),
        ("crosstalk=nan", "nan"),
        ("over_rotation=inf", "inf"),
        ("readout_pair=1.5", "0 <= p <= 1"),
        ("drift=0.3+", "got disturbance ''"),
        ("", "got disturbance ''"),
    ],
)
def test_bad_texts_are_refused_in_one_line(text, message):
    with pytest.raises(InputError) as caught:
        parse_disturbances(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


DEVICES = [
    pytest.param(spec, marks=pytest.mark.xdist_group(spec.partition(":")[0]))
    for spec in ("ibm:fake_boston", "cirq:willow_pink", "braket:emulator")
]


@pytest.mark.parametrize("spec", DEVICES)
def test_a_device_is_disturbed_alike_in_its_folds(spec):
    inner = load(spec)
    found = inner.compile(paper(3, 2, measured=(0, 1)).bind_weights([0.3] * 6))
    folded = inner.emit(found.native.folded(3), found)
    drift, x = Drift(0.4, 1), np.zeros((1, 3))
    for each in (found, folded):
        physical(disturbed(each, ALL))
    # a channel of the calibration has one drifted form, wherever it stands
    forms: dict[Channel, set[bytes]] = {}
    for each in (found, folded):
        for before, after in zip(each.noisy, drift.on(each).noisy, strict=True):
            if isinstance(before, Channel):
                forms.setdefault(before, set()).add((after.ptm.round(9) + 0.0).tobytes())
    assert all(len(several) == 1 for several in forms.values())
    lost = [predicted(disturbed(each, ALL), x) for each in (found, folded)]
    assert np.abs(lost[0] - lost[1]).sum() > 1e-3
