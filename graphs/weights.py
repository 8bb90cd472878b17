"""The weights of synapses that measures read."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from torch_geometric.data import Data

from graphs import arguments, tensors
from graphs.fields import array

Floats = NDArray[np.float64]

_DTYPES = (torch.float32, torch.float64, *tensors.INTEGERS)


def weights(data: Data, weight: str | None, *, negative: bool = False) -> Floats | None:
    """Return the weight of each synapse.

    Args:
        data: A connectome that keeps the contract.
        weight: The argument ``weight`` of a measure: None, or the name of a field with one number
            per synapse. Without an ``edge_weight`` that name stands for weights of 1.
        negative: Whether negative weights are allowed.

    Returns:
        The weights [E] float64, or None if `weight` is None.

    Raises:
        TypeError: `weight` is not a str, or the field is not a tensor of real numbers.
        ValueError: There is no such field, it does not have one number per synapse, or a number is
            not finite, or negative.
    """
    if weight is None:
        return None
    expected = "weight must be None or the name of a field of data with one number per synapse"
    if not isinstance(weight, str):
        raise TypeError(f"{expected}, got {arguments.described(weight)}; pass weight='edge_weight'")
    synapses = int(data.num_edges)
    if weight not in data:
        if weight == "edge_weight":
            return np.ones(synapses)
        raise ValueError(f"{expected}, got {weight!r:.60}; pass weight='edge_weight'")
    fix = "name a field of shape [E]: pass weight='edge_weight'"
    tensors.tensor(
        f"weight={weight!r}: data.{weight}",
        data[weight].detach() if isinstance(data[weight], torch.Tensor) else data[weight],
        (synapses,),
        dtypes=_DTYPES,
        finite=True,
        fix=fix,
    )
    values: Floats = array(data, weight).astype(np.float64)
    if not negative and synapses and values.min() < 0:
        at = int(np.flatnonzero(values < 0)[0])
        raise ValueError(
            f"weight={weight!r} must name numbers >= 0, got {values[at]:g} at position {at} of "
            f"data.{weight}; set data.{weight} = data.{weight}.abs(), or pass weight=None"
        )
    return values


def matrix(data: Data, values: Floats, *, self_loops: bool = False) -> csr_array:
    """Return the weights as a sparse matrix, sources as rows; parallel synapses add up.

    Args:
        data: A connectome that keeps the contract.
        values: The weight of each synapse [E].
        self_loops: Whether the matrix includes self-loops.
    """
    source, target = array(data, "edge_index")
    if not self_loops:
        apart = source != target
        source, target, values = source[apart], target[apart], values[apart]
    shape = (int(data.num_nodes),) * 2
    return coo_array((values, (source, target)), shape=shape).tocsr()
