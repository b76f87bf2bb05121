"""Checkpoints: one trained model of one seed, as two files in a folder.

weights.safetensors holds the numbers, checkpoint.json the rest: also the digest of the weights
file and one over its own content, so that a file that was cut, altered, or swapped for that of
another checkpoint is refused, as is a newer format.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn

import numpy as np
from jaxtyping import Float64
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qmoe.angles import whole
from qmoe.arrays import Floats
from qmoe.errors import InputError
from qmoe.predict import evaluate
from qmoe.provenance import Provenance
from qmoe.record import Count, Name, check_format, damaged
from qmoe.scaling import Scaler
from qmoe.spec import ModelSpec

if TYPE_CHECKING:
    from qmoe.moe import MixtureOfExperts


FORMAT: Final = 1
MAX_JSON_BYTES = 4 * 2**20
MAX_WEIGHTS_BYTES = 64 * 2**20
HEAD_NAME = "checkpoint.json"
WEIGHTS_NAME = "weights.safetensors"
_DO = "restore the folder from its source or train again"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A trained model of one seed with all that its predictions need; compare two by `digest`.

    Attributes:
        spec: What the model is built from.
        weights: Its trainable numbers (router, experts, gate), angles in radians; copied.
        scaler: From features in their own units to those that the model takes.
        classes: Names of the classes, in the order of the probabilities.
        seed: The seed of the study that it was trained with.
        dataset: Name of the data.
        dataset_digest: Digest of the data that this seed saw.
        metrics: Finite figures by name, as in a Record.
        provenance: Where it comes from: code, versions, root seed.
        trained_for: The target whose noise its circuit was trained through; "" for none. Such a
            circuit runs there as `compile(circuit).bind_weights(angles)`.

    Raises:
        InputError: Parts that do not fit together, or weights that are not finite.
    """

    spec: ModelSpec
    weights: Float64[Floats, " weight"]
    scaler: Scaler
    classes: tuple[str, ...]
    seed: int
    dataset: str
    dataset_digest: str
    metrics: Mapping[str, float]
    provenance: Provenance
    trained_for: str = ""

    def __post_init__(self) -> None:
        whole(self.seed, "seed of a checkpoint")
        object.__setattr__(self, "weights", np.array(self.weights, dtype=np.float64))
        if self.weights.ndim != 1:
            raise InputError(
                got=f"weights of shape {self.weights.shape}",
                expected="the vector of one seed",
                do="pass for example trained.weights[0].numpy()",
            )
        lost = int((~np.isfinite(self.weights)).sum())
        if lost:
            raise InputError(
                got=f"{lost} of {self.weights.size} weights that are not finite numbers",
                expected="finite weights",
                do="train again, with a lower learning rate",
            )
        pairs = (
            ("classes", len(self.classes), self.spec.num_classes),
            ("scaled features", self.scaler.num_outputs, self.spec.num_features),
        )
        for what, found, expected in pairs:
            if found != expected:
                raise InputError(
                    got=f"a checkpoint with {found} {what}",
                    expected=f"{expected}, as its model has",
                    do="pass the model, classes and scaler of one training",
                )

    @property
    def root(self) -> int:
        """The root seed of every random stream of the training."""
        return self.provenance.seed

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over all there is in the checkpoint; stored in its checkpoint.json."""
        return _head(self, _tensor_bytes(self)).digest

    def model(self) -> MixtureOfExperts:
        """The model; its weights are apart from it.

        Raises:
            InputError: A spec that cannot be built, or that has another number of weights.
        """
        spec = self.spec
        # The experts alone have so many: a file must not choose how large a router we build.
        fewest = spec.num_experts * spec.num_classes * (spec.num_features + 1)
        if self.weights.size < fewest:
            raise self._misfit(f"at least {fewest}")
        try:
            model = spec.build()
        except TypeError as error:
            raise InputError(
                got=f"options {dict(spec.options)} of router {spec.router!r}",
                expected="values of the types that it documents",
                do=_DO,
            ) from error
        if model.size != self.weights.size:
            raise self._misfit(str(model.size))
        return model

    def predict_proba(self, X: Float64[Floats, "row feature"]) -> Float64[Floats, "row class"]:
        """Class probabilities of rows of features in their own units.

        Raises:
            InputError: Another number of features, or values that are not finite.
        """
        return evaluate(self.model(), self.weights, self.scaler.transform(X).X).probabilities

    def _misfit(self, expected: str) -> InputError:
        return InputError(
            got=f"{self.weights.size} weights for router {self.spec.router!r}",
            expected=f"{expected}, as the model description asks for",
            do="keep weights and description of one training together",
        )


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Writes the folder `path`, which appears whole or not at all.

    Raises:
        InputError: It holds something already or cannot be made, or the checkpoint is too large,
            has the wrong number of weights, or holds values that JSON cannot.
    """
    checkpoint.model()
    tensors = _tensor_bytes(checkpoint)
    tree = _head(checkpoint, tensors).content()
    text = json.dumps(tree, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"
    for data, limit in ((tensors, MAX_WEIGHTS_BYTES), (text, MAX_JSON_BYTES)):
        if len(data) > limit:
            raise InputError(
                got=f"a checkpoint file of {len(data)} bytes",
                expected=f"at most {limit}",
                do="use a smaller model",
            )
    whole_path = path.absolute()  # "." has no name to stand beside
    partial = whole_path.with_name(f".{whole_path.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(parents=True)
        (partial / WEIGHTS_NAME).write_bytes(tensors)
        (partial / HEAD_NAME).write_bytes(text)
        partial.replace(whole_path)  # refuses a folder that is not empty
    except OSError as error:
        raise InputError(
            got=f"checkpoint folder {path} ({error.strerror or error})",
            expected="a folder that is new or empty and can be made",
            do="name another one",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load(path: Path) -> Checkpoint:
    """The checkpoint in a folder.

    Raises:
        InputError: A file is missing, cut, altered, too large or of a newer format, or holds what
            no checkpoint holds.
    """
    place = path / HEAD_NAME
    text = _read(place, MAX_JSON_BYTES)
    tree = _strict_json(text, place)
    check_format(text, FORMAT, str(place))
    if tree.pop("digest", None) != _digest(tree):
        raise InputError(
            got=f"{place} that is not as it was written", expected="its own digest", do=_DO
        )
    try:
        head = _Head.model_validate_json(text)
    except ValidationError as error:
        raise damaged(str(place), error) from error
    tensors = _read(path / WEIGHTS_NAME, MAX_WEIGHTS_BYTES)
    if hashlib.sha256(tensors).hexdigest() != head.weights_sha256:
        raise InputError(
            got=f"{path / WEIGHTS_NAME} of {len(tensors)} bytes that is not what was written",
            expected=f"{head.weights_bytes} bytes with the digest in {HEAD_NAME}",
            do=_DO,
        )
    checkpoint = Checkpoint(
        spec=ModelSpec.from_dict(head.model),
        weights=_weights(tensors, path / WEIGHTS_NAME),
        scaler=Scaler.from_dict(head.scaler),
        classes=head.classes,
        seed=head.seed,
        dataset=head.dataset,
        dataset_digest=head.dataset_digest,
        metrics=head.metrics,
        provenance=head.provenance,
        trained_for=head.trained_for,
    )
    checkpoint.model()
    return checkpoint


class _Head(BaseModel):
    """What checkpoint.json holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal[1] = FORMAT
    kind: Literal["checkpoint"] = "checkpoint"
    model: dict[str, Any]
    scaler: dict[str, Any]
    classes: tuple[Name, ...]
    seed: Count
    dataset: Name
    dataset_digest: Name
    metrics: dict[Name, float]
    weights_bytes: Count
    weights_sha256: Sha256
    provenance: Provenance
    trained_for: Annotated[str, Field(max_length=200)] = ""
    digest: str = ""

    def content(self) -> dict[str, Any]:
        """JSON values; a checkpoint that was trained for no target is written as ever."""
        tree = self.model_dump(mode="json")
        return {key: v for key, v in tree.items() if (key, v) != ("trained_for", "")}


def _head(checkpoint: Checkpoint, tensors: bytes) -> _Head:
    try:
        head = _Head(
            model=checkpoint.spec.to_dict(),
            scaler=checkpoint.scaler.to_dict(),
            classes=checkpoint.classes,
            seed=checkpoint.seed,
            dataset=checkpoint.dataset,
            dataset_digest=checkpoint.dataset_digest,
            metrics=dict(checkpoint.metrics),
            weights_bytes=len(tensors),
            weights_sha256=hashlib.sha256(tensors).hexdigest(),
            provenance=checkpoint.provenance,
            trained_for=checkpoint.trained_for,
        )
        content = {key: v for key, v in head.content().items() if key != "digest"}
        return head.model_copy(update={"digest": _digest(content)})
    except ValidationError as error:
        raise damaged("a checkpoint", error) from error
    except (TypeError, ValueError) as error:
        raise InputError(
            got=f"a checkpoint that JSON cannot hold ({error})",
            expected="router options of finite numbers, text, booleans and lists",
            do="use plain values",
        ) from error


def _digest(tree: Mapping[str, Any]) -> str:
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _tensor_bytes(checkpoint: Checkpoint) -> bytes:
    from safetensors.numpy import save as to_bytes

    data: bytes = to_bytes({"weights": checkpoint.weights})
    return data


def _weights(data: bytes, place: Path) -> Float64[Floats, " weight"]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        tensors = from_bytes(data)
    except SafetensorError as error:
        raise InputError(got=f"{place} ({error})", expected="a safetensors file", do=_DO) from error
    found = {name: (array.dtype.name, array.ndim) for name, array in tensors.items()}
    if found != {"weights": ("float64", 1)}:
        raise InputError(
            got=f"{place} with {len(found)} tensors",
            expected="one, 'weights', a vector of float64",
            do=_DO,
        )
    weights: Float64[Floats, " weight"] = tensors["weights"]
    return weights


def _read(path: Path, limit: int) -> bytes:
    expected = f"a checkpoint: a folder with {HEAD_NAME} and {WEIGHTS_NAME}"
    if not path.is_file():
        raise InputError(got=f"no file {path}", expected=expected, do="check the path")
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        got = f"{path} ({error.strerror or error})"
        raise InputError(got=got, expected=expected, do="check its permissions") from error
    if len(data) > limit:
        raise InputError(got=f"a larger {path}", expected=f"at most {limit} bytes", do=_DO)
    return data


def _strict_json(text: bytes, place: Path) -> dict[str, Any]:
    """The object in a text; doubled keys, NaN and infinities are refused, which json lets pass."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a doubled key")
        return dict(pairs)

    def refused(name: str) -> NoReturn:
        raise ValueError(f"the number {name}")

    try:
        tree = json.loads(text, object_pairs_hook=unique, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        raise InputError(got=f"{place} ({error})", expected="one JSON object", do=_DO) from error
    if not isinstance(tree, dict):
        raise InputError(got=f"{place} without an object", expected="one JSON object", do=_DO)
    return tree
