"""The conformance suite: it passes what is sound, finds what is planted, and spends nothing."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest
from scipy.stats import binom

from backends import load
from backends.base import sample
from backends.conformance import __main__ as command
from backends.conformance import checks, planned, verify
from backends.conformance.bench import Bench, shot_bound
from backends.conformance.predict import predicted
from backends.conformance.suite import outcomes
from backends.queued import Queued
from backends.registry import absent, parse, vendor
from qmoe.circuit import Circuit, Op
from qmoe.errors import UnreachableError
from tests.backends.planted import FAULTS, QUBITS, CountsOnly, FarAway, Sound

pytestmark = pytest.mark.usefixtures("unchecked")

OFFLINE = (
    *("reference", "torch"),
    *("ibm:aer", "ibm:dm,depolarizing=0.01", "ibm:dm,depolarizing=0.02,placement=layer"),
    *("ibm:fake_boston", "ibm:fake_torino", "ibm:fake_strasbourg"),
    *("braket:sv", "braket:dm,depolarizing=0.01,placement=gate"),
    *("braket:emulator", "braket:emulator,properties=ionq"),
    *("cirq:sv", "cirq:dm,depolarizing=0.01", "cirq:willow_pink"),
    *("twin:ibm:fake_boston", "twin:cirq:willow_pink"),
)
# what a target may be excused from, beside what a backend without exact probabilities is
EXCUSED = {"noise of the spec"}
# enough to tell one snapshot from another; the gates are those of the targets above
SHORT = (
    *("width refused", "native equals circuit", "noise is on native", "figures"),
    *("emit changes nothing", "folds pass", "bit order", "counts follow"),
    *("noise of one qubit", "noise of two qubits"),
)


def chosen(*names):
    known = {check.name: check for check in checks()}
    return [known[name] for name in names]


def failed(found):
    return {outcome.name: outcome.seen for outcome in found if outcome.status == "failed"}


def grouped(specs):
    group = {spec: parse(spec.removeprefix("twin:")).vendor for spec in specs}
    return [pytest.param(spec, marks=pytest.mark.xdist_group(group[spec])) for spec in specs]


@pytest.mark.parametrize("spec", grouped(OFFLINE))
def test_an_offline_target_conforms(spec):
    if hint := absent(spec):
        pytest.skip(hint)
    found = verify(load(spec))
    assert failed(found) == {}
    assert {outcome.name for outcome in found if outcome.status == "not applicable"} <= EXCUSED


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ibm", "braket", "cirq"])
def test_every_target_of_a_vendor_conforms(name):
    if hint := absent(name):
        pytest.skip(hint)
    found = {}
    for spec in vendor(name).targets():
        found |= {
            (spec, k): v for k, v in failed(outcomes(Bench(load(spec)), chosen(*SHORT))).items()
        }
    assert found == {}


def test_a_sound_backend_passes():
    found = verify(Sound(), qubits=QUBITS)
    assert failed(found) == {}
    assert [o.name for o in found if o.status != "passed"] == [
        "options refused",
        "noise of the spec",
    ]
    assert all(o.seen and "\n" not in o.seen and o.seconds >= 0 for o in found)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault):
    names = FAULTS[fault]
    found = tuple(outcomes(Bench(fault(), qubits=QUBITS), chosen(*names)))
    assert set(failed(found)) == set(names)


def test_every_check_has_a_fault_that_only_it_need_find():
    unproved = {check.name for check in checks()} - {n for names in FAULTS.values() for n in names}
    # proved below, on targets with specs
    assert unproved == {"options refused", "noise of the spec"}


def test_an_option_that_is_ignored_is_found():
    class Deaf(Sound):
        spec = "reference,any=1"  # the registry refuses it, so it cannot be asked

    (outcome,) = outcomes(Bench(Deaf()), chosen("options refused"))
    assert outcome.status == "not applicable"


def test_a_noise_model_of_another_strength_is_found():
    class Stronger(Sound):
        spec = "ibm:dm,depolarizing=0.01"

    class AsAsked(Stronger):
        def noisy(self, native):
            from qmoe.noise import NoiseModel

            return list(NoiseModel.parse({"depolarizing": "0.01"}).place(native))

        def confusion(self, measured):
            return np.eye(2**measured)

    (wrong,) = outcomes(Bench(Stronger()), chosen("noise of the spec"))
    (right,) = outcomes(Bench(AsAsked()), chosen("noise of the spec"))
    assert (wrong.status, right.status) == ("failed", "passed")


def test_a_backend_of_counts_alone_passes():
    found = verify(CountsOnly(), qubits=QUBITS)
    assert failed(found) == {}
    excused = {o.name for o in found if o.status == "not applicable"}
    assert excused == {
        *("options refused", "noise of the spec", "probabilities are rows", "row streams")
    }


def test_counts_alone_show_reversed_bits():
    class Wrong(CountsOnly):
        def run(self, compiled, features, shots, seed):
            counts = super().run(compiled, features, shots, seed)
            m = len(compiled.native.measured)
            turned = counts.reshape(-1, *(2,) * m).transpose(0, *range(m, 0, -1))
            return turned.reshape(counts.shape)

    names = ("bit order", "bit order batched", "measured subsets")
    assert set(failed(outcomes(Bench(Wrong()), chosen(*names)))) == set(names)


def test_nothing_is_spent_unless_allowed():
    backend = FarAway()
    assert isinstance(backend, Queued)
    found = {o.name: o for o in verify(backend, qubits=QUBITS)}
    assert backend.rows == 0
    assert failed(found.values()) == {}
    assert found["bit order"].status == "not applicable"
    assert "--yes" in found["bit order"].seen
    assert {found[n].status for n in ("width refused", "figures", "compiles alike")} == {"passed"}


def test_what_is_spent_is_what_was_planned():
    backend = FarAway()
    names = ("bit order", "row sums", "random circuits", "features refused")
    plan = planned(chosen(*names), shots=500)
    bench = Bench(backend, shots=500, spend=True, qubits=QUBITS)
    assert failed(outcomes(bench, chosen(*names))) == {}
    assert (backend.rows, backend.shots) == plan == (bench.rows, bench.spent)
    assert plan[0] > 0


def test_a_target_that_cannot_be_reached_is_no_failed_check():
    class Gone(Sound):
        def compile(self, circuit):
            raise UnreachableError(got="no answer", expected="one", do="try later")

    with pytest.raises(UnreachableError):
        verify(Gone())


@pytest.mark.parametrize(("size", "shots"), [(2, 50), (2, 4000), (4, 300)])
def test_the_bound_is_a_bound(size, shots):
    # one outcome against the rest: the total variation is at least |N - n p| / n, whose exact
    # tail is binomial and must lie below the chance that was asked for
    for chance in (1e-2, 1e-9):
        bound = shot_bound(size, shots, chance)
        for p in (0.5, 0.1):
            upper = binom.sf(math.ceil(shots * (p + bound)) - 1, shots, p)
            lower = binom.cdf(math.floor(shots * (p - bound)), shots, p)
            assert upper + lower <= chance
        assert bound > 0.5 / math.sqrt(shots)  # and no tighter than a standard deviation


def test_the_bound_holds_for_draws():
    p = np.full((400, 4), 0.25)
    counts = sample(p, 200, seed=3)
    tv = np.abs(counts / 200 - p).sum(1) / 2
    assert (tv > shot_bound(4, 200, 0.01)).mean() <= 0.01
    assert (tv > shot_bound(4, 200, 1.0)).mean() < 1


def test_the_prediction_is_that_of_density_matrices():
    backend = Sound()
    ops = (Op("ry", (0,), (0.7,)), Op("ecr", (2, 0)), Op("rx", (1,), (1.2,)), Op("cx", (1, 2)))
    found = backend.compile(Circuit(3, ops, (2, 0)))
    x = np.zeros((1, 0))
    np.testing.assert_allclose(predicted(found, x), backend.probabilities(found, x), atol=1e-12)


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["conformance", *words])
    with pytest.raises(SystemExit) as stop:
        command.main()
    said = capsys.readouterr()
    return stop.value.code, said.out, said.err


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Backends of this folder installed as a third party's, by the entry points of a package."""
    info = tmp_path / "planted-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[qmoe.backends]\nplanted = tests.backends.planted:VENDOR\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("planted")
def test_the_command_loads_a_third_party_by_its_spec(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "planted:sound", "--json", "--only", "options refused",
                       "--only", "width refused", "--only", "figures")  # fmt: skip
    told = json.loads(out)
    assert (code, told["spec"], told["source"]) == (0, "planted:sound", "synthetic")
    assert [o["status"] for o in told["outcomes"]] == 3 * ["passed"]


@pytest.mark.usefixtures("planted")
def test_a_failed_check_is_exit_code_1(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "planted:deaf", "--only", "options refused",
                       "--only", "bit order", "--shots", "100", "--seed", "3")  # fmt: skip
    assert code == 1
    assert "1 failed" in out and "1 passed" in out


@pytest.mark.usefixtures("planted")
def test_a_queued_target_says_what_it_would_cost_first(monkeypatch, capsys):
    words = ("planted:far", "--only", "bit order", "--shots", "100")
    code, out, err = run(monkeypatch, capsys, *words)
    assert (code, "1 circuits, 100 shots" in err, "--yes" in err) == (0, True, True)
    assert "not applicable" in out
    code, out, err = run(monkeypatch, capsys, *words, "--yes")
    assert (code, "1 circuits, 100 shots" in err, "1 passed" in out) == (0, True, True)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["refrence"], "did you mean 'reference'"),
        (["reference,any=1"], "option 'any'"),
        (["reference", "--only", "bit ordr"], "did you mean 'bit order'"),
        (["reference", "--shots", "0"], "shots 0"),
        ([], "'spec'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(monkeypatch, capsys, words, part):
    code, _, err = run(monkeypatch, capsys, *words)
    assert code == 2
    assert part in err and len(err.splitlines()) == 1


def test_the_help_shows_an_example(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "--help")
    assert code == 0
    assert "Example: python -m backends.conformance" in out
