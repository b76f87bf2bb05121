"""The package backends.ibm from outside: specs, listing, sources."""

import pytest

from backends import load
from backends.base import Exact
from backends.ibm import describe, targets
from qmoe.errors import InputError

pytestmark = pytest.mark.xdist_group("ibm")


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ("ibm:aer", "exact"),
        ("ibm:dm,depolarizing=0.02,placement=wire", "exact"),
        ("ibm:fake_boston", "snapshot"),
        ("ibm:fake_torino,seeds=2,level=2,simplify=false", "snapshot"),
    ],
)
def test_a_target_keeps_its_spec_and_says_what_it_is(spec, source):
    backend = load(spec)
    assert (backend.spec, backend.source) == (spec, source)
    assert isinstance(backend, Exact)


def test_every_listed_target_is_described_and_loads():
    *rows, device = describe()
    assert tuple(row.spec for row in rows) == targets()
    assert (device.spec, device.source) == ("ibm:ibm_NAME", "device")
    assert len(set(targets())) == len(targets()) > 45
    for row in rows:
        backend = load(row.spec)
        assert (backend.spec, backend.source) == (row.spec, row.source)
        if row.source == "snapshot":
            assert row.calibrated_at is not None and row.qubits is not None and row.qubits > 4
            assert {"rz", "sx", "x"} < set(row.basis) <= {"rz", "sx", "x", "cx", "cz", "ecr"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("ibm:fake_bostom", "did you mean 'fake_boston'"),
        ("ibm:aerr", "did you mean 'aer'"),
        ("ibm:fake_nighthawk", "made up"),
        ("ibm:fake_boston,seed=3", "did you mean 'seeds'"),
        ("ibm:fake_boston,seeds=0", "from 1 to 100"),
        ("ibm:fake_boston,level=4", "from 0 to 3"),
        ("ibm:fake_boston,simplify=no", "true or false"),
        ("ibm:dm,depolarizing=lots", "a number"),
    ],
)
def test_a_wrong_spec_is_one_line(spec, words):
    with pytest.raises(InputError, match=words) as failure:
        load(spec)
    assert "\n" not in str(failure.value)
