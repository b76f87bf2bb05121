"""The evidence file: what is written comes back, and what was altered is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from qmoe import evidence as module
from qmoe.errors import InputError, QmoeError
from qmoe.evidence import Evidence, of_run, united
from qmoe.figure import Figure, Figures
from qmoe.rundir import RunWriter
from tests.qmoe.planted import PROVENANCE, accuracies, cell, evidence, measured

FULL = evidence(
    cell("moons(noise=0.1)", "quantum L=2", accuracies(0.98, 30)),
    cell("moons(noise=0.1)", "linear", accuracies(0.97, 30, stream=1), parameters=12),
    cell("moons(noise=0.1)", "linear", accuracies(0.97, 30), parameters=6, experts=2),
    measured(Figure(name="eta", labels={"base": "e"}, value=29.2, low=29.0, high=None)),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    FULL.write(tmp_path / "evidence.json.gz")
    return tmp_path / "evidence.json.gz"


def altered(path: Path, change, *, sign: bool = True) -> Path:
    """The file with its JSON changed, and (unless not) the digest of what it then holds."""
    content = json.loads(gzip.decompress(path.read_bytes()))
    change(content)
    if sign:
        content.pop("sha256")
        # the definition of the digest, written a second time
        plain = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        content["sha256"] = hashlib.sha256(plain.encode()).hexdigest()
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


def test_evidence_reads_back_and_equal_evidence_gives_equal_bytes(path):
    assert Evidence.read(path) == FULL
    shuffled = FULL.model_copy(update={"results": FULL.results[::-1]})
    again = Evidence.model_validate(dict(shuffled))
    assert again.to_bytes() == path.read_bytes() == FULL.to_bytes()
    assert FULL.command == "qmoe run paper"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_small_form_drops_what_no_verdict_needs_and_nothing_else():
    small = FULL.small()
    assert len(small.to_bytes()) < len(FULL.to_bytes())
    for was, now in zip(FULL.results, small.results, strict=True):
        dropped = {"curve_loss", "first_weights", "digests"}
        assert was.model_dump(exclude=dropped) == now.model_dump(exclude=dropped)
        assert not any(getattr(now, name) for name in dropped)


def test_cells_are_found_by_all_their_names():
    find = FULL.find
    assert [r.router_parameters for r in find(dataset="moons(noise=0.1)", router="linear",
                                              experts=2)] == [6]  # fmt: skip
    assert find(dataset="moons(noise=0.2)", router="linear", experts=4) == ()
    assert find(dataset="moons(noise=0.1)", router="linear", experts=4, protocol="notebook") == ()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "cut short"),
        (lambda data: b"", "cut short"),
        (lambda data: b"plain text, not packed", "not gzip"),
        (lambda data: data + b"more", "goes on after its end"),
        (lambda data: gzip.compress(b"[1, 2"), "not JSON"),
        (lambda data: gzip.compress(b"[]"), "without a format number"),
        (lambda data: gzip.compress(b'{"format": 2}'), "newer qmoe"),
        (lambda data: gzip.compress(b'{"format": 1}'), "digest"),
    ],
)
def test_a_damaged_file_is_one_line(path, damage, message):
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=message) as error:
        Evidence.read(path)
    assert "\n" not in str(error.value)


def test_a_bomb_is_not_unpacked(path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 2**20)
    path.write_bytes(gzip.compress(b" " * 2**24))
    with pytest.raises(InputError, match="of more than 1048576 bytes"):
        Evidence.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["results"][0].update(router=7), "results.0.router = 7"),
        (lambda c: c.update(surprise=1), "surprise"),
        (lambda c: c["results"].append(c["results"][0]), "there twice"),
        (lambda c: c["studies"].update(hunt=["0" * 20]), "which a study asked for"),
    ],
)
def test_whole_content_that_fits_no_evidence_is_refused(path, change, message):
    with pytest.raises(InputError, match=message):
        Evidence.read(altered(path, change))


def test_an_altered_count_breaks_the_digest(path):
    def change(content):
        content["results"][0]["test_correct"][0] += 1

    with pytest.raises(InputError, match="digest"):
        Evidence.read(altered(path, change, sign=False))


def test_a_choice_that_validation_did_not_make_is_named_and_no_damage(path):
    def change(content):
        result = next(r for r in content["results"] if r["router"] == "quantum L=2")
        result["chosen"][3] = 7

    with pytest.raises(
        QmoeError, match=r"quantum L=2 on moons.*not what validation chose"
    ) as error:
        Evidence.read(altered(path, change))
    assert error.value.exit_code == 1


def test_evidence_is_found_in_a_run_a_file_and_nowhere(path, tmp_path):
    with RunWriter("quick", PROVENANCE, root=tmp_path / "runs") as writer:
        FULL.write(writer.path("evidence.json.gz"))
    with RunWriter("quick", PROVENANCE, out=tmp_path / "bare"):
        pass
    for place in (str(path), "latest", writer.out.name, str(writer.out)):
        assert of_run(place, tmp_path / "runs") == FULL
    with pytest.raises(InputError, match=r"no file .*evidence\.json\.gz"):
        of_run(str(tmp_path / "bare"))
    with pytest.raises(InputError, match="expected a folder that is there"):
        FULL.write(tmp_path / "nowhere" / "evidence.json.gz")


def test_parts_agree_whatever_the_seconds_that_they_measured():
    def part(seconds: float, accuracy: float) -> Evidence:
        figures = (
            Figure(name="target accuracy", value=accuracy),
            Figure(name="run seconds", value=seconds, unit="s"),
        )
        same = Figures(key="0" * 20, call="qmoe.planted:figures", options={}, figures=figures)
        return evidence(same)

    both = united((part(1.0, 0.9), part(2.0, 0.9)))
    assert [f.value for f in both.figures_named("run seconds")] == [1.0]
    with pytest.raises(QmoeError, match="differ in what they found"):
        united((part(1.0, 0.9), part(1.0, 0.8)))
