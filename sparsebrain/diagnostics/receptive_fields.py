"""The inputs that reach a neuron, and how strongly the neuron responds to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain import kernels
from sparsebrain.diagnostics.plotting import BLUE, RED, axes_of, loop_axis
from sparsebrain.diagnostics.tracing import Call, find_layer, trace
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.kernels.checks import MOST_LOOPS
from sparsebrain.nn.graph_layer import GraphLayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Numbers = int | Sequence[int] | Tensor


@dataclass(frozen=True, eq=False)
class Reach:
    """The inputs that can reach a neuron.

    Attributes:
        neurons: int64 [K], the neurons that are reached.
        reached: bool [loops + 1, K, N], whether the input of neuron n reaches neuron k.
    """

    neurons: Tensor
    reached: Tensor

    @property
    def size(self) -> Tensor:
        """The number of inputs, int64 [loops + 1, K]."""
        return self.reached.sum(2)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot the mean number of inputs that reach a neuron, by loop.

        Args:
            ax: The axes to draw on; those of a new figure by default.

        Returns:
            The axes.
        """
        ax = axes_of(ax)
        ax.plot(self.size.double().mean(1), color=BLUE, lw=2)
        loop_axis(ax, "inputs that reach a neuron")
        return ax


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    r"""The response of a neuron to each input.

    Attributes:
        neurons: int64 [K], the responding neurons.
        gradient: [loops + 1, K, N], :math:`|\partial x_k(L) / \partial x_n(0)|`, the mean over the
            samples. With ``inject=True`` it is the derivative with respect to the input of n, which
            is added at every loop.
        reached: bool [loops + 1, K, N], as in :class:`Reach`; where False, the gradient is zero.
    """

    neurons: Tensor
    gradient: Tensor
    reached: Tensor

    @property
    def size(self) -> Tensor:
        r"""The effective number of inputs [loops + 1, K], :math:`(\sum g)^2 / \sum g^2`.

        It equals n for n equal gradients, and is smaller than the number of inputs reached if some
        contribute little.
        """
        # Normalize first, because the squares of small gradients would underflow.
        share = self.gradient / self.gradient.amax(2, keepdim=True)
        return (share.sum(2).square() / share.square().sum(2)).nan_to_num(nan=0.0)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot the mean effective number of inputs and the mean number reached, by loop.

        Args:
            ax: The axes to draw on; those of a new figure by default.

        Returns:
            The axes.
        """
        ax = axes_of(ax)
        ax.plot(self.reached.sum(2).double().mean(1), color=BLUE, lw=2, label="reached")
        ax.plot(self.size.mean(1), color=RED, lw=2, label="effective")
        loop_axis(ax, "inputs of a neuron")
        ax.legend(frameon=False)
        return ax

    def plot_map(
        self, shape: tuple[int, int], *, which: int = 0, loop: int = -1, ax: Axes | None = None
    ) -> Axes:
        """Plot the gradient of one neuron as an image of a grid, with an outline of its reach.

        Args:
            shape: The (height, width) of the grid, with N neurons in row-major order.
            which: The index of the neuron in ``neurons``.
            loop: The number of loops, or -1 for the last.
            ax: The axes to draw on; those of a new figure by default.

        Returns:
            The axes.

        Raises:
            TypeError: ``which`` or ``loop`` is not an integer, or ``shape`` is not a pair of
                integers.
            ValueError: ``which`` or ``loop`` is out of range, or ``shape`` does not hold N neurons.
        """
        loops, neurons, inputs = self.gradient.shape
        sides = arguments.counts("shape", shape, "(28, 28)")
        if len(sides) != 2 or sides[0] * sides[1] != inputs:
            raise ValueError(
                f"shape must be (height, width) of the {inputs} neurons, got {tuple(sides)}; pass "
                f"for example shape=(1, {inputs})."
            )
        which = arguments.count("which", which, at_most=neurons - 1)
        loop = loops - 1 if loop == -1 else arguments.count("loop", loop, at_most=loops - 1)
        ax = axes_of(ax)
        picture = self.gradient[loop, which].unflatten(0, sides)
        reached = self.reached[loop, which].unflatten(0, sides)
        shown = ax.imshow(picture.numpy(), cmap="magma", vmin=0)
        # Pad with unreached places so that the outline is closed at the border.
        framed = torch.nn.functional.pad(reached.double(), (1, 1, 1, 1)).numpy()
        fine = framed.repeat(8, 0).repeat(8, 1)
        edges = [(torch.arange(8 * (n + 2)) + 0.5) / 8 - 1.5 for n in reversed(sides)]
        if bool(reached.any()):
            ax.contour(*edges, fine, levels=[0.5], colors="white", linewidths=1)
        ax.set(
            xticks=[],
            yticks=[],
            xlim=(-1, sides[1]),
            ylim=(sides[0], -1),
            title=f"neuron {int(self.neurons[which])}, {loop} loops",
        )
        ax.set_facecolor("0.85")
        ax.figure.colorbar(shown, ax=ax, label="mean |gradient|")
        return ax


def reach(
    model: nn.Module,
    neurons: Numbers,
    *,
    loops: int | None = None,
    layer: GraphLayer | None = None,
) -> Reach:
    """Find the inputs that can reach some neurons in L loops, by following synapses backwards.

    The state x(0) of n reaches x(L) of k along a walk of exactly L synapses. With ``inject=True``
    an input is added at every loop and reaches k along any walk of fewer than L synapses. On a grid
    of radius d with self-loops, the inputs are those within Chebyshev distance d L. Weights are not
    taken into account, even if they are zero.

    Args:
        model: A GraphLayer, or a model with one.
        neurons: The numbers of K neurons, or one number.
        loops: The number of loops L; the layer's own by default.
        layer: The layer to analyze, if the model has several.

    Returns:
        The reach.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: ``neurons`` are not from 0 to N - 1, ``loops`` is not 1 or more, or the model
            has no such layer.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer, diagnostics
        >>> from torch_geometric.data import Data
        >>> line = Data(edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]), num_nodes=4)
        >>> diagnostics.reach(GraphLayer(line, loops=2), 3).reached[:, 0].int()
        tensor([[0, 0, 0, 1],
                [0, 0, 1, 0],
                [0, 1, 0, 0]], dtype=torch.int32)
    """
    layer = find_layer(model, layer)
    neurons = _numbers(neurons, layer.num_nodes)
    if loops is None:
        if isinstance(layer.loops, Equilibrium):
            raise ValueError(
                "an Equilibrium has no number of loops for which to follow synapses; pass loops=N."
            )
        loops = layer.loops
    loops = arguments.count("loops", loops, at_least=1, at_most=MOST_LOOPS)
    structure = layer.structure
    size = 5 * (loops + 1) * len(neurons) * layer.num_nodes
    tensors.room(f"loops={loops}", size, "pass fewer loops or neurons")
    place = torch.arange(len(neurons), device=structure.device)
    itself = torch.zeros(layer.num_nodes, len(neurons), device=structure.device)
    itself[neurons.to(structure.device), place] = 1
    synapses = torch.ones(structure.num_edges, device=structure.device)
    signal = torch.zeros_like(itself) if layer.inject else itself
    reached = [signal]
    for _ in range(loops):
        # Injection starts new walks at every loop, so walks of all lengths so far are combined.
        signal = kernels.backpropagate(structure, synapses, signal).clamp(max=1)
        signal = torch.maximum(signal, itself) if layer.inject else signal
        reached.append(signal)
    return Reach(neurons, torch.stack(reached).mT.bool().cpu())


def receptive_field(
    model: nn.Module, x: Call, neurons: Numbers, *, layer: GraphLayer | None = None
) -> ReceptiveField:
    """Measure by gradients how strongly some neurons respond to each input.

    The computation takes K backward passes for every loop, O(K loops^2 E) time per sample and
    O(loops K N) memory.

    Args:
        model: A GraphLayer, or a model that calls one once, in its current mode.
        x: The input of the model; a tuple if the model takes several arguments.
        neurons: The numbers of K neurons, or one number.
        layer: The layer to analyze, if the model has several.

    Returns:
        The receptive field, together with the reach.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: As for :func:`reach`.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer, diagnostics
        >>> from torch_geometric.data import Data
        >>> pair = Data(
        ...     edge_index=torch.tensor([[0, 1], [1, 1]]),
        ...     num_nodes=2,
        ...     edge_weight=torch.tensor([3.0, -0.5]),
        ... )
        >>> layer = GraphLayer(pair, loops=2, init="edge_weight")
        >>> diagnostics.receptive_field(layer, torch.randn(4, 2), 1).gradient[:, 0]
        tensor([[0.0000, 1.0000],
                [3.0000, 0.5000],
                [1.5000, 0.2500]])
    """
    if isinstance(find_layer(model, layer).loops, Equilibrium):
        raise ValueError(
            "model has an Equilibrium, which keeps one state, while gradients by loop need all; "
            "make a layer with loops=N, inject=True and the same weights, or call "
            "reach(model, neurons, loops=N) for the reach alone."
        )
    field = reach(model, neurons, layer=layer)
    seen = trace(model, x, layer, learns=True)
    gradient = seen.given.new_zeros(field.reached.shape)
    for loop, state in enumerate(seen.states):
        if not state.requires_grad:
            continue
        for place, neuron in enumerate(field.neurons.tolist()):
            (slope,) = torch.autograd.grad(
                _at(state, neuron, seen.layer.num_nodes, seen.node_first).sum(),
                seen.given,
                retain_graph=True,
                materialize_grads=True,
            )
            gradient[loop, place] = seen.rows(slope).abs().mean(0)
    return ReceptiveField(field.neurons, gradient.cpu(), field.reached)


def _at(state: Tensor, neuron: int, num_nodes: int, node_first: bool) -> Tensor:
    return state[neuron::num_nodes] if node_first else state[..., neuron]


def _numbers(neurons: Numbers, num_nodes: int) -> Tensor:
    expected = "neurons must be the numbers of neurons [K], or one number"
    fix = "pass neurons=[0, 1]"
    if isinstance(neurons, Tensor):
        tensors.tensor("neurons", neurons, dtypes=(*tensors.INTEGERS, torch.bool))
        neurons = neurons.tolist()
    if not arguments.is_list(neurons):
        neurons = [arguments.count("neurons", neurons, at_most=num_nodes - 1)]
    given = np.atleast_1d(arguments.array(expected, neurons, fix))
    if given.dtype == bool:
        raise TypeError(f"{expected}, got a mask; pass mask.nonzero().flatten().")
    if given.ndim != 1 or not given.size or given.dtype.kind not in "iu":
        raise ValueError(f"{expected}, got {arguments.described(neurons)}; {fix}")
    arguments.node_numbers("neurons", given, num_nodes)
    return torch.from_numpy(given.astype(np.int64))
