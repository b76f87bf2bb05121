"""Noise over the project's history: what it takes from a trained router, and whether it is there.

Accuracy that noise takes away is lower when noise gets lost, so two distances watch the noise
itself: to a closed form, and from a device's twin to the vendor's own simulation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.common import Cache, backend, collected, needed, one_thread, thinned, told
from benchmarks.stored import DATA, QUANTUM, Stored, load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAMES = tuple(DATA)
PLACEMENTS = ("gate", "wire", "layer", "end", "notebook")
STRENGTHS = (0.01, 0.02, 0.05)
STEP, MOST = 0.01, 0.5  # of the strengths that a tolerance is looked for among
MARGIN = 0.05  # accuracy that a tolerated strength may take away
SNAPSHOTS = tuple(
    f"ibm:fake_{name}"
    for name in (
        *("aachen", "algiers", "athens", "auckland", "belem", "berlin", "bogota", "boston"),
        *("brisbane", "brooklyn", "brussels", "cairo", "casablanca", "cusco", "fez", "geneva"),
        *("guadalupe", "hanoi", "jakarta", "kawasaki", "kingston", "kolkata", "kyiv", "lagos"),
        *("lima", "manhattan", "manila", "marrakesh", "melbourne", "miami", "montreal", "mumbai"),
        *("nairobi", "osaka", "oslo", "ourense", "paris", "peekskill", "perth", "pittsburgh"),
        *("prague", "quebec", "quito", "rome", "santiago", "sherbrooke", "strasbourg", "sydney"),
        *("torino", "toronto", "valencia", "vigo", "washington", "yorktown"),
    )
)
DEVICES = (*thinned(SNAPSHOTS, 2), *thinned(("cirq:willow_pink", "braket:emulator")))
TREATMENTS = ("none", "readout", "zne", "readout+zne")
INPUTS = 100
TURN = 0.7  # radians: any value that is no multiple of a right angle
DIGITS = 6  # of a distance or a share: below is rounding


class AddedError:
    """Error rate under depolarizing noise minus that without, the router trained without noise.

    Stored weights, the mean over the seeds; the strength is the probability of a Pauli error at
    each place. Below zero noise corrects more answers than it spoils.
    """

    version = "1"
    unit = "error rate"
    timeout = 60.0
    deterministic = True
    param_names = ("data", "placement", "strength")
    params = (thinned(_NAMES, 2), thinned(PLACEMENTS), thinned(STRENGTHS))

    def setup_cache(self) -> Cache:
        return collected(self.params, _added)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_error(self, cache: Cache, *which: Any) -> Any:
        return cache[which]


class LostTolerance:
    """0.5 minus the strength of depolarizing noise up to which accuracy falls by at most 0.05.

    Strengths in steps of 0.01 up to 0.5; stored weights, accuracy the mean over the seeds. At 0
    no strength takes more.
    """

    version = "1"
    unit = "strength"
    timeout = 60.0
    deterministic = True
    param_names = ("data", "placement")
    params = (thinned(_NAMES, 3), thinned(PLACEMENTS))

    def setup_cache(self) -> Cache:
        return collected(self.params, _lost_tolerance)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_strength(self, cache: Cache, *which: Any) -> Any:
        return cache[which]


class OnDevice:
    """What a device's calibrated noise takes from a trained router, raw and mitigated.

    1 - R, R the share of the routing's gain over equal gate weights that is kept; and the mean
    total variation from the ideal router's outcomes. Stored weights of Two Moons, 100 held-out
    rows, exact probabilities clipped to the nearest distribution, the mean over the seeds.
    """

    version = "1"
    timeout = 60.0
    deterministic = True
    param_names = ("target", "treatment")
    params = (DEVICES, thinned(TREATMENTS))

    def setup_cache(self) -> Cache:
        return collected(self.params, _lost_on_device)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_lost_retention(self, cache: Cache, *which: Any) -> Any:
        return cache[which][0]

    def track_total_variation(self, cache: Cache, *which: Any) -> Any:
        return cache[which][1]


OnDevice.track_lost_retention.unit = "1 - R"  # type: ignore[attr-defined]
OnDevice.track_total_variation.unit = "total variation"  # type: ignore[attr-defined]


class TwinToVendor:
    """Total variation between a device's twin and the vendor's own noisy simulation.

    The largest of five inputs, exact probabilities, in steps of 1e-6.
    """

    version = "1"
    unit = "total variation"
    timeout = 60.0
    deterministic = True
    param_names = ("target", "circuit")
    params = (DEVICES, thinned(("paper n=3 L=2", "reupload n=2 L=2")))

    def setup_cache(self) -> Cache:
        return collected(self.params, _twin_to_vendor)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_distance(self, cache: Cache, *which: Any) -> Any:
        return cache[which]


class ToClosedForm:
    """Largest distance of the noisy engine from a closed form, one qubit, depolarizing noise.

    RY rotations keep the Bloch vector in a plane, and each of k channels of strength p shortens
    it to 1 - 4p/3 (Nielsen and Chuang, section 8.3.4): P(0) = (1 + (1 - 4p/3)^k cos t) / 2 with
    t the sum of all angles. In steps of 1e-6.
    """

    version = "1"
    unit = "probability"
    timeout = 60.0
    deterministic = True
    param_names = ("placement",)
    params = (thinned(PLACEMENTS),)

    def setup_cache(self) -> Cache:
        return collected(self.params, _to_closed_form)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_distance(self, cache: Cache, *which: Any) -> Any:
        return cache[which]


def _added(data: str, placement: str, strength: float) -> float:
    stored = _stored(data)
    return _error(stored, placement, strength) - _error(stored, placement, 0.0)


def _lost_tolerance(data: str, placement: str) -> float:
    stored = _stored(data)
    most = _error(stored, placement, 0.0) + MARGIN
    for step in range(1, round(MOST / STEP) + 1):
        if _error(stored, placement, step * STEP) > most:
            return round(MOST - (step - 1) * STEP, DIGITS)
    return 0.0


def _error(stored: Stored, placement: str, strength: float) -> float:
    """Error rate of the quantum router under noise, the mean over the seeds."""
    noise = {"noise": f"placement={placement},depolarizing={strength!r}"} if strength else {}
    errors = stored.errors(QUANTUM, noise)
    return sum(errors) / len(errors)


def _stored(data: str) -> Stored:
    """The stored weights, on a commit that can evaluate them under noise."""
    for path in (
        "qmoe.predict:evaluate",
        "qmoe.spec:ModelSpec",
        "qmoe.simulate.noisy:NoisyProgram",
    ):
        needed(path)
    one_thread()
    return load(data)


def _lost_on_device(target: str, treatment: str) -> tuple[float, float]:
    """1 - R and total variation."""
    retained, apart = [], []
    for routed, X, y, ideal, found in _on_device(target, treatment):
        answers = (routed.answer(X, ideal), routed.answer(X, found), routed.even(X))
        exact, kept, even = ((a.probabilities.argmax(1) == y).mean() for a in answers)
        retained.append((kept - even) / (exact - even))
        apart.append(abs(found - ideal).sum(1).mean() / 2)
    lost = 1 - sum(retained) / len(retained)
    return round(float(lost), DIGITS), round(float(sum(apart) / len(apart)), DIGITS)


def _on_device(
    target: str, treatment: str
) -> Iterator[tuple[Any, NDArray[np.float64], NDArray[np.int64], Any, Any]]:
    """Of each seed: the router, scaled rows, labels, ideal outcomes, those of the target."""
    import numpy as np

    execute, routed_circuit = (
        needed("backends.execute:execute"),
        needed("qmoe.routed:RoutedCircuit"),
    )
    treated = needed("backends.mitigation:load")(treatment)
    device, ideal = backend(target), backend("reference")
    one_thread()
    stored = load("moons-0.1")
    for model, rows, labels in zip(stored.routers[QUANTUM], stored.X, stored.y, strict=True):
        routed = routed_circuit(model.build(), np.array(model.weights))
        X, y = model.scaled(rows[:INPUTS]), np.array(labels[:INPUTS])
        features = routed.features(X)
        exact = ideal.probabilities(ideal.compile(routed.template), features)
        compiled = device.compile(routed.circuit).bind_weights(routed.angles)
        found = execute(device, compiled, treated, features, None, 0).probabilities
        yield routed, X, y, exact, found


def _twin_to_vendor(target: str, circuit: str) -> float:
    import numpy as np

    one_thread()
    name, qubits, layers = circuit.split()
    ansatz = needed(f"qmoe.ansatz:{name}")(int(qubits[2:]), int(layers[2:]))
    weights = np.linspace(-TURN, 4 * TURN, ansatz.num_weights)
    features = np.linspace(-3, 3, 5 * ansatz.num_features).reshape(5, -1)
    vendor, twin = (
        each.probabilities(each.compile(ansatz).bind_weights(weights), features)
        for each in (backend(target), backend(f"twin:{target}"))
    )
    return round(float(abs(vendor - twin).sum(1).max() / 2), DIGITS)


def _to_closed_form(placement: str) -> float:
    import torch

    layers = 3
    channels = {"gate": layers + 1, "wire": layers + 1, "layer": layers, "end": 1, "notebook": 2}
    circuit = needed("qmoe.ansatz:paper")(1, layers)
    needed("qmoe.simulate.noisy:NoisyProgram")  # without it, probabilities take no noise
    model, probabilities = needed("qmoe.noise:NoiseModel"), needed("qmoe.simulate:probabilities")
    one_thread()
    weights = torch.full((layers,), TURN, dtype=torch.float64)
    features = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    apart = []
    for strength in STRENGTHS:
        noise = model(placement, depolarizing=strength)
        found = probabilities(circuit, weights, features, noise=noise)[:, 0]
        short = (1 - 4 * strength / 3) ** channels[placement]
        expected = (1 + short * torch.cos(features[:, 0] + weights.sum())) / 2
        apart.append(float((found - expected).abs().max()))
    return round(max(apart), DIGITS)
