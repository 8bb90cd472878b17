"""The groups of neurons that measures and transforms take: populations, communities, labels."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index
from graphs.fields import array, population_names


def groups(data: Data, partition: ArrayLike | None) -> Index:
    """Return the group of each neuron, [N] int64 from 0.

    Args:
        data: A connectome that keeps the contract.
        partition: The argument of a measure: one integer or text per neuron, or None for
            ``node_type``.

    Raises:
        TypeError: `partition` is not an array.
        ValueError: It does not have one label per neuron, or is None without ``node_type``.
    """
    group = _labels(data, partition)
    number = group.dtype.kind in "iu"
    if number and group.size and group.min() >= 0 and group.max() < len(group):
        return group.astype(np.int64, copy=False)
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def named_groups(data: Data, partition: ArrayLike | None) -> tuple[Index, list[str]]:
    """Return the group of each neuron, [N] int64, and the names of the groups.

    Without a partition these are all populations, including those without neurons; otherwise the
    labels that occur, in ascending order.

    Args:
        data: A connectome that keeps the contract.
        partition: As in :func:`groups`.
    """
    labels = _labels(data, partition)
    if partition is None:
        return labels.astype(np.int64, copy=False), population_names(data)
    names, group = np.unique(labels, return_inverse=True)
    return group.astype(np.int64), [str(each) for each in names.tolist()]


def _labels(data: Data, partition: ArrayLike | None) -> NDArray[np.generic]:
    neurons = int(data.num_nodes)
    if partition is None:
        if "node_type" not in data:
            raise ValueError(
                "partition is None, and data has no node_type to use instead; "
                "pass partition=graphs.communities(data)"
            )
        return array(data, "node_type")
    expected = f"partition must hold one integer or text for each of the {neurons} neurons"
    fix = "pass partition=graphs.communities(data)"
    labels = arguments.array(expected, partition, fix)
    if labels.shape != (neurons,) or (labels.size and labels.dtype.kind not in "iuU"):
        raise ValueError(f"{expected}, got {labels.dtype} of shape {list(labels.shape)}; {fix}")
    return labels
