"""A connectome between the layers of a classifier, and the classifier without it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphs import arguments, tensors
from sparsebrain import kernels
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.kernels.activations import check_activation
from sparsebrain.models.inputs import check_samples
from sparsebrain.models.neurons import Neurons, PlaceNeurons, ReadNeurons, find_neurons
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
"""The module of every activation between layers, by the names that the loops know it by."""


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
    """Make a classifier with a connectome in its middle.

    Linear - BatchNorm - activation - GraphLayer - BatchNorm - activation - Linear: the models of
    A. Ejima, "Neurons regarded as Graph", on any connectome. The layer itself has no bias, as
    there, unless it is asked for; the parts are reached by name, ``model.graph`` being the layer.

    Args:
        connectome: as :class:`~sparsebrain.GraphLayer` takes it; N neurons.
        num_classes: the width of the output.
        loops: of the graph layer.
        activation: outside the loops, a name out of :data:`ACTIVATIONS` or None.
        loop_activation: of the graph layer, inside its loops.
        inputs: the neurons that receive, all by default: their numbers, a mask [N] bool, names out
            of ``connectome.names``, or the name of one population out of ``node_type_names``. The
            others start from zero.
        outputs: the neurons that are read, all by default.
        in_features: the width of the input; the number of receiving neurons by default.
        layer: further options of the graph layer, such as ``init="identity"``, ``inject=True``,
            ``dale=True``, or ``checkpoint=True`` for hundreds of loops.

    Shapes:
        x [B, in_features] float -> class scores [B, num_classes]. Batch normalisation needs B > 1
        while training.

    Raises:
        ValueError: a neuron or a name that is not there, an unknown option, or no neuron that is
            read is reached in that many loops.
        TypeError: a count is no int, or an option that neither this nor the layer has.

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
    parts = _encoder(width_in if in_features is None else in_features, width_in, activation)
    if receiving is not None:
        parts["place"] = PlaceNeurons(receiving, graph.num_nodes)
    parts["graph"] = graph
    if read is not None:
        parts["read"] = ReadNeurons(read)
    parts["graph_norm"] = nn.BatchNorm1d(width_out)
    parts["graph_activation"] = ACTIVATIONS[activation]()
    parts["decode"] = _linear("num_classes", width_out, num_classes)
    return nn.Sequential(parts)


def perceptron(
    in_features: int, hidden: int, num_classes: int, *, activation: str | None = "relu"
) -> nn.Sequential:
    """Make what is left of :func:`classifier` without its graph: the model to compare it with.

    Linear - BatchNorm - activation - Linear, from [B, in_features] to [B, num_classes].

    Example:
        >>> import torch
        >>> from sparsebrain.models import perceptron
        >>> perceptron(64, 256, 10)(torch.randn(8, 64)).shape
        torch.Size([8, 10])
    """
    arguments.option("activation", activation, ACTIVATIONS)
    num_classes = arguments.count("num_classes", num_classes, at_least=1)
    parts = _encoder(in_features, hidden, activation)
    parts["decode"] = _linear("num_classes", hidden, num_classes)
    return nn.Sequential(parts)


def _encoder(in_features: int, hidden: int, activation: str | None) -> OrderedDict[str, nn.Module]:
    in_features, hidden = (
        arguments.count("in_features", in_features, at_least=1),
        arguments.count("hidden", hidden, at_least=1),
    )
    encode = _linear("hidden" if hidden > in_features else "in_features", in_features, hidden)
    encode.register_forward_pre_hook(_check_samples)
    return OrderedDict(
        encode=encode,
        encode_norm=nn.BatchNorm1d(hidden),
        encode_activation=ACTIVATIONS[activation](),
    )


def _linear(name: str, width_in: int, width_out: int) -> nn.Linear:
    """A linear layer; ``name`` is the argument to blame if it is too large for the memory."""
    size = width_in if name == "in_features" else width_out
    bytes_each = torch.get_default_dtype().itemsize
    tensors.room(f"{name}={size}", width_in * width_out * bytes_each, f"pass a smaller {name}")
    return nn.Linear(width_in, width_out)


def _check_samples(encode: nn.Module, inputs: tuple[Any, ...]) -> None:
    """The check of x before the first layer, which is followed by batch normalization."""
    x = check_samples(inputs[0], ("B", "F"), encode)
    if encode.training and len(x) == 1:
        raise ValueError(
            "x must hold two samples or more while training, as batch normalization compares them, "
            "got 1; pass a larger batch, or call model.eval()"
        )


def _check_reach(graph: GraphLayer, receiving: Tensor | None, read: Tensor | None) -> None:
    """ValueError if nothing that is put in can be read: on a graph without cycles, say."""
    structure = graph.structure
    signal = torch.ones(graph.num_nodes, 1, device=structure.device)
    if receiving is not None:
        signal = torch.zeros_like(signal).index_fill(0, receiving.to(structure.device), 1.0)
    synapses = torch.ones(structure.num_edges, device=structure.device)
    # An injected input and a leaking state stay: what is reached once is reached for good.
    stays = graph.inject or graph.leak is not None
    # The first loop brings an injected input in, and no further.
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
