"""A memory of one value, for what frozen numbers make of a data set."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class LastValue:
    """A function of two tensors that is not computed again where both are as they last were.

    Frozen numbers are among the weights, so nothing that needs them can be prepared; but
    full-batch steps ask for the same value every time. Inputs are compared entry by entry.

    >>> double = LastValue(lambda a, b: 2 * (a + b))
    >>> a, b = torch.ones(2), torch.zeros(2)
    >>> double(a, b) is double(a.clone(), b.clone())
    True
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.function = function
        self.last: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """The value, detached."""
        last = self.last
        if last is None or not (_same(first, last[0]) and _same(second, last[1])):
            with torch.no_grad():
                value = self.function(first, second)
            # copies: weights change in place
            last = self.last = (first.detach().clone(), second.detach().clone(), value)
        return last[2]


def _same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
