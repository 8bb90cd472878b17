"""Rich-club coefficients: how densely the hubs are connected among themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, validate
from graphs.measures.adjacency import simple
from graphs.measures.nulls import NullModel, Nulls, bare, null_graphs


@dataclass(frozen=True, kw_only=True)
class RichClub:
    r"""Rich-club coefficients by degree.

    Attributes:
        degree: Degrees k = 0, 1, ... [K] int64, as long as at least two neurons have more synapses.
        coefficient: :math:`\phi(k)`, [K] float64.
        null: Mean of :math:`\phi(k)` over the null graphs, [K] float64; None without null graphs.
        null_std: Standard deviation of :math:`\phi(k)` among the null graphs, [K] float64, or None.
        normalized: ``coefficient / null``, [K] float64, or None. Above 1 there is a rich club; nan
            where the null graphs have no synapses.
        null_model: The model of the null graphs: ``"rewire_degrees"``, ``"rewire_reciprocal"``, the
            name of the function that was passed, ``"given"`` if graphs were passed, or None.
    """

    degree: Index
    coefficient: NDArray[np.float64]
    null: NDArray[np.float64] | None = None
    null_std: NDArray[np.float64] | None = None
    normalized: NDArray[np.float64] | None = None
    null_model: str | None = None

    def __str__(self) -> str:
        if not len(self.degree):
            return "rich club of no degree"
        told = f"rich club of degrees 0 to {self.degree[-1]}: coefficient {self.coefficient[0]:.3g}"
        told += f" to {self.coefficient[-1]:.3g}"
        if self.normalized is None or np.isnan(self.normalized).all():
            return told
        at = np.nanargmax(self.normalized)
        return (
            f"{told}, normalized at most {self.normalized[at]:.3g}, at degree {self.degree[at]}; "
            f"nulls: {self.null_model}"
        )


def rich_club(
    data: Data,
    *,
    nulls: Nulls | None = None,
    null_model: NullModel | None = None,
    seed: int | np.random.Generator | None = 0,
) -> RichClub:
    r"""Return the density of synapses among the neurons with more than k synapses, for each k.

    .. math:: \phi(k) = \frac{E_{>k}}{N_{>k} (N_{>k} - 1)}

    Here :math:`N_{>k}` neurons have more than k synapses, sent and received, and :math:`E_{>k}`
    synapses connect them [1]_ [2]_. Hubs are densely connected by chance alone, so the coefficient
    is meaningful relative to that of null graphs.

    By default the null model depends on the reciprocity of the connectome, as in
    :func:`graphs.small_worldness`: null graphs of an undirected connectome are undirected.

    Args:
        data: A connectome. Self-loops are ignored, parallel synapses count once, and weights and
            signs are not used.
        nulls: The null graphs to normalize by: their number; a function, called as
            ``nulls(bare, seed=generator)`` for each of ten graphs, where ``bare`` is the simple
            graph without ``pos`` and other fields; or the graphs themselves. None does not
            normalize.
        null_model: The model of a number of null graphs, ``"rewire_degrees"`` or
            ``"rewire_reciprocal"``. None chooses ``"rewire_reciprocal"`` if all synapses are
            reciprocal, and otherwise ``"rewire_degrees"``.
        seed: Source of randomness of the null graphs.

    Returns:
        ``degree`` and ``coefficient``, and with ``nulls`` also ``null``, ``null_std``,
        ``normalized`` and ``null_model``. If all synapses are reciprocal, ``coefficient`` at 2k
        equals ``networkx.rich_club_coefficient`` at k.

    Raises:
        TypeError: If an argument has the wrong type, or a field of ``data`` or of a null graph.
        ValueError: If an argument is out of range, ``data`` or a null graph breaks the contract, a
            null graph has another number of neurons, or ``null_model`` is passed although ``nulls``
            is not a number.

    Note:
        O(N + E) time and memory for each graph.

    References:
        .. [1] V. Colizza, A. Flammini, M. A. Serrano, A. Vespignani, "Detecting rich-club ordering
           in complex networks", Nature Physics 2 (2006) 110-115.
        .. [2] M. P. van den Heuvel, O. Sporns, "Rich-club organization of the human connectome", J.
           Neurosci. 31 (2011) 15775-15786.

    Example:
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
        if null_model is not None:
            raise ValueError(
                f"null_model needs nulls, the number of null graphs, got null_model={null_model!r} "
                "without; pass nulls=10 too"
            )
        return RichClub(degree=degree, coefficient=coefficient)
    model, null_data = null_graphs(data, nulls, null_model, rng)
    found = np.zeros((0, len(degree)))
    for null in null_data:
        # Null graphs with other degrees may have fewer or more coefficients.
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
        null_model=model,
    )


def _coefficients(data: Data) -> NDArray[np.float64]:
    adjacency = simple(data)
    out = np.diff(adjacency.indptr)
    degree = out + np.bincount(adjacency.indices, minlength=data.num_nodes)
    lower = np.minimum(np.repeat(degree, out), degree[adjacency.indices])
    size = int(degree.max(initial=0)) + 1
    # Numbers of neurons with more than k = 0, 1, ... synapses, and of synapses between them.
    neurons, synapses = (
        each.sum() - np.cumsum(each)
        for each in (np.bincount(degree, minlength=size), np.bincount(lower, minlength=size))
    )
    some = neurons > 1
    return synapses[some] / (neurons[some] * (neurons[some] - 1))
