"""Whole models around the graph layer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.data import Data

from sparsebrain import kernels
from sparsebrain.fixed import Fixed
from sparsebrain.layer import GraphLayer
from sparsebrain.options import check_choice, check_count

Neurons = str | Sequence[int] | Sequence[str] | NDArray[Any] | Tensor

ACTIVATIONS: dict[str | None, type[nn.Module]] = {
    None: nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def classifier(
    connectome: Data,
    num_classes: int,
    *,
    loops: int = 5,
    activation: str | None = "relu",
    inputs: Neurons | None = None,
    outputs: Neurons | None = None,
    in_features: int | None = None,
) -> nn.Sequential:
    """Make a classifier with a connectome in its middle.

    Linear - BatchNorm - activation - GraphLayer - BatchNorm - activation - Linear: the models of
    A. Ejima, "Neurons regarded as Graph", on any connectome. The layer itself has neither bias nor
    activation, as there; its parts are reached by name, ``model.graph`` being the layer.

    Args:
        connectome: as :class:`~sparsebrain.GraphLayer` takes it; N neurons.
        num_classes: the width of the output.
        loops: of the graph layer.
        activation: "relu", "leaky_relu", "tanh", "sigmoid" or None, outside the loops.
        inputs: the neurons that receive, all by default: their numbers, a mask [N] bool, names out
            of ``connectome.names``, or the name of one population out of ``node_type_names``. The
            others start from zero.
        outputs: the neurons that are read, all by default.
        in_features: the width of the input; the number of receiving neurons by default.

    Shapes:
        x [B, in_features] float -> class scores [B, num_classes]. Batch normalisation needs B > 1
        while training.

    Raises:
        ValueError: a neuron or a name that is not there, an unknown option, or no neuron that is
            read is reached in that many loops.
        TypeError: a count is no int.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from sparsebrain.models import classifier
        >>> ring = Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
        >>> model = classifier(ring, num_classes=2, loops=3, inputs=[0, 1], outputs=[2, 3])
        >>> model(torch.randn(8, 2)).shape
        torch.Size([8, 2])
    """
    num_classes = check_count("num_classes", num_classes)
    graph = GraphLayer(connectome, loops)
    receiving = None if inputs is None else _find(connectome, inputs, "inputs")
    read = None if outputs is None else _find(connectome, outputs, "outputs")
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
    parts["decode"] = nn.Linear(width_out, num_classes)
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
    num_classes = check_count("num_classes", num_classes)
    parts = _encoder(in_features, hidden, activation)
    parts["decode"] = nn.Linear(hidden, num_classes)
    return nn.Sequential(parts)


class PlaceNeurons(Fixed):
    """Gives values [..., K] to K of N neurons and zero to the others: [..., N]."""

    def __init__(self, neurons: Tensor, num_nodes: int) -> None:
        super().__init__(neurons)
        self.num_nodes = num_nodes

    def forward(self, x: Tensor) -> Tensor:
        """Place the values."""
        return x.new_zeros(*x.shape[:-1], self.num_nodes).index_copy(-1, self.value, x)

    def extra_repr(self) -> str:
        """Tell how many of how many."""
        return f"{len(self.value)} of {self.num_nodes} neurons"


class ReadNeurons(Fixed):
    """Reads K of N neurons: [..., N] -> [..., K]."""

    def forward(self, x: Tensor) -> Tensor:
        """Read the values."""
        return x.index_select(-1, self.value)

    def extra_repr(self) -> str:
        """Tell how many."""
        return f"{len(self.value)} neurons"


def _encoder(in_features: int, hidden: int, activation: str | None) -> OrderedDict[str, nn.Module]:
    in_features, hidden = check_count("in_features", in_features), check_count("hidden", hidden)
    check_choice("activation", activation, ACTIVATIONS)
    return OrderedDict(
        encode=nn.Linear(in_features, hidden),
        encode_norm=nn.BatchNorm1d(hidden),
        encode_activation=ACTIVATIONS[activation](),
    )


def _find(connectome: Data, neurons: Neurons, option: str) -> Tensor:
    """The numbers [K] of the neurons that a caller names in one of several ways."""
    num_nodes = int(connectome.num_nodes)
    if isinstance(neurons, str):
        given = _find_population(connectome, neurons, option)
    else:
        given = neurons.cpu().numpy() if isinstance(neurons, Tensor) else np.asarray(neurons)
    if given.dtype.kind == "U" and given.ndim == 1:
        given = _find_names(connectome, given.tolist(), option)
    elif given.dtype == bool and given.shape == (num_nodes,):
        given = given.nonzero()[0]
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise ValueError(
            f"{option} must be neuron numbers [K], a mask [{num_nodes}] of bool, names or a "
            f"population, got {neurons!r}."
        )
    if not given.size or given.min() < 0 or given.max() >= num_nodes:
        raise ValueError(
            f"{option} must name at least one neuron, all from 0 to {num_nodes - 1}, "
            f"got {given.tolist()[:8]}."
        )
    if len(np.unique(given)) < len(given):
        raise ValueError(f"{option} names a neuron twice; name each once.")
    return torch.from_numpy(given.astype(np.int64))


def _check_reach(graph: GraphLayer, receiving: Tensor | None, read: Tensor | None) -> None:
    """ValueError if nothing that is put in can be read: on a graph without cycles, say."""
    structure = graph.structure
    signal = torch.ones(graph.num_nodes, 1, device=structure.device)
    if receiving is not None:
        signal = torch.zeros_like(signal).index_fill(0, receiving.to(structure.device), 1.0)
    synapses = torch.ones(structure.num_edges, device=structure.device)
    for _ in range(graph.loops):
        signal = kernels.propagate(structure, synapses, signal).clamp(max=1)
    if not bool((signal if read is None else signal[read.to(structure.device)]).any()):
        raise ValueError(
            f"no neuron that is read is reached from one that receives in {graph.loops} loops; "
            "on a graph without cycles, such as graphs.layered, let loops be its depth."
        )


def _find_population(connectome: Data, name: str, option: str) -> NDArray[np.int64]:
    populations = getattr(connectome, "node_type_names", None)
    if populations is None or getattr(connectome, "node_type", None) is None:
        raise ValueError(
            f"{option}={name!r} names a population, but the connectome has no node_type and "
            f"node_type_names; pass a list of neurons, as in {option}=[0, 1]."
        )
    check_choice(option, name, populations)
    of_population = connectome.node_type == list(populations).index(name)
    return np.flatnonzero(of_population.cpu().numpy())


def _find_names(connectome: Data, wanted: list[str], option: str) -> NDArray[np.int64]:
    names = getattr(connectome, "names", None)
    if names is None:
        raise ValueError(
            f"{option} holds names, but the connectome has none; set connectome.names, or pass "
            "neuron numbers."
        )
    number = {name: place for place, name in enumerate(names)}
    for name in wanted:
        if name not in number:
            raise ValueError(f"{option} names {name!r}, which is not in connectome.names.")
    return np.array([number[name] for name in wanted])
