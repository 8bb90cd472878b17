"""The messages of a layer with another aggregation than a sum, or with messages of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn
from torch_geometric.nn.aggr import MaxAggregation, MeanAggregation, MinAggregation

from sparsebrain.kernels import Structure
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.joined_loops import run_joined
from sparsebrain.kernels.joins import Join

_JOINS: dict[type, Join] = {MaxAggregation: Join("max"), MinAggregation: Join("min")}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class OneLoop(NamedTuple):
    """What a kernel needs to join the messages of a state [N, B]."""

    structure: Structure
    weight: Tensor
    backend: str

    def run(self, kind: Join, x: Tensor) -> Tensor | None:
        """Return the join, or None if torch traces or transforms the call."""
        inputs = LoopInputs(x, None, None, None)
        states = run_joined(
            kind, self.structure, self.weight, inputs, loops=1, rows=False, backend=self.backend
        )
        return None if states is None else states[0]


class Messages:
    """A function that computes W x message by message with PyG, and what it computes.

    Args:
        function: PyG's path, a function of a state [N, B] or [B * N, C].
        one_loop: The same for kernels that compute one join, or None if states are [B * N, C].
        aggregation: The aggregation of messages that are weight times state, or None if they may be
            something else.

    Attributes:
        averages: Whether this is a sum of weights divided by the number of synapses of a target.
        join: The join of kernels that compute the same, or None.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        one_loop: OneLoop | None,
        aggregation: nn.Module | None,
    ) -> None:
        self._function, self._one_loop = function, one_loop
        own = {} if aggregation is None else vars(aggregation)
        plain = "forward" not in own and not any(own.get(hooks) for hooks in _HOOKS)
        self.averages = plain and type(aggregation) is MeanAggregation
        self.join = _JOINS.get(type(aggregation)) if plain else None

    def __call__(self, x: Tensor) -> Tensor:
        """Compute W x, by a kernel if one gives the same, otherwise with PyG."""
        found = None
        if self.join is not None and self._one_loop is not None:
            found = self._one_loop.run(self.join, x)
        return self._function(x) if found is None else found
