"""Maxout neurons: each has several sums, and its state is the largest."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch_geometric.data import Data
from torch_geometric.nn.aggr import Aggregation

from graphs import arguments, tensors
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.kernels.checks import MOST_LOOPS
from sparsebrain.nn.batching import admit, check_start
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.initialization import Init
from sparsebrain.nn.sharing import Grouping, Sharing

_CELLS = 2**17
_FEWEST_ROWS = 32
_MOST_PIECES = 1024


class Maxout(nn.Module):
    r"""Neurons with two weights a synapse, or more, which keep the largest of their sums.

    .. math:: x(t + 1) = \max_k (W_k x(t) + b_k)

    A maximum of linear functions is any convex function of each neuron's input, piece by piece, and
    no activation follows. The sums are those of ``pieces`` linear layers on the same synapses, so
    a loop takes O(pieces E) and is called, batched and overridden as a GraphLayer's is.

    A GraphLayer's leak, threshold, noise, gain and checkpoint are not there, and
    :mod:`sparsebrain.diagnostics` look into GraphLayers only.

    I. J. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville, Y. Bengio, "Maxout networks", ICML
    (2013).

    Args:
        connectome: as :class:`~sparsebrain.GraphLayer` takes it; N neurons, E synapses.
        loops: how many exchanges, at least 1. There is no Equilibrium: what makes one certain is a
            bound on one weight a synapse.
        pieces: how many weights a synapse has, at least 2.
        bias: as of a GraphLayer, but True by default, so that pieces may meet anywhere.
        inject, weight_sharing, dale, init, aggr, backend, device, dtype: as of a GraphLayer; with
            ``dale`` all weights of a synapse have its sign. "variance" is followed by a run of all
            loops on noise, whose mean square they are then scaled to keep.

    Attributes:
        pieces: a GraphLayer of one loop for each k, with its ``weight`` and ``bias``.

    Shapes:
        ``layer(x)``, ``layer(x, edge_index)``, ``state=``, ``return_states=``: as of a GraphLayer.

    Raises:
        TypeError: a wrong type or dtype. ValueError: a wrong shape, value or option.

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
        # Made with all loops, so that each piece is drawn for them.
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
        """Draw all weights anew, from torch's generator or the one passed; set biases to zero."""
        tensors.generator("generator", generator, self._layers()[0].weight.device)
        for piece in self._layers():
            piece.loops = self.loops
            piece.reset_parameters(generator)
            piece.loops = 1
        self._keep_power()

    @torch.no_grad()
    def _keep_power(self) -> None:
        """Scale the first weights; the loops are homogeneous, so that c does it c^loops times."""
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
            # Normalising at every loop keeps long runs from overflowing.
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
        """Run all loops; shapes and results are described at the class."""
        arguments.flag("return_states", return_states)
        first, node_first = self._layers()[0], edge_index is not None
        x = admit(x, "x", first.weight, first.num_nodes, node_first=node_first)
        if state is not None:
            state = admit(state, "state", first.weight, first.num_nodes, node_first=node_first)
            check_start(state, x, inject=self.inject)
        current = x
        if self.inject:
            current = torch.zeros_like(x) if state is None else state
        states = [current]
        with parametrize.cached():
            for _ in range(self.loops):
                current = self._largest(current, edge_index)
                current = current + x if self.inject else current
                states = [*states, current] if return_states else states
        if return_states:
            return current, torch.stack(states)
        return current if state is None else (current, current.clone())

    def _largest(self, state: Tensor, edge_index: Tensor | None) -> Tensor:
        first, *others = (piece(state, edge_index) for piece in self._layers())
        for other in others:
            first = torch.maximum(first, other)
        return first

    def _layers(self) -> list[GraphLayer]:
        return cast(list[GraphLayer], list(self.pieces))

    def extra_repr(self) -> str:
        """The loops, which the pieces do not know."""
        return f"loops={self.loops}" + (", inject=True" if self.inject else "")
