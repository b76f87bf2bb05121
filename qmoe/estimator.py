"""The scikit-learn classifier: a Mixture of Experts with any of the routers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from qmoe.angles import finite, whole
from qmoe.arrays import Floats, Ints
from qmoe.errors import InputError
from qmoe.predict import Answer, evaluate
from qmoe.scaling import Scaler
from qmoe.seeds import stream
from qmoe.spec import ModelSpec

SEED = 0  # one model per estimator; what tells two estimators apart is the root seed


class RouterWarning(UserWarning):
    """What a router says of itself: features out of its sight, experts that it favours."""


class QMoEClassifier(ClassifierMixin, BaseEstimator):
    """A classifier whose class logits are linear experts' logits, mixed by a router's gate weights.

    Features in any unit are scaled to angles (radians) first. A feature needs a qubit of its own:
    more than `max_qubits` of them are reduced to that many by a PCA of the standardised features.
    Classical routers get the same features as quantum ones, so that a search over routers
    compares routers. Scaler and PCA are fitted on the training rows alone; later values outside
    their range are clipped to it.

    Parameters:
        router: A name of `qmoe.routers.ROUTERS`, such as "quantum", "linear" or "mlp".
        router_options: Options of that router, such as {"layers": 3} or {"hidden": 8}.
        num_experts: Linear experts.
        gate: "probability", "softmax", "temperature", or "auto": probability where the router
            emits probabilities, else softmax.
        top_k: Keep only the k largest gate weights of each row; None keeps all.
        load_balance: Factor of the load-balancing loss.
        max_qubits: Most features that the model sees, by PCA; None never reduces them.
        scaler: "[0, pi]", "[-pi, pi]" or "standard".
        epochs: Passes over the training rows.
        batch_size: Rows of one step of Adam; None takes all.
        learning_rate: Adam's step size.
        validation_fraction: Share of the rows held out, by class; the weights of the epoch with
            their lowest cross-entropy are kept. 0 holds out none and keeps the last weights.
        patience: Epochs without improvement on the held-out rows before training stops; None
            never stops early.
        dtype: "float64" or "float32", of the training; predictions are in float64.
        random_state: An int is the root seed of all random streams, as `--seed` of the command
            line; a RandomState draws one from it; None takes fresh entropy.

    Attributes:
        classes_: The class labels, sorted.
        n_features_in_: Columns seen in `fit`.
        feature_names_in_: Their names, where they have some.
        n_iter_: Epochs done.
        best_epoch_: The epoch that the weights are from.
        loss_curve_: Mean training cross-entropy (nats) of each epoch.
        validation_scores_: Held-out accuracy after each epoch; None without held-out rows.
        spec_: The model as a `qmoe.spec.ModelSpec`.
        scaler_: The fitted `qmoe.scaling.Scaler`, PCA included.
        weights_: The trained numbers: router, experts, gate.

    Raises:
        InputError: On `fit`, a wrong parameter; it is a ValueError.

    >>> from sklearn.datasets import make_moons
    >>> X, y = make_moons(200, noise=0.1, random_state=0)
    >>> bool(QMoEClassifier(random_state=0).fit(X, y).score(X, y) > 0.9)
    True
    """

    def __init__(
        self,
        router: Any = "quantum",
        *,
        router_options: Any = None,
        num_experts: Any = 4,
        gate: Any = "auto",
        top_k: Any = None,
        load_balance: Any = 0.0,
        max_qubits: Any = 4,
        scaler: Any = "[0, pi]",
        epochs: Any = 200,
        batch_size: Any = None,
        learning_rate: Any = 0.05,
        validation_fraction: Any = 0.0,
        patience: Any = None,
        dtype: Any = "float64",
        random_state: Any = None,
    ) -> None:
        # scikit-learn's rule: a constructor stores what it gets and leaves checking to `fit`.
        self.router = router
        self.router_options = router_options
        self.num_experts = num_experts
        self.gate = gate
        self.top_k = top_k
        self.load_balance = load_balance
        self.max_qubits = max_qubits
        self.scaler = scaler
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.dtype = dtype
        self.random_state = random_state

    def fit(self, X: object, y: object) -> QMoEClassifier:
        """Trains on rows X (row, feature) with labels y (row,) of two or more classes.

        Raises:
            InputError: A wrong parameter, or labels of a single class.
        """
        features, targets = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(targets)
        classes, labels = np.unique(targets, return_inverse=True)
        if len(classes) < 2:
            raise InputError(
                got="labels of one class",
                expected="at least two classes",
                do="check y, and that every fold has rows of two classes",
            )
        given = _given(self.get_params(deep=False))
        root = _root_seed(given.random_state)
        rows = _cut(features, labels.astype(np.int64), given, root)
        scaler = Scaler.fit(rows.X, given.scaler, _components(rows.X, given.max_qubits))
        spec = _spec(given, scaler.num_outputs, len(classes))
        self._train(spec, scaler, rows, given, root)
        self.classes_, self.spec_, self.scaler_ = classes, spec, scaler
        return self

    def predict_proba(self, X: object) -> Float64[Floats, "row class"]:
        """Class probabilities, the softmax of the mixed logits; columns as in `classes_`."""
        return self._answer(X).probabilities

    def predict(self, X: object) -> NDArray[Any]:
        """The class of the highest probability."""
        chosen: NDArray[Any] = self._answer(X).probabilities.argmax(1)
        labels: NDArray[Any] = self.classes_[chosen]
        return labels

    def gate_weights(self, X: object) -> Float64[Floats, "row expert"]:
        """How much each expert counts for each row; rows sum to 1."""
        return self._answer(X).gate_weights

    def _answer(self, X: object) -> Answer:
        check_is_fitted(self, "weights_")
        features = validate_data(self, X, dtype=np.float64, reset=False)
        # Built anew each time: a fitted estimator then holds plain values only, and pickles small.
        return evaluate(self.spec_.build(), self.weights_, self.scaler_.transform(features).X)

    def _train(
        self, spec: ModelSpec, scaler: Scaler, rows: _Rows, given: SimpleNamespace, root: int
    ) -> None:
        from qmoe.epochs import Examples
        from qmoe.train import TrainConfig, examples, train

        config = TrainConfig(
            epochs=given.epochs,
            batch_size=given.batch_size,
            learning_rate=given.learning_rate,
            patience=given.patience,
            evaluate_every=1,
            dtype=given.dtype,
        )
        model = spec.build()
        for text in model.router.warnings:
            warnings.warn(text, RouterWarning, stacklevel=3)

        def part(X: Floats, y: Ints) -> Examples:
            scaled = np.ascontiguousarray(scaler.transform(X).X.T)
            return examples(scaled[None], y[None], config)

        held = part(rows.X_held, rows.y_held) if len(rows.y_held) else None
        done = train(model, part(rows.X, rows.y), held, config, root=root, seeds=[SEED])
        self.weights_ = done.weights[0].double().numpy()
        self.n_iter_ = int(done.stopped_epoch[0])
        self.best_epoch_ = int(done.best_epoch[0])
        self.loss_curve_ = done.curve.train_loss[:, 0].tolist()
        accuracy = done.curve.validation_accuracy
        self.validation_scores_ = None if held is None else accuracy[:, 0].tolist()


class _Rows(NamedTuple):
    """Rows to train on, and rows held out (perhaps none); labels are 0 .. K - 1."""

    X: Float64[Floats, "train feature"]
    y: Int64[Ints, " train"]
    X_held: Float64[Floats, "held feature"]
    y_held: Int64[Ints, " held"]


def _given(parameters: Mapping[str, Any]) -> SimpleNamespace:
    """The parameters as attributes, checked as far as nothing later does."""
    given = SimpleNamespace(**{name: _plain(value) for name, value in parameters.items()})
    for name in ("router", "gate", "scaler", "dtype"):
        value = getattr(given, name)
        if not isinstance(value, str):
            raise InputError(got=f"{name} {value!r}", expected="a name", do="pass it as text")
    if not isinstance(given.router_options, Mapping | None):
        raise InputError(
            got=f"router_options {given.router_options!r}",
            expected="a dict or None",
            do="pass for example {'layers': 3}",
        )
    return given


def _plain(value: Any) -> Any:
    """A scalar of numpy, as parameter grids hold them, as Python's own; other values unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def _root_seed(random_state: Any) -> int:
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    generator = check_random_state(random_state)  # refuses what scikit-learn refuses
    return random_state if isinstance(random_state, int) else int(generator.randint(2**31))


def _cut(X: Floats, y: Ints, given: SimpleNamespace, root: int) -> _Rows:
    fraction = finite(given.validation_fraction, "validation fraction")
    if not 0 <= fraction < 1:
        raise InputError(
            got=f"validation fraction {fraction}", expected="0 <= fraction < 1", do="try 0.2"
        )
    if fraction == 0:
        if given.patience is not None:
            raise InputError(
                got=f"patience {given.patience} without rows held out",
                expected="a validation fraction above 0",
                do="pass validation_fraction=0.2 or leave patience out",
            )
        return _Rows(X, y, X[:0], y[:0])
    draw = int(stream(root, SEED, "data").integers(2**32))
    train, held = train_test_split(
        np.arange(len(y)), test_size=fraction, stratify=y, random_state=draw
    )
    return _Rows(X[train], y[train], X[held], y[held])


def _components(X: Floats, most: Any) -> int | None:
    if most is None or X.shape[1] <= whole(most, "max_qubits", 1):
        return None
    # Fewer where the rows of a small fold, or columns that repeat each other, span less.
    rank = int(np.linalg.matrix_rank(Scaler.fit(X, "standard").transform(X).X))
    return max(1, min(whole(most, "max_qubits", 1), rank))


def _spec(given: SimpleNamespace, num_features: int, num_classes: int) -> ModelSpec:
    return ModelSpec(
        router=given.router,
        num_features=num_features,
        num_classes=num_classes,
        num_experts=given.num_experts,
        options={name: _plain(value) for name, value in (given.router_options or {}).items()},
        gate=given.gate,
        top_k=given.top_k,
        load_balance=given.load_balance,
    )
