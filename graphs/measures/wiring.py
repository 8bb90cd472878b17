"""Wiring length: the lengths of the synapses."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import compiled
from graphs.contract import Index, checked


class WiringLength(NamedTuple):
    """Length of the synapses between two neurons, in the unit of ``pos``.

    Attributes:
        mean: Mean length, nan without synapses.
        total: Sum of the lengths.
    """

    mean: float
    total: float


def wiring_length(data: Data) -> WiringLength:
    r"""Return the mean and total Euclidean length of the synapses.

    .. math:: \text{total} = \sum_{s \to t} \lVert x_t - x_s \rVert

    Bullmore and Sporns [1]_ review why brains minimize this length, and where they do not.

    Args:
        data: A connectome with ``pos``. Distances are Euclidean even if its lattice is periodic.
            Self-loops are ignored, parallel synapses count separately, and weights and signs are
            not used.

    Returns:
        ``mean``, nan without synapses between two neurons, and ``total``, in the unit of ``pos``.

    Raises:
        TypeError: If ``data`` or one of its fields has the wrong type.
        ValueError: If ``data`` breaks the contract, or has no ``pos``.

    Note:
        O(N + E) time and memory.

    References:
        .. [1] E. Bullmore, O. Sporns, "The economy of brain network organization", Nat. Rev.
           Neurosci. 13 (2012) 336-349.

    Example:
        >>> import graphs
        >>> graphs.wiring_length(graphs.grid_local((1, 5), 2, metric="euclidean"))
        WiringLength(mean=1.4285714285714286, total=20.0)
    """
    _, (source, target), *_ = checked(data)
    if "pos" not in data:
        raise ValueError(
            "wiring_length needs pos, the coordinates of the neurons, but data has none; "
            "set data.pos to a float32 tensor [N, D], D = 1, 2 or 3"
        )
    length = _lengths(source, target, data["pos"].detach().cpu().numpy())
    total = float(length.sum())
    return WiringLength(total / len(length) if len(length) else math.nan, total)


def _lengths(source: Index, target: Index, pos: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the length of each synapse between two neurons."""
    helpers = compiled.module()
    if helpers is not None:
        ends = compiled.plain(source, target)
        found: NDArray[np.float64] = helpers.lengths(*ends, np.ascontiguousarray(pos))
        return found
    source, target = source[source != target], target[source != target]
    pos = pos.astype(np.float64)
    return np.sqrt(((pos[target] - pos[source]) ** 2).sum(axis=1))
