"""Input shares: the part of a neuron's input that comes from each other neuron."""

from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, signs
from graphs.fields import array
from graphs.selection import find_neurons
from graphs.weights import weights

# More steps than any path between two neurons of a brain has.
MOST_STEPS = 100


def input_shares(
    data: Data, weight: str | None, threshold: float, *, signed: bool = False, forward: bool = False
) -> csr_array:
    """Return the share of each connection in the input of its target.

    Args:
        data: A connectome that keeps the contract.
        weight: The name of a field of weights, or None for numbers of synapses. The shares are
            those of absolute weights.
        threshold: Connections with a smaller share are left out. All others keep their shares.
        signed: Whether the shares have the signs of :func:`graphs.signed_weights`.
        forward: Whether rows are sources, instead of targets.
    """
    source, target = array(data, "edge_index")
    values = weights(data, weight, negative=True)
    values = np.ones(len(source)) if values is None else values
    share = np.abs(values)
    total = np.bincount(target, share, minlength=int(data.num_nodes))
    share /= np.where(total, total, 1)[target]
    if signed:
        sign = np.sign(values)
        known = signs(data)
        if known is not None:
            # As in signed_weights, a synapse of unknown sign keeps the sign of its weight.
            sign[known < 0] = -1
        share *= sign
    rows, columns = (source, target) if forward else (target, source)
    found = coo_array((share, (rows, columns)), shape=(int(data.num_nodes),) * 2).tocsr()
    found.data[np.abs(found.data) < threshold] = 0
    found.eliminate_zeros()
    return found


def neurons_of(data: Data, name: str, chosen: Any) -> Index:
    """Return the numbers of the neurons that an argument specifies."""
    found: Index = find_neurons(data, chosen, name).numpy()
    return found


def steps_of(value: Any) -> int:
    """Return the argument ``steps``."""
    return arguments.count("steps", value, at_least=1, at_most=MOST_STEPS)


def threshold_of(value: Any) -> float:
    """Return the argument ``threshold``."""
    return arguments.real("threshold", value, at_most=1.0)
