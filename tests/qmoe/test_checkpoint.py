from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as tensor_bytes

import qmoe
from qmoe import checkpoint as module
from qmoe.checkpoint import Checkpoint, load, save
from qmoe.errors import InputError
from qmoe.provenance import Provenance
from qmoe.scaling import Scaler
from qmoe.spec import ModelSpec

GOLDEN = Path(__file__).parent / "golden"
PROVENANCE = Provenance(
    command="qmoe train moons",
    qmoe=qmoe.__version__,
    python="3.11.0",
    platform="Linux x86_64",
    versions={"torch": "2.13.0"},
    threads=1,
    created="2026-01-01T00:00:00Z",
    seed=7,
)
SPECS = [
    ModelSpec("quantum", 2, 2, options={"layers": 2}),
    ModelSpec("quantum", 3, 4, 3, options={"readout": "z", "ansatz": "notebook"}, gate="softmax"),
    ModelSpec("quantum", 2, 2, options={"measured": [1, 0]}, gate="temperature", top_k=2),
    ModelSpec("mlp", 2, 3, options={"hidden": 4}, load_balance=0.1),
    ModelSpec("dephased", 2, 2),
    ModelSpec("constant", 2, 2, 1),
]


def made(spec: ModelSpec = SPECS[0], *, pca: bool = False, **changes: Any) -> Checkpoint:
    rows = np.random.default_rng(1).normal(size=(30, spec.num_features + 2 * pca))
    given: dict[str, Any] = {
        "spec": spec,
        "weights": spec.build().init(7, 3),
        "scaler": Scaler.fit(rows, "[0, pi]", spec.num_features if pca else None),
        "classes": tuple("abcd"[: spec.num_classes]),
        "seed": 3,
        "dataset": "moons",
        "dataset_digest": "0" * 64,
        "metrics": {"accuracy_test": 0.1 + 0.2},
        "provenance": PROVENANCE,
    }
    return Checkpoint(**given | changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "one", made())
    return tmp_path / "one"


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes checkpoint.json as somebody would who knows how its digest is made."""
    path = folder / "checkpoint.json"
    tree = json.loads(path.read_text())
    del tree["digest"]
    change(tree)
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    path.write_text(json.dumps(tree | {"digest": hashlib.sha256(text.encode()).hexdigest()}))


def replace_tensors(folder: Path, tensors: Mapping[str, Any] | bytes) -> None:
    data = tensors if isinstance(tensors, bytes) else tensor_bytes(dict(tensors))
    (folder / "weights.safetensors").write_bytes(data)
    digest = {"weights_bytes": len(data), "weights_sha256": hashlib.sha256(data).hexdigest()}
    rewrite(folder, lambda tree: tree.update(digest))


def refused(folder: Path) -> str:
    """The one line that `load` answers with."""
    with pytest.raises(InputError) as caught:
        load(folder)
    text = str(caught.value)
    assert text.startswith("got ")
    assert "; expected " in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.router}-{s.gate}")
@pytest.mark.parametrize("pca", [False, True])
def test_round_trip_is_bit_exact(tmp_path: Path, spec: ModelSpec, pca: bool) -> None:
    before = made(spec, pca=pca)
    save(tmp_path / "one", before)
    after = load(tmp_path / "one")
    assert after.weights.tobytes() == before.weights.tobytes()
    for name in set(Checkpoint.__dataclass_fields__) - {"weights"}:
        assert getattr(after, name) == getattr(before, name)
    assert after.root == 7
    assert after.digest == before.digest
    assert after.digest == json.loads((tmp_path / "one/checkpoint.json").read_text())["digest"]
    X = np.random.default_rng(2).normal(size=(9, before.scaler.num_inputs))
    assert after.predict_proba(X).tobytes() == before.predict_proba(X).tobytes()


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=16, max_size=16),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)
@settings(max_examples=15, deadline=None)
def test_any_finite_number_and_text_survives(
    tmp_path_factory: pytest.TempPathFactory, weights: list[float], metric: float, text: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "one"
    spec = replace(SPECS[0], num_experts=2)
    before = made(spec, weights=np.array(weights), metrics={text: metric}, dataset=text)
    save(path, before)
    after = load(path)
    assert after.weights.tobytes() == before.weights.tobytes()
    assert np.float64(after.metrics[text]).tobytes() == np.float64(metric).tobytes()
    assert after.dataset == text


def test_predictions_are_the_softmax_of_the_model() -> None:
    checkpoint = made(SPECS[1], pca=True)
    X = np.random.default_rng(2).normal(size=(5000, 5))  # more rows than are evaluated at once
    model = checkpoint.model()
    scaled = torch.from_numpy(checkpoint.scaler.transform(X).X.T.copy())[None]
    out = model.output(torch.from_numpy(checkpoint.weights)[None], model.prepare(scaled))
    expected = torch.softmax(out.logits[0], 0).T.numpy()
    np.testing.assert_allclose(checkpoint.predict_proba(X), expected, rtol=0, atol=1e-12)
    with pytest.raises(InputError, match=r"got 2 features; expected 5"):
        checkpoint.predict_proba(np.zeros((1, 2)))


@pytest.mark.parametrize("name", ["checkpoint-1"])
def test_released_formats_stay_readable(name: str) -> None:
    checkpoint = load(GOLDEN / name)
    known = json.loads((GOLDEN / f"{name}.expected.json").read_text())
    np.testing.assert_allclose(
        checkpoint.predict_proba(np.array(known["features"])),
        known["probabilities"],
        rtol=0,
        atol=1e-9,
    )
    assert checkpoint.spec.router == "quantum"
    assert checkpoint.classes == ("class_0", "class_1", "class_2")


def test_equal_checkpoints_are_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save(tmp_path / name, made())
    for name in ("checkpoint.json", "weights.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert made(seed=4).digest != made().digest
    tuples = replace(SPECS[2], options={"measured": (1, 0)})
    assert made(tuples).digest == made(SPECS[2]).digest


@pytest.mark.parametrize("name", ["checkpoint.json", "weights.safetensors"])
def test_any_cut_and_any_altered_byte_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:length])
        assert name in refused(folder)
    for place in range(0, len(whole), 11):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        refused(folder)
    path.write_bytes(whole + b"{}")
    refused(folder)
    path.unlink()
    assert f"got no file {path}" in refused(folder)


def test_weights_of_another_checkpoint_are_refused(folder: Path, tmp_path: Path) -> None:
    save(tmp_path / "two", made(weights=made().weights + 1))
    shutil.copy(tmp_path / "two/weights.safetensors", folder)
    assert "is not what was written" in refused(folder)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"format": 2}, "format 2; expected format 1 or older"),
        ({"format": "1"}, "without a format number"),
        ({"kind": "training"}, "kind = 'training'"),
        ({"note": 1}, "note = 1"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 1.0}, "seed = 1.0"),
        ({"classes": ["a"]}, "1 classes; expected 2"),
        ({"metrics": {"accuracy_test": "0.9"}}, "metrics.accuracy_test"),
        ({"model": {"router": "quantum"}}, "model description with other keys"),
        ({"scaler": {}}, "stored scaler"),
        ({"weights_sha256": "0"}, "weights_sha256"),
    ],
)
def test_content_that_no_checkpoint_has_is_refused(
    folder: Path, change: dict[str, Any], answer: str
) -> None:
    rewrite(folder, lambda tree: tree.update(change))
    assert answer in refused(folder)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"router": "quantom"}, "router 'quantom'; expected one of"),
        ({"options": {"layer": 2}}, "did you mean 'layers'"),
        ({"options": {"layers": 3}}, "28 weights for router 'quantum'; expected 30"),
        ({"options": {"layers": -1}}, "-1"),
        ({"num_experts": 10**9}, "expected at least 6000000000"),
        ({"num_features": 3}, "2 scaled features; expected 3"),
        ({"gate": "hard"}, "gate 'hard'"),
        ({"top_k": 9}, "top-k 9 of 4 experts"),
    ],
)
def test_model_descriptions_that_do_not_fit_are_refused(
    folder: Path, change: dict[str, Any], answer: str
) -> None:
    rewrite(folder, lambda tree: tree["model"].update(change))
    assert answer in refused(folder)


def test_a_missing_entry_is_refused(folder: Path) -> None:
    rewrite(folder, lambda tree: tree.pop("scaler"))
    assert "scaler" in refused(folder)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[1]", "{", '{"format": NaN}', '{"format": 1, "format": 1}', "[" * 100_000],
    ids=["empty", "null", "list", "cut", "nan", "doubled", "deep"],
)
def test_text_that_is_no_json_object_is_refused(folder: Path, text: str) -> None:
    (folder / "checkpoint.json").write_text(text)
    assert "checkpoint.json" in refused(folder)


WEIGHTS = np.linspace(-1.0, 1.0, 28)
NOT_FINITE = np.where(np.arange(28) == 5, np.nan, WEIGHTS)


@pytest.mark.parametrize(
    ("tensors", "answer"),
    [
        ({"weights": WEIGHTS[:-1]}, "27 weights for router 'quantum'; expected 28"),
        ({"weights": WEIGHTS[:3]}, "3 weights for router 'quantum'; expected at least 24"),
        ({"weights": NOT_FINITE}, "1 of 28 weights that are not finite"),
        ({"weights": WEIGHTS.astype(np.float32)}, "a vector of float64"),
        ({"weights": WEIGHTS[None]}, "a vector of float64"),
        ({"other": WEIGHTS}, "a vector of float64"),
        (b"\xff" * 64, "a safetensors file"),
        (b"", "a safetensors file"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    folder: Path, tensors: Mapping[str, Any] | bytes, answer: str
) -> None:
    replace_tensors(folder, tensors)
    assert answer in refused(folder)


def test_sizes_are_bounded(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WEIGHTS_BYTES", 100)
    assert "expected at most 100 bytes" in refused(folder)
    with pytest.raises(InputError, match="at most 100"):
        save(tmp_path / "two", made())
    assert [p.name for p in tmp_path.iterdir()] == ["one"]


def test_a_folder_that_holds_something_is_left_alone(folder: Path) -> None:
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(InputError, match="expected a folder that is new or empty"):
        save(folder, made(seed=4))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["one"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "checkpoint.json":
            raise OSError(28, "No space left on device")
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="No space left on device"):
        save(tmp_path / "one", made())
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_and_missing_parents_are_fine(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    save(tmp_path / "one", made())
    save(tmp_path / "a/b/two", made())
    assert load(tmp_path / "one").digest == load(tmp_path / "a/b/two").digest


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"classes": ("a", "b", "c")}, "3 classes; expected 2"),
        ({"seed": -1}, "seed of a checkpoint -1"),
        ({"weights": NOT_FINITE}, "not finite"),
        ({"scaler": Scaler.fit(np.eye(3), "standard")}, "3 scaled features; expected 2"),
    ],
)
def test_parts_that_do_not_fit_make_no_checkpoint(changes: dict[str, Any], answer: str) -> None:
    with pytest.raises(InputError, match=answer):
        made(**changes)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"weights": np.zeros(29)}, "29 weights"),
        ({"metrics": {"loss_test": float("nan")}}, "metrics.loss_test"),
        ({"dataset": ""}, "dataset"),
        ({"spec": replace(SPECS[0], options={"layers": 2, "measured": range(2)})}, "measured"),
    ],
)
def test_what_cannot_be_read_back_is_not_written(
    tmp_path: Path, changes: dict[str, Any], answer: str
) -> None:
    with pytest.raises(InputError, match=answer):
        save(tmp_path / "one", made(**changes))
    assert list(tmp_path.iterdir()) == []
