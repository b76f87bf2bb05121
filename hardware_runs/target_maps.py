"""Maps of a trained router on a target: what the noise that is known of the target makes of it."""

from __future__ import annotations

from dataclasses import replace

from backends import load
from backends.twin import noisy_probabilities
from qmoe.cell import Cell, CellResult
from qmoe.routed import RoutedCircuit
from qmoe.routing_map import RoutingMap
from qmoe.rows import first_model, routing_map


def target_map(cell: Cell, result: CellResult, spec: str, inputs: int) -> RoutingMap | None:
    """Decision and gate map of the router of the first seed on a target, without shot noise.

    Grid and extent are those of the ideal router's map; the points are the first `inputs` rows of
    the test part, which are those that study `targets` measures, as far as a map shows points.

    None unless the data have two features and the target says what its noise is.

    Raises:
        InputError: A target that is not there, or a router that is no circuit.
        FitError: The circuit does not fit the target.
    """
    ideal = routing_map(cell, result)
    if ideal is None:
        return None
    model, weights, part = first_model(cell, result)
    routed = RoutedCircuit(model, weights)
    compiled = load(spec).compile(routed.template)
    if compiled.noisy is None:
        return None
    X = part.scaler.transform(ideal.centres).X
    answer = routed.answer(X, noisy_probabilities(compiled, routed.features(X)))
    grid = ideal.gates.shape[1:]
    return replace(
        ideal,
        probabilities=answer.probabilities.T.reshape(-1, *grid),
        gates=answer.gate_weights.T.reshape(-1, *grid),
        points=ideal.points[:inputs],
        labels=ideal.labels[:inputs],
        target=spec,
        source="twin",
    )
