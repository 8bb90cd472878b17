"""Whether neurons of many synapses are connected among themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, validate
from graphs.measures.adjacency import simple
from graphs.measures.nulls import Nulls, bare, null_graphs


@dataclass(frozen=True, kw_only=True)
class RichClub:
    r"""Rich-club coefficients by degree.

    Attributes
    ----------
    degree : numpy.ndarray, [K] int64
        k = 0, 1, ... up to where fewer than two neurons have more synapses.
    coefficient : numpy.ndarray, [K] float64
        :math:`\phi(k)`.
    null, null_std : numpy.ndarray, [K] float64, or None
        Mean of :math:`\phi(k)` over the null graphs, and its standard deviation among them.
    normalized : numpy.ndarray, [K] float64, or None
        Their ratio; above 1 there is a rich club. nan where the nulls have no synapse.
    """

    degree: Index
    coefficient: NDArray[np.float64]
    null: NDArray[np.float64] | None = None
    null_std: NDArray[np.float64] | None = None
    normalized: NDArray[np.float64] | None = None

    def __str__(self) -> str:
        if not len(self.degree):
            return "rich club of no degree"
        told = f"rich club of degrees 0 to {self.degree[-1]}: coefficient {self.coefficient[0]:.3g}"
        told += f" to {self.coefficient[-1]:.3g}"
        if self.normalized is None or np.isnan(self.normalized).all():
            return told
        at = np.nanargmax(self.normalized)
        return f"{told}, normalized at most {self.normalized[at]:.3g}, at degree {self.degree[at]}"


def rich_club(
    data: Data, *, nulls: Nulls | None = None, seed: int | np.random.Generator | None = 0
) -> RichClub:
    r"""Return how densely the neurons of more than k synapses are connected, for each k.

    .. math:: \phi(k) = \frac{E_{>k}}{N_{>k} (N_{>k} - 1)}

    where :math:`N_{>k}` neurons have more than k synapses, sent and received, and
    :math:`E_{>k}` synapses run between them [1]_ [2]_.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Self-loops are left out, and parallel synapses count once.
        Weights and signs are not read: every synapse counts the same.
    nulls : int, callable or iterable of Data, optional
        Graphs to normalise by, since neurons of many synapses are connected by chance alone: a
        number of `graphs.rewire_degrees`, a function called as ``nulls(bare, seed=generator)``
        for each of ten, where `bare` is the simple graph alone, without ``pos`` and all other
        fields, or the graphs themselves.
    seed : int, numpy.random.Generator or None
        Source of randomness of the nulls.

    Returns
    -------
    RichClub
        ``degree`` and ``coefficient``, and with `nulls` also ``null``, ``null_std`` and
        ``normalized``. On a graph whose synapses all go both ways, ``coefficient`` at 2k is
        ``networkx.rich_club_coefficient`` at k.

    Raises
    ------
    TypeError, ValueError
        If `data` or a null graph breaks the contract, or these differ in neurons.

    Notes
    -----
    O(N + E) for each graph.

    References
    ----------
    .. [1] V. Colizza, A. Flammini, M. A. Serrano, A. Vespignani, "Detecting rich-club ordering in
       complex networks", Nature Physics 2 (2006) 110-115.
    .. [2] M. P. van den Heuvel, O. Sporns, "Rich-club organization of the human connectome",
       J. Neurosci. 31 (2011) 15775-15786.

    Examples
    --------
    >>> import graphs
    >>> graphs.rich_club(graphs.grid_local(5, 1)).coefficient.tolist()  # a chain of five
    [0.4, 0.4, 0.6666666666666666, 0.6666666666666666]
    """
    validate(data)
    rng = arguments.generator(seed)
    data = bare(data)
    coefficient = _coefficients(data)
    degree = np.arange(len(coefficient))
    if nulls is None:
        return RichClub(degree=degree, coefficient=coefficient)
    found = np.zeros((0, len(degree)))
    for null in null_graphs(data, nulls, rng):
        # Graphs of other degrees may end earlier, or go on.
        each = np.zeros(len(degree))
        club = _coefficients(null)[: len(degree)]
        each[: len(club)] = club
        found = np.vstack((found, each))
    mean = found.mean(axis=0)
    return RichClub(
        degree=degree,
        coefficient=coefficient,
        null=mean,
        null_std=found.std(axis=0, ddof=min(1, len(found) - 1)),
        normalized=np.divide(coefficient, mean, out=np.full(len(mean), np.nan), where=mean > 0),
    )


def _coefficients(data: Data) -> NDArray[np.float64]:
    adjacency = simple(data)
    out = np.diff(adjacency.indptr)
    degree = out + np.bincount(adjacency.indices, minlength=data.num_nodes)
    lower = np.minimum(np.repeat(degree, out), degree[adjacency.indices])
    size = int(degree.max(initial=0)) + 1
    # Neurons, and synapses between such, of more than k = 0, 1, ...
    neurons, synapses = (
        each.sum() - np.cumsum(each)
        for each in (np.bincount(degree, minlength=size), np.bincount(lower, minlength=size))
    )
    some = neurons > 1
    return synapses[some] / (neurons[some] * (neurons[some] - 1))
