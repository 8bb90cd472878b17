"""Whether a connectome is a small world: more clustered than chance, and hardly longer paths."""

import math
from dataclasses import dataclass

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import build, validate
from graphs.measures.adjacency import simple
from graphs.measures.clustering_coefficients import local_clustering
from graphs.measures.nulls import Nulls, bare, null_graphs
from graphs.measures.paths import path_length


@dataclass(frozen=True, kw_only=True)
class SmallWorldness:
    r"""Small-world coefficients and what they are made of; what is not defined is nan.

    Attributes
    ----------
    sigma, sigma_error : float
        :math:`\sigma = (C / C_\text{rand}) / (L / L_\text{rand})`; above 1 in a small world.
    omega, omega_error : float
        :math:`\omega = L_\text{rand} / L - C / C_\text{lattice}`: near 0 in a small world, near -1
        in a lattice, near 1 in a random graph.
    clustering, path_length, path_length_error : float
        C and L of the connectome.
    random_clustering, random_path_length : float
        Means over the null graphs.
    lattice_clustering : float
        C of the lattice.
    """

    sigma: float
    sigma_error: float
    omega: float
    omega_error: float
    clustering: float
    path_length: float
    path_length_error: float
    random_clustering: float
    random_path_length: float
    lattice_clustering: float

    def __str__(self) -> str:
        return (
            f"sigma {self.sigma:.3g} ± {self.sigma_error:.2g}, "
            f"omega {self.omega:.3g} ± {self.omega_error:.2g}: "
            f"clustering {self.clustering:.3g} (random {self.random_clustering:.3g}, "
            f"lattice {self.lattice_clustering:.3g}), "
            f"path length {self.path_length:.3g} (random {self.random_path_length:.3g})"
        )


def small_worldness(
    data: Data,
    *,
    nulls: Nulls = 10,
    max_sources: int | None = None,
    seed: int | np.random.Generator | None = 0,
) -> SmallWorldness:
    r"""Return the small-world coefficients sigma and omega of a directed graph.

    .. math:: \sigma = \frac{C / C_\text{rand}}{L / L_\text{rand}}, \quad
              \omega = \frac{L_\text{rand}}{L} - \frac{C}{C_\text{lattice}}

    C is the mean local clustering coefficient of the directed graph, of all neurons (not the
    transitivity, which the hubs make up), as in `clustering` with ``directed=True``; L the mean
    path length over reachable ordered pairs, as in `path_length`. Sigma is Humphries and Gurney's
    [1]_, omega Telesford and others' [2]_.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Self-loops are left out, and parallel synapses count once.
        Weights and signs are not read: every synapse counts the same.
    nulls : int, callable or iterable of Data
        The random graphs: a number of `graphs.rewire_degrees`, in which each neuron keeps its
        in- and out-degree; a function called as ``nulls(bare, seed=generator)`` for each of ten,
        where `bare` is the simple graph alone, without ``pos`` and all other fields; or the graphs
        themselves, such as ``[graphs.rewire_lengths(data, seed=seed) for seed in range(10)]``.
    max_sources : int, optional
        Path lengths are exact if there are at most so many neurons, else means over so many; if
        left out, they are exact up to 2000 neurons, and beyond 256 are drawn in each graph.
    seed : int, numpy.random.Generator or None
        Source of randomness of the nulls and of the sample.

    Returns
    -------
    SmallWorldness
        ``sigma`` and ``omega``, and their standard errors. These hold what the sample of sources
        adds and the uncertainty of both means over the nulls (not their spread), and are nan of a
        single null. Clustering is exact.

    Raises
    ------
    TypeError, ValueError
        If `data` or a null graph breaks the contract, or an argument is out of range.

    Notes
    -----
    Of each graph O(N + E^1.5) time for C and O(N + E) per source for L, besides what making the
    nulls takes.

    In the lattice neurons lie on a ring in the order of their degrees, up one side and down the
    other, and each sends to as many nearest ones as it did before: out-degrees are the same,
    in-degrees about those of its neighbours. Where all degrees are equal and even this is the ring
    of Watts and Strogatz. [2]_ rewires towards a ring instead, which keeps both and takes minutes.

    References
    ----------
    .. [1] M. D. Humphries, K. Gurney, "Network 'small-world-ness'", PLoS ONE 3 (2008) e0002051.
    .. [2] Q. K. Telesford, K. E. Joyce, S. Hayasaka, J. H. Burdette, P. J. Laurienti, "The ubiquity
       of small-world networks", Brain Connectivity 1 (2011) 367-375.

    Examples
    --------
    >>> import graphs
    >>> ring = graphs.small_world(500, 10, 0.0)
    >>> rewired = graphs.small_world(500, 10, 0.1, seed=0)
    >>> ring, rewired = (graphs.small_worldness(each, nulls=3) for each in (ring, rewired))
    >>> rewired.sigma > ring.sigma > 1
    True
    >>> ring.omega < -0.8 and abs(rewired.omega) < 0.5
    True
    """
    validate(data)
    rng = arguments.generator(seed)
    data = bare(data)
    sources = rng.spawn(1)[0]

    def measure(graph: Data) -> tuple[float, float, float]:
        length = path_length(graph, max_sources=max_sources, seed=sources)
        return _clustering(graph), length.mean, length.error

    clustering, length, length_error = measure(data)
    found = np.array([measure(null)[:2] for null in null_graphs(data, nulls, rng)])
    random_clustering, random_length = found.mean(axis=0).tolist()
    lattice_clustering = _clustering(_lattice(data))
    spread = np.full(2, math.nan)
    if len(found) > 1:
        spread = found.std(axis=0, ddof=1) / math.sqrt(len(found))
    ratio = _divide(random_length, length)
    sigma = _divide(clustering, random_clustering) * ratio
    # Relative errors of a product add up as squares; C itself has none.
    relative = _divide(float(spread[1]), random_length) ** 2 + _divide(length_error, length) ** 2
    return SmallWorldness(
        sigma=sigma,
        sigma_error=sigma * math.sqrt(relative + _divide(float(spread[0]), random_clustering) ** 2),
        omega=ratio - _divide(clustering, lattice_clustering),
        omega_error=ratio * math.sqrt(relative),
        clustering=clustering,
        path_length=length,
        path_length_error=length_error,
        random_clustering=random_clustering,
        random_path_length=random_length,
        lattice_clustering=lattice_clustering,
    )


def _divide(one: float, other: float) -> float:
    return one / other if other else math.nan


def _clustering(data: Data) -> float:
    if data.num_nodes == 0:
        return math.nan
    local = local_clustering(simple(data), np.arange(data.num_nodes), directed=True)
    return float(local.mean())


def _lattice(data: Data) -> Data:
    """Return a ring in the order of degrees, where each neuron sends to as many nearest ones."""
    neurons = data.num_nodes
    adjacency = simple(data)
    sent = np.diff(adjacency.indptr).astype(np.int64)
    order = np.argsort(sent + np.bincount(adjacency.indices, minlength=neurons), kind="stable")
    around = np.concatenate((order[::2], order[1::2][::-1]))
    sent = sent[around]
    place = np.repeat(np.arange(neurons), sent)
    number = np.arange(len(place)) - np.repeat(np.cumsum(sent) - sent, sent)
    # The nearest on one side and the other in turn: 1, -1, 2, -2, ...
    offset = (number // 2 + 1) * np.where(number % 2, -1, 1)
    return build(neurons, around[place], around[(place + offset) % max(neurons, 1)])
