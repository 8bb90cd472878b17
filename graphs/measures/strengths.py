"""Strength: the sum of the weights of a neuron's synapses."""

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import checked
from graphs.weights import weights


def strength(
    data: Data,
    *,
    direction: arguments.Direction = "in",
    weight: str | None = "edge_weight",
) -> NDArray[np.float64]:
    r"""Return the sum of the weights of the synapses of each neuron.

    .. math:: s^\text{in}_t = \sum_s w_{st}, \quad s^\text{out}_s = \sum_t w_{st}

    Barrat et al. [1]_ define the strength as the extension of the degree to weighted graphs.

    Args:
        data: A connectome. Self-loops and parallel synapses count. The field of weights is read as
            stored, without ``edge_sign`` and ``node_sign``; for the sum of signed weights set
            ``data.signed = torch.from_numpy(graphs.signed_weights(data))`` and pass
            ``weight="signed"``.
        direction: ``"in"`` adds up the synapses that a neuron receives, ``"out"`` those that it
            sends, ``"both"`` all of them, so that a self-loop counts twice.
        weight: The name of a field of weights, which may be negative; or None, which counts
            synapses. A connectome without ``edge_weight`` has weights of 1.

    Returns:
        The strength of each neuron, float64 [N]. It equals the weighted ``in_degree``,
        ``out_degree`` or ``degree`` of NetworkX.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or an argument is out of range.

    See Also:
        :func:`graphs.degree_distribution`: numbers of synapses without self-loops.

    Note:
        O(N + E) time and memory.

    References:
        .. [1] A. Barrat, M. Barthelemy, R. Pastor-Satorras, A. Vespignani, "The architecture of
           complex weighted networks", PNAS 101 (2004) 3747-3752.

    Example:
        >>> import graphs
        >>> import scipy.sparse
        >>> data = graphs.from_scipy(scipy.sparse.csr_array([[0.0, 2.0], [0.0, 3.0]]))
        >>> graphs.strength(data).tolist(), graphs.strength(data, direction="out").tolist()
        ([0.0, 5.0], [2.0, 3.0])
    """
    neurons, (source, target), *_ = checked(data)
    direction = arguments.option("direction", direction, arguments.DIRECTIONS)
    values = weights(data, weight, negative=True)
    total = np.zeros(neurons)
    if direction != "out":
        total += np.bincount(target, values, minlength=neurons)
    if direction != "in":
        total += np.bincount(source, values, minlength=neurons)
    return total
