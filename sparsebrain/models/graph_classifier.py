"""Classifiers with a connectome in the middle, and the same classifier without it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphs import arguments, tensors
from graphs.selection import Neurons, find_neurons
from sparsebrain import kernels
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.kernels.activations import check_activation
from sparsebrain.models.inputs import check_samples
from sparsebrain.models.neurons import PlaceNeurons, ReadNeurons
from sparsebrain.nn.graph_layer import GraphLayer

ACTIVATIONS: dict[str | None, type[nn.Module]] = {
    None: nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "hardtanh": nn.Hardtanh,
}
"""The module of every activation between layers, by the names that the loops use."""


def classifier(
    connectome: Data,
    num_classes: int,
    *,
    loops: int | Equilibrium = 5,
    activation: str | None = "relu",
    loop_activation: str | None = None,
    inputs: Neurons | None = None,
    outputs: Neurons | None = None,
    in_features: int | None = None,
    **layer: Any,
) -> nn.Sequential:
    """Make a classifier with a connectome in the middle.

    The model is Linear - BatchNorm - activation - GraphLayer - BatchNorm - activation - Linear, as
    in A. Ejima, "Neurons regarded as Graph", for any connectome. As in that article the graph layer
    has no bias by default. The parts have names; ``model.graph`` is the graph layer.

    Args:
        connectome: As for :class:`~sparsebrain.GraphLayer`; N neurons.
        num_classes: The width of the output.
        loops: The loops of the graph layer.
        activation: The activation outside the loops, a name from :data:`ACTIVATIONS` or None.
        loop_activation: The activation of the graph layer, inside its loops.
        inputs: The neurons that receive input, all by default: their numbers, a mask [N] bool,
            names from ``connectome.names``, or the name of one population from
            ``node_type_names``. All other neurons start from zero.
        outputs: The neurons that are read, in the same forms; all by default.
        in_features: The width of the input; the number of ``inputs`` by default.
        layer: Further options of the graph layer, such as ``init="identity"``, ``inject=True``,
            ``dale=True``, or ``checkpoint=True`` for hundreds of loops.

    Returns:
        A model that maps x [B, in_features] to class scores [B, num_classes]. While it is training,
        batch normalization needs B > 1.

    Raises:
        TypeError: If a count is not an int, or neither this function nor the layer has an option.
        ValueError: If a neuron or name does not exist, an option is unknown, or no input reaches a
            neuron that is read within the loops.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from sparsebrain.models import classifier
        >>> ring = Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
        >>> model = classifier(ring, num_classes=2, loops=3, inputs=[0, 1], outputs=[2, 3])
        >>> model(torch.randn(8, 2)).shape
        torch.Size([8, 2])
    """
    arguments.option("activation", activation, ACTIVATIONS)
    num_classes = arguments.count("num_classes", num_classes, at_least=1)
    check_activation(loop_activation, ACTIVATIONS, "loop_activation")
    graph = GraphLayer(connectome, loops, activation=loop_activation, **layer)
    receiving = None if inputs is None else find_neurons(connectome, inputs, "inputs")
    read = None if outputs is None else find_neurons(connectome, outputs, "outputs")
    _check_reach(graph, receiving, read)
    width_in = graph.num_nodes if receiving is None else len(receiving)
    width_out = graph.num_nodes if read is None else len(read)
    parts = encoder(width_in if in_features is None else in_features, width_in, activation)
    if receiving is not None:
        parts["place"] = PlaceNeurons(receiving, graph.num_nodes)
    parts["graph"] = graph
    if read is not None:
        parts["read"] = ReadNeurons(read)
    parts["graph_norm"] = nn.BatchNorm1d(width_out)
    parts["graph_activation"] = ACTIVATIONS[activation]()
    parts["decode"] = linear("num_classes", width_out, num_classes)
    return nn.Sequential(parts)


def perceptron(
    in_features: int, hidden: int, num_classes: int, *, activation: str | None = "relu"
) -> nn.Sequential:
    """Make the model of :func:`classifier` without its graph, for comparison.

    Args:
        in_features: The width of the input.
        hidden: The width of the hidden layer.
        num_classes: The width of the output.
        activation: The activation, a name from :data:`ACTIVATIONS` or None.

    Returns:
        Linear - BatchNorm - activation - Linear, from x [B, in_features] to class scores
        [B, num_classes].

    Raises:
        TypeError: If a count is not an int.
        ValueError: If a count is less than 1, or the activation is unknown.

    Example:
        >>> import torch
        >>> from sparsebrain.models import perceptron
        >>> perceptron(64, 256, 10)(torch.randn(8, 64)).shape
        torch.Size([8, 10])
    """
    arguments.option("activation", activation, ACTIVATIONS)
    num_classes = arguments.count("num_classes", num_classes, at_least=1)
    parts = encoder(in_features, hidden, activation)
    parts["decode"] = linear("num_classes", hidden, num_classes)
    return nn.Sequential(parts)


def encoder(in_features: int, hidden: int, activation: str | None) -> OrderedDict[str, nn.Module]:
    """Make the layers before the connectome: Linear - BatchNorm - activation."""
    in_features, hidden = (
        arguments.count("in_features", in_features, at_least=1),
        arguments.count("hidden", hidden, at_least=1),
    )
    encode = linear("hidden" if hidden > in_features else "in_features", in_features, hidden)
    encode.register_forward_pre_hook(_check_samples)
    return OrderedDict(
        encode=encode,
        encode_norm=nn.BatchNorm1d(hidden),
        encode_activation=ACTIVATIONS[activation](),
    )


def linear(name: str, width_in: int, width_out: int) -> nn.Linear:
    """Make a linear layer; ``name`` is the argument that makes it too large for the memory."""
    size = width_in if name == "in_features" else width_out
    bytes_each = torch.get_default_dtype().itemsize
    tensors.room(f"{name}={size}", width_in * width_out * bytes_each, f"pass a smaller {name}")
    return nn.Linear(width_in, width_out)


def _check_samples(encode: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Check x before the first layer, which batch normalization follows."""
    x = check_samples(inputs[0], ("B", "F"), encode)
    if encode.training and len(x) == 1:
        raise ValueError(
            "x must hold two samples or more while training, as batch normalization compares them, "
            "got 1; pass a larger batch, or call model.eval()"
        )


def _check_reach(graph: GraphLayer, receiving: Tensor | None, read: Tensor | None) -> None:
    """Raise ValueError if no input reaches a neuron that is read, as on a graph without cycles."""
    structure = graph.structure
    signal = torch.ones(graph.num_nodes, 1, device=structure.device)
    if receiving is not None:
        signal = torch.zeros_like(signal).index_fill(0, receiving.to(structure.device), 1.0)
    synapses = torch.ones(structure.num_edges, device=structure.device)
    # With an injected input or a leak, a neuron that was reached once keeps its signal.
    stays = graph.inject or graph.leak is not None
    # The first loop only adds an injected input to the state.
    exchanges = graph.loops - graph.inject if isinstance(graph.loops, int) else graph.num_nodes
    for _ in range(exchanges):
        before = signal
        signal = kernels.propagate(structure, synapses, signal).clamp(max=1)
        if stays:
            signal = torch.maximum(before, signal)
            if torch.equal(before, signal):
                break
    if not bool((signal if read is None else signal[read.to(structure.device)]).any()):
        raise ValueError(
            f"loops={graph.loops} is too few for an input to reach a neuron that is read; pass "
            "more loops, for a graph without cycles as many as its depth, or other outputs"
        )
