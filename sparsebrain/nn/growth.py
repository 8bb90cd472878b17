"""Growing and pruning a trained layer, together with the state of its optimizer."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import validate_as
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.replacement import follow, weight_parameter


# Tensors made in inference mode could not be trained afterwards.
@torch.inference_mode(False)
def rewire(
    layer: GraphLayer,
    connectome: Data,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    init: Literal["edge_weight"] | None = None,
) -> Tensor:
    """Give a trained layer the synapses of another connectome, in place.

    Synapses that stay keep their weights and the optimizer's state, such as the moments of Adam and
    the momentum of SGD. New synapses start as in a new layer of this connectome, and with an
    optimizer state of zero. All other parameters of the layer stay as they are. The parameter of
    the weight remains the same object, of another length, so that the optimizer continues with it.
    Losses of earlier calls may stay referenced, but must not be differentiated again. Takes
    O(N + E log E) time.

    With ``weight_sharing`` the shared weights stay whose type, source, target, projection or pair
    of neurons is the same. With ``gain`` the gains stay in the same way, and all strengths are
    those of ``connectome``. The constraint of an Equilibrium scales the weights for the new
    synapses.

    Args:
        layer: The layer.
        connectome: A connectome of the same N neurons, with the fields that the options of the
            layer need, such as signs for ``dale``.
        optimizer: The optimizer that trains the layer; None if it keeps nothing for each weight, as
            moments would then belong to other synapses.
        init: How new synapses start: "edge_weight" uses the weights of ``connectome``, for example
            zeros, which do not change the output. None uses the ``init`` of the layer.

    Returns:
        The previous position of each value of the weight, int64 in its new shape ([E] without
        ``weight_sharing`` and ``gain``), or -1 if it is new.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``connectome`` breaks the contract, has another number of neurons, other
            populations than those of a bias, threshold or leak, other fixed signs of synapses that
            stay, or two synapses between the same neurons; or the optimizer does not train the
            weight, or cannot follow.

    Example:
        >>> import graphs, torch
        >>> from sparsebrain import GraphLayer
        >>> from sparsebrain.nn import rewire
        >>> layer = GraphLayer(graphs.grid_local(4, 1, self_loops=False))
        >>> optimizer = torch.optim.Adam(layer.parameters())
        >>> rewire(layer, graphs.layered([1, 1, 1, 1]), optimizer).tolist()
        [1, 3, 5]
        >>> layer
        GraphLayer(4 neurons, 3 synapses, loops=1)
    """
    _check_layer(layer)
    arguments.option("init", init, (None, "edge_weight"))
    if not isinstance(connectome, Data):
        raise TypeError(
            "connectome must be a torch_geometric.data.Data, got "
            f"{arguments.described(connectome)}; pass what a function of graphs returns"
        )
    validate_as("connectome", connectome)
    if connectome.num_nodes != layer.num_nodes:
        raise ValueError(
            f"connectome must have the layer's {layer.num_nodes} neurons, got "
            f"{connectome.num_nodes}; pass one of the same neurons, or make a new layer"
        )
    parameter = weight_parameter(layer)
    if optimizer is not None:
        check_optimizer(optimizer, parameter)
    options: dict[str, Any] = {
        "activation": None if layer.activation == "none" else layer.activation,
        "weight_sharing": layer.weight_sharing,
        "gain": layer.gain_sharing,
        "dale": layer.keeps_signs,
        "init": layer.init if init is None else init,
        "backend": layer.backend,
    }
    other = GraphLayer(
        connectome, layer.loops, device=parameter.device, dtype=parameter.dtype, **options
    )
    by = layer.gain_sharing or layer.weight_sharing
    origin = _origin(_keys(layer, by, "layer"), _keys(other, by, "connectome"), layer.num_nodes)
    shape = parameter.shape
    layer.adopt_synapses(other, origin, connectome)
    if optimizer is not None:
        follow_state(optimizer, parameter, shape, origin)
    return origin


def check_optimizer(optimizer: Any, parameter: nn.Parameter) -> torch.optim.Optimizer:
    """Return the optimizer; TypeError or ValueError if its state cannot follow the synapses."""
    fix = "pass torch.optim.SGD(layer.parameters(), lr=0.1)"
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer must be a torch.optim.Optimizer, got {arguments.described(optimizer)}; "
            f"{fix}"
        )
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError(
            "optimizer must keep a state for each parameter, and LBFGS keeps one of all of them; "
            f"{fix}"
        )
    if not any(each is parameter for group in optimizer.param_groups for each in group["params"]):
        raise ValueError(f"optimizer must train the weight of the layer, but does not; {fix}")
    return optimizer


def follow_state(
    optimizer: torch.optim.Optimizer, parameter: nn.Parameter, shape: torch.Size, origin: Tensor
) -> None:
    """Reorder everything that an optimizer keeps for each value of a parameter.

    Args:
        optimizer: The optimizer.
        parameter: The parameter.
        shape: The shape of the parameter before.
        origin: The previous position of each value, or -1 if it is new; its state is then 0.
    """
    state = optimizer.state.get(parameter, {})
    for name, value in state.items():
        if isinstance(value, Tensor) and value.shape == shape:
            state[name] = follow(value, origin)


def _check_layer(layer: Any) -> None:
    if not isinstance(layer, GraphLayer):
        raise TypeError(
            f"layer must be a GraphLayer, got {arguments.described(layer)}; pass "
            "sparsebrain.GraphLayer(connectome), or the layer of a model"
        )
    own = dict(layer.named_parameters(recurse=False))
    if "weight" not in own and not parametrize.is_parametrized(layer, "weight"):
        raise ValueError(
            "layer must have its weight as a parameter, which pruning replaced; call "
            "torch.nn.utils.prune.remove(layer, 'weight')"
        )
    if layer.weight.is_meta:
        raise ValueError(
            "layer must have weights with values, got some on 'meta'; call "
            "layer.to_empty(device='cpu')"
        )


def _keys(layer: GraphLayer, by: str, name: str) -> Tensor:
    """Return two numbers [2, G] that identify each weight or gain of a layer."""
    if by == "projection":
        assert layer.projections is not None
        return layer.projections
    if by in ("type", "source", "target"):
        numbers = torch.arange(len(weight_parameter(layer)), device=layer.weight.device)
        return torch.stack([torch.zeros_like(numbers), numbers])
    keys = layer.edge_index
    if by == "pair":
        low, high = keys.aminmax(dim=0)
        forward = keys[0] <= keys[1]
        # Pairs are numbered by their ends, and each has one synapse from the lower to the higher.
        keys = torch.stack([low, high])[:, forward]
        keys = keys[:, (keys[0] * layer.num_nodes + keys[1]).argsort()]
    place = keys[0] * layer.num_nodes + keys[1]
    if len(place.unique()) < len(place):
        raise ValueError(
            f"{name} must have one synapse from a neuron to another to be rewired, got several of "
            "different edge_type; make the layer with weight_sharing='type', or pass "
            "torch_geometric.transforms.RemoveDuplicatedEdges()(data) without edge_type"
        )
    return keys


def _origin(before: Tensor, after: Tensor, size: int) -> Tensor:
    """Return the position in ``before`` of each key in ``after``, or -1."""
    width = max(size, int(before[1].max()) + 1 if before.numel() else 1)
    width = max(width, int(after[1].max()) + 1 if after.numel() else 1)
    old, new = (keys[0] * width + keys[1] for keys in (before, after))
    if not len(old):
        return torch.full_like(new, -1)
    old, order = old.sort()
    at = torch.searchsorted(old, new).clamp(max=len(old) - 1)
    return torch.where(old[at] == new, order[at], -1)
