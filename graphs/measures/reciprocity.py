"""How many synapses are answered."""

import math

from torch_geometric.data import Data

from graphs.contract import validate
from graphs.measures.adjacency import simple


def reciprocity(data: Data) -> float:
    r"""Return the share of synapses whose target sends to their source.

    .. math:: r = \frac{\sum_{s \ne t} A_{st} A_{ts}}{\sum_{s \ne t} A_{st}}

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Self-loops are left out, and parallel synapses count once.

    Returns
    -------
    float
        From 0 to 1, nan without synapses. Without self-loops it is
        ``networkx.overall_reciprocity``. At random it is the density of synapses, about E / N^2.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract.

    Notes
    -----
    O(N + E).

    References
    ----------
    .. [1] M. E. J. Newman, S. Forrest, J. Balthrop, "Email networks and the spread of computer
       viruses", Phys. Rev. E 66 (2002) 035101.

    Examples
    --------
    >>> import graphs
    >>> graphs.reciprocity(graphs.grid_local((5, 5), 1))
    1.0
    >>> graphs.reciprocity(graphs.layered([2, 2]))
    0.0
    """
    validate(data)
    adjacency = simple(data)
    if adjacency.nnz == 0:
        return math.nan
    return float(adjacency.multiply(adjacency.T).sum() / adjacency.nnz)
