"""Maxout neurons, whose state is the largest of several weighted sums."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch_geometric.data import Data
from torch_geometric.nn.aggr import Aggregation

from graphs import arguments, tensors
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.kernels.checks import MOST_LOOPS
from sparsebrain.kernels.transforms import refuse_old_export
from sparsebrain.nn.batching import admit, check_start
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.initialization import Init
from sparsebrain.nn.recurrence import run_largest
from sparsebrain.nn.sharing import Grouping, Sharing

_CELLS = 2**17
_FEWEST_ROWS = 32
_MOST_PIECES = 1024


class Maxout(nn.Module):
    r"""Neurons with two or more weights per synapse, which keep the largest of their sums.

    .. math:: x(t + 1) = \max_k (W_k x(t) + b_k)

    The maximum of linear functions is a convex, piecewise linear function of each neuron's input,
    so no activation follows. Each of the ``pieces`` is a GraphLayer on the same synapses, so one
    loop takes O(pieces E) time, and calls, batches and overrides work as for a GraphLayer.

    Leak, threshold, noise, gain and checkpoint of a GraphLayer are not available, and
    :mod:`sparsebrain.diagnostics` supports GraphLayers only.

    I. J. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville, Y. Bengio, "Maxout networks", ICML
    (2013).

    Args:
        connectome: As for :class:`~sparsebrain.GraphLayer`; N neurons, E synapses.
        loops: The number of loops, at least 1. An Equilibrium is not supported, because its
            constraint bounds one weight per synapse.
        pieces: The number of weights per synapse, from 2 to 1024.
        bias: As for a GraphLayer, but True by default, so that pieces can meet away from zero.
        inject: As for a GraphLayer.
        weight_sharing: As for a GraphLayer.
        dale: As for a GraphLayer; all weights of a synapse have its sign.
        init: As for a GraphLayer. After "variance" the weights are also scaled so that the loops
            keep the mean square of a random state.
        aggr: As for a GraphLayer.
        backend: As for a GraphLayer.
        device: As for a GraphLayer.
        dtype: As for a GraphLayer.

    Attributes:
        pieces: One GraphLayer of one loop for each k, with its ``weight`` and ``bias``.

    Shape:
        ``layer(x)``, ``layer(x, edge_index)``, ``state=`` and ``return_states=`` are those of a
        GraphLayer.

    Raises:
        TypeError: If an argument has the wrong type or dtype.
        ValueError: If an argument has the wrong shape, value or option.

    Example:
        >>> import torch
        >>> from sparsebrain import Maxout
        >>> from torch_geometric.data import Data
        >>> ring = Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
        >>> layer = Maxout(ring, loops=3)
        >>> layer(torch.randn(8, 4)).shape
        torch.Size([8, 4])
        >>> [list(piece.weight.shape) for piece in layer.pieces]
        [[4], [4]]
    """

    def __init__(
        self,
        connectome: Data,
        loops: int = 1,
        *,
        pieces: int = 2,
        bias: bool | Grouping = True,
        inject: bool = False,
        weight_sharing: Sharing = "synapse",
        dale: bool = False,
        init: Init | None = None,
        aggr: str | list[str] | Aggregation = "sum",
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if isinstance(loops, Equilibrium):
            raise ValueError(
                "loops of Maxout cannot be an Equilibrium, whose bound is for one weight a "
                "synapse; pass a number, such as loops=10"
            )
        self.loops = arguments.count("loops", loops, at_least=1, at_most=MOST_LOOPS)
        pieces = arguments.count("pieces", pieces, at_least=2, at_most=_MOST_PIECES)
        arguments.flag("inject", inject)
        self.inject = inject
        # Each piece is made with all loops, so that its initial weights suit them.
        made = [
            GraphLayer(
                connectome,
                self.loops,
                bias=bias,
                weight_sharing=weight_sharing,
                dale=dale,
                init=init,
                aggr=aggr,
                backend=backend,
                device=device,
                dtype=dtype,
            )
            for _ in range(pieces)
        ]
        for piece in made:
            piece.loops = 1
            piece.structure = made[0].structure
        self.pieces = nn.ModuleList(made)
        self._keep_power()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw new weights and set biases to zero.

        Args:
            generator: The source of randomness; torch's default generator if None.
        """
        tensors.generator("generator", generator, self._layers()[0].weight.device)
        for piece in self._layers():
            piece.loops = self.loops
            piece.reset_parameters(generator)
            piece.loops = 1
        self._keep_power()

    @torch.no_grad()
    def _keep_power(self) -> None:
        """Scale the initial weights so that the loops keep the mean square of the state.

        Scaling all weights by c scales the result of the loops by c^loops, as they are homogeneous.
        """
        first = self._layers()[0]
        if first.init != "variance" or first.weight.is_meta:
            return
        rows = max(_FEWEST_ROWS, min(256, _CELLS // max(first.num_nodes, 1)))
        noise = torch.randn(rows, first.num_nodes, generator=torch.Generator().manual_seed(0))
        state = noise.to(first.weight)
        log_power = 0.0
        for _ in range(self.loops):
            state = self._largest(state, None)
            power = float(state.double().square().mean())
            if not 0 < power < math.inf:
                return
            log_power += math.log(power)
            # Normalizing at every loop keeps long runs from overflowing.
            state = state / math.sqrt(power)
        for piece in self._layers():
            piece.assign_weight(piece.weight * math.exp(-0.5 * log_power / self.loops))

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | None = None,
        *,
        state: Tensor | None = None,
        return_states: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Run all loops; the class describes the shapes and results."""
        arguments.flag("return_states", return_states)
        first, node_first = self._layers()[0], edge_index is not None
        x = admit(x, "x", first.weight, first.num_nodes, node_first=node_first)
        if state is not None:
            state = admit(state, "state", first.weight, first.num_nodes, node_first=node_first)
            check_start(state, x, inject=self.inject)
        start = x
        if self.inject:
            start = torch.zeros_like(x) if state is None else state
        with parametrize.cached():
            states = self._run_fused(x, start, edge_index, keep=return_states)
            if states is None:
                states = self._run_stepwise(x, start, edge_index)
        if return_states:
            return states[-1], torch.stack([start, *states])
        return states[-1] if state is None else (states[-1], states[-1].clone())

    def _run_fused(
        self, x: Tensor, start: Tensor, edge_index: Tensor | None, *, keep: bool
    ) -> list[Tensor] | None:
        """Run all loops in one kernel; None if the pieces are more than weights and biases."""
        layers = self._layers()
        if not all(layer.has_plain_calls for layer in layers):
            return None
        return run_largest(
            [layer.describe(start, edge_index) for layer in layers],
            loops=self.loops,
            drive=x if self.inject else None,
            keep=keep,
        )

    def _run_stepwise(self, x: Tensor, start: Tensor, edge_index: Tensor | None) -> list[Tensor]:
        """Return the state after every loop."""
        states = [start]
        for _ in range(self.loops):
            after = self._largest(states[-1], edge_index)
            states.append(after + x if self.inject else after)
        return states[1:]

    def _largest(self, state: Tensor, edge_index: Tensor | None) -> Tensor:
        first, *others = (piece(state, edge_index) for piece in self._layers())
        for other in others:
            first = torch.maximum(first, other)
        return first

    def _slow_forward(self, *args: Any, **kwargs: Any) -> Any:
        # Torch calls this in place of forward while it traces.
        refuse_old_export()
        return super()._slow_forward(*args, **kwargs)

    def _layers(self) -> list[GraphLayer]:
        return cast(list[GraphLayer], list(self.pieces))

    def extra_repr(self) -> str:
        """Return the options that the pieces do not have."""
        return f"loops={self.loops}" + (", inject=True" if self.inject else "")
