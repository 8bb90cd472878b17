"""Connectomes of types: each type of neurons becomes one node."""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build, checked, signs
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

    Types a and b are connected by one synapse, of the signed weight

    .. math:: w_{ab} = \sum_{s \in a,\, t \in b} w_{st}

    or its mean over the synapses between them, where :math:`w_{st}` has the sign that
    :func:`graphs.signed_weights` gives it. Synapses within a type become a self-loop. Synapses of
    different ``edge_type`` stay apart. Takes O(N + E) time without ``edge_type`` and O(N + E log E)
    with it.

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
        ``node_sign`` of those with a known sign; so has a synapse its ``edge_sign``. The sign is 0
        (unknown) where known signs differ, or a weight has the other sign, and ``edge_weight`` is
        then the signed weight. Where the sign is -1 it is a magnitude, unless `data` has negative
        weights. ``edge_type`` and ``edge_type_names`` stay, other fields are left out. A type
        without neurons stays as an isolated node, at the origin if there is a ``pos``.

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
    signed = _signed(data, values)
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
    node_sign = _agreed(data, "node_sign", group, len(names))
    edge_sign = _agreed(data, "edge_sign", at, len(first))
    weight_sign = edge_sign
    if edge_sign is not None:
        _drop_contradicted(edge_sign, at, signed)
    elif node_sign is not None:
        _drop_contradicted(node_sign, source, signed)
        weight_sign = node_sign[source[first]]
    combined = _combined(signed, at, len(first), combine)
    if weight_sign is not None and not (values < 0).any():
        # Counts stay counts.
        np.abs(combined, out=combined, where=weight_sign < 0)
    fields: dict[str, Any] = {
        "edge_weight": combined,
        "edge_sign": edge_sign,
        "edge_type": None if kind is None else kind[first],
        "edge_type_names": list(data["edge_type_names"]) if "edge_type_names" in data else None,
        "node_sign": node_sign,
        "pos": _mean_positions(data, group, size),
    }
    return build(len(names), source[first], target[first], **fields, names=names, node_size=size)


def _signed(data: Data, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights with the signs of the synapses."""
    known = signs(data)
    return values if known is None else np.where(known < 0, -np.abs(values), values)


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


def _drop_contradicted(
    sign: NDArray[np.float32], group: Index, signed: NDArray[np.float64]
) -> None:
    """Set the sign of each group to 0 of which a weight has the other sign."""
    sign[group[sign[group] * signed < 0]] = 0


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
