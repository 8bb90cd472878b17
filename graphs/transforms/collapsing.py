"""Connectomes of types: each type of neurons becomes one node."""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build, checked
from graphs.fields import array
from graphs.ordering import canonical_order
from graphs.partitions import named_groups
from graphs.weights import weights

Combine = Literal["sum", "mean"]
_COMBINE: tuple[Combine, ...] = get_args(Combine)


def collapse(
    data: Data,
    partition: ArrayLike | None = None,
    *,
    combine: Combine = "sum",
    weight: str | None = "edge_weight",
) -> Data:
    r"""Return the connectome of types, in which each node is a type of neurons.

    Types a and b are connected by one synapse, of the weight

    .. math:: w_{ab} = \sum_{s \in a,\, t \in b} w_{st}

    or its mean over the synapses between them. Synapses within a type become a self-loop. Synapses
    of different ``edge_type`` stay apart. Takes O(N + E) time without ``edge_type`` and O(N + E log
    E) with it.

    Args:
        data: A connectome.
        partition: The type of each neuron, [N] integers or text. The default is ``node_type``, with
            its ``node_type_names``.
        combine: Whether weights are added up ("sum") or averaged over the synapses ("mean").
        weight: The name of a field of weights, or None, which counts each synapse as 1. A
            connectome without ``edge_weight`` has weights of 1.

    Returns:
        A connectome with ``edge_weight`` (float32), ``names`` and ``node_size``, the number of
        neurons of each type [K] int64. A type has the mean ``pos`` of its neurons, and the
        ``node_sign`` of those with a known sign if they agree, otherwise 0 (unknown); so has a
        synapse its ``edge_sign``. ``edge_type`` and ``edge_type_names`` stay, other fields are left
        out. A type without neurons stays as an isolated node, at the origin if there is a ``pos``.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `data` breaks the contract, `partition` is missing or has the wrong size, there
            is no field `weight`, or the sum of weights is too large for float32.

    Example:
        >>> import graphs
        >>> types = graphs.collapse(graphs.layered([2, 3]), ["in", "in", "out", "out", "out"])
        >>> types.names, types.edge_index.tolist(), types.edge_weight.tolist()
        (['in', 'out'], [[0], [1]], [6.0])
    """
    _, (source, target), *_ = checked(data)
    combine = arguments.option("combine", combine, _COMBINE)
    group, names = named_groups(data, partition)
    values = weights(data, weight, negative=True)
    values = np.ones(len(source)) if values is None else values
    kind = array(data, "edge_type") if "edge_type" in data else None
    source, target = group[source], group[target]
    order = canonical_order(len(names), source, target, kind)
    keys = [each[order] for each in (target, source, kind) if each is not None]
    new = np.ones(len(order), dtype=bool)
    new[1:] = np.any([each[1:] != each[:-1] for each in keys], axis=0)
    # The number of the new synapse that each old one belongs to.
    at = np.empty(len(order), np.int64)
    at[order] = np.cumsum(new) - 1
    first = order[new]
    size = np.bincount(group, minlength=len(names))
    fields: dict[str, Any] = {
        "edge_weight": _combined(values, at, len(first), combine),
        "edge_sign": _agreed(data, "edge_sign", at, len(first)),
        "edge_type": None if kind is None else kind[first],
        "edge_type_names": list(data["edge_type_names"]) if "edge_type_names" in data else None,
        "node_sign": _agreed(data, "node_sign", group, len(names)),
        "pos": _mean_positions(data, group, size),
    }
    return build(len(names), source[first], target[first], **fields, names=names, node_size=size)


def _combined(
    values: NDArray[np.float64], at: Index, size: int, combine: Combine
) -> NDArray[np.float32]:
    total: NDArray[np.float64] = np.bincount(at, values, minlength=size).astype(np.float64)
    if combine == "mean":
        total /= np.bincount(at, minlength=size)
    if (np.abs(total) > np.finfo(np.float32).max).any():
        raise ValueError(
            f"edge_weight must have sums that float32 can hold, got {np.abs(total).max():.3g}; "
            "pass combine='mean', or divide data.edge_weight by 1e6"
        )
    return total.astype(np.float32)


def _agreed(data: Data, name: str, group: Index, size: int) -> NDArray[np.float32] | None:
    """Return the sign that all members of known sign share, 0 if none is known or they differ."""
    if name not in data:
        return None
    sign = array(data, name)
    some = [np.bincount(group[sign == each], minlength=size) > 0 for each in (1, -1)]
    return some[0].astype(np.float32) - some[1].astype(np.float32)


def _mean_positions(data: Data, group: Index, size: Index) -> NDArray[np.float64] | None:
    if "pos" not in data:
        return None
    pos = array(data, "pos").astype(np.float64)
    return np.stack(
        [
            np.bincount(group, pos[:, axis], minlength=len(size)) / np.maximum(size, 1)
            for axis in range(pos.shape[1])
        ],
        axis=1,
    )
