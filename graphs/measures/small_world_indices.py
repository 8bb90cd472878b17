"""Small-world coefficients: clustering and path length compared with null models."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import build, validate
from graphs.measures.adjacency import simple
from graphs.measures.clustering_coefficients import local_clustering
from graphs.measures.nulls import NullModel, Nulls, bare, null_graphs
from graphs.measures.paths import path_length


@dataclass(frozen=True, kw_only=True)
class SmallWorldness:
    r"""Small-world coefficients and the quantities that they are computed from.

    Undefined values are nan.

    Attributes:
        sigma: :math:`\sigma = (C / C_\text{rand}) / (L / L_\text{rand})`; above 1 in a small world.
        sigma_error: Standard error of sigma.
        omega: :math:`\omega = L_\text{rand} / L - C / C_\text{lattice}`: near 0 in a small world,
            near -1 in a lattice, near 1 in a random graph.
        omega_error: Standard error of omega.
        clustering: Mean clustering coefficient C of the connectome.
        path_length: Mean path length L of the connectome.
        path_length_error: Standard error of L, 0 if L is exact.
        random_clustering: Mean of C over the null graphs.
        random_path_length: Mean of L over the null graphs.
        lattice_clustering: C of the lattice.
        null_model: The model of the null graphs: ``"rewire_degrees"``, ``"rewire_reciprocal"``, the
            name of the function that was passed, or ``"given"`` if graphs were passed.
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
    null_model: str

    def why_nan(self, name: Literal["sigma", "omega"]) -> str:
        """Return why a coefficient is undefined, as text after it; "" if it is defined.

        Args:
            name: The coefficient.
        """
        if not math.isnan(getattr(self, name)):
            return ""
        if math.isnan(self.path_length) or math.isnan(self.random_path_length):
            return ", no neuron reaches another"
        return f", no triangles in the {'null graphs' if name == 'sigma' else 'lattice'}"

    def __str__(self) -> str:
        return (
            f"sigma {self.sigma:.3g} ± {self.sigma_error:.2g}, "
            f"omega {self.omega:.3g} ± {self.omega_error:.2g}: "
            f"clustering {self.clustering:.3g} (random {self.random_clustering:.3g}, "
            f"lattice {self.lattice_clustering:.3g}), "
            f"path length {self.path_length:.3g} (random {self.random_path_length:.3g}); "
            f"nulls: {self.null_model}"
        )


def small_worldness(
    data: Data,
    *,
    nulls: Nulls = 10,
    null_model: NullModel | None = None,
    max_sources: int | None = None,
    seed: int | np.random.Generator | None = 0,
) -> SmallWorldness:
    r"""Return the small-world coefficients sigma and omega of a directed graph.

    .. math:: \sigma = \frac{C / C_\text{rand}}{L / L_\text{rand}}, \quad
              \omega = \frac{L_\text{rand}}{L} - \frac{C}{C_\text{lattice}}

    Sigma is defined by Humphries and Gurney [1]_, omega by Telesford et al. [2]_. C is the mean
    local clustering coefficient of the directed graph, as in :func:`graphs.clustering` with
    ``directed=True`` (not the transitivity, which hubs dominate). L is the mean path length over
    the reachable ordered pairs, as in :func:`graphs.path_length`.

    By default the null model depends on the reciprocity of the connectome. If all synapses are
    reciprocal, the graph is undirected and so are its null graphs
    (:func:`graphs.rewire_reciprocal`). Otherwise each neuron keeps its in- and out-degree only
    (:func:`graphs.rewire_degrees`). The choice can change sigma considerably, so pass the same
    ``null_model`` for all connectomes that you compare. The result names the model.

    In the lattice the neurons lie on a ring, sorted by degree up one side and down the other, and
    each sends to its nearest neighbors. Out-degrees are kept, in-degrees approximately. If all
    degrees are equal and even, this is the ring of Watts and Strogatz. Telesford et al. rewire
    towards a lattice instead, which keeps both degrees but takes minutes.

    Args:
        data: A connectome. Self-loops are ignored, parallel synapses count once, and weights and
            signs are not used.
        nulls: The null graphs: their number; a function, called as ``nulls(bare, seed=generator)``
            for each of ten graphs, where ``bare`` is the simple graph without ``pos`` and other
            fields; or the graphs themselves, such as
            ``[graphs.rewire_lengths(data, seed=seed) for seed in range(10)]``.
        null_model: The model of a number of null graphs, ``"rewire_degrees"`` or
            ``"rewire_reciprocal"``. None chooses by reciprocity, as described above.
        max_sources: Path lengths are exact if there are at most this many neurons, and otherwise
            means over this many. By default they are exact up to 2000 neurons; in larger graphs 256
            neurons are drawn.
        seed: Source of randomness of the null graphs and of the sample.

    Returns:
        Sigma and omega with their standard errors. The errors combine the sampling of sources with
        the uncertainty of both means over the null graphs (not their spread), and are nan with a
        single null graph. Clustering is exact.

    Raises:
        TypeError: If an argument has the wrong type, or a field of ``data`` or of a null graph.
        ValueError: If an argument is out of range, ``data`` or a null graph breaks the contract, a
            null graph has another number of neurons, or ``null_model`` is passed although ``nulls``
            is not a number.

    Note:
        Each graph takes O(N + E^1.5) time for C and O(N + E) per source for L, in addition to the
        time of making the null graphs.

    References:
        .. [1] M. D. Humphries, K. Gurney, "Network 'small-world-ness'", PLoS ONE 3 (2008) e0002051.
        .. [2] Q. K. Telesford, K. E. Joyce, S. Hayasaka, J. H. Burdette, P. J. Laurienti, "The
           ubiquity of small-world networks", Brain Connectivity 1 (2011) 367-375.

    Example:
        >>> import graphs
        >>> ring = graphs.small_world(500, 10, 0.0)
        >>> rewired = graphs.small_world(500, 10, 0.1, directed=False, seed=0)
        >>> ring, rewired = (graphs.small_worldness(each, nulls=3) for each in (ring, rewired))
        >>> rewired.sigma > ring.sigma > 1
        True
        >>> ring.omega < -0.8 and abs(rewired.omega) < 0.5
        True
        >>> rewired.null_model
        'rewire_reciprocal'
    """
    validate(data)
    rng = arguments.generator(seed)
    data = bare(data)
    sources = rng.spawn(1)[0]

    def measure(graph: Data) -> tuple[float, float, float]:
        length = path_length(graph, max_sources=max_sources, seed=sources)
        return _clustering(graph), length.mean, length.error

    clustering, length, length_error = measure(data)
    model, null_data = null_graphs(data, nulls, null_model, rng)
    found = np.array([measure(null)[:2] for null in null_data])
    # Means of equal numbers may differ from these by rounding.
    constant = (found == found[0]).all(axis=0)
    random_clustering, random_length = np.where(constant, found[0], found.mean(axis=0)).tolist()
    lattice_clustering = _clustering(_lattice(data))
    spread = np.full(2, math.nan)
    if len(found) > 1:
        spread = np.where(constant, 0, found.std(axis=0, ddof=1) / math.sqrt(len(found)))
    ratio = _divide(random_length, length)
    sigma = _divide(clustering, random_clustering) * ratio
    # The squared relative errors of a product add up; C itself is exact.
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
        null_model=model,
    )


def _divide(one: float, other: float) -> float:
    return one / other if other else math.nan


def _clustering(data: Data) -> float:
    if data.num_nodes == 0:
        return math.nan
    local = local_clustering(simple(data), np.arange(data.num_nodes), directed=True)
    return float(local.mean())


def _lattice(data: Data) -> Data:
    """Return a ring sorted by degree where each neuron sends to its nearest neighbors."""
    neurons = data.num_nodes
    adjacency = simple(data)
    sent = np.diff(adjacency.indptr).astype(np.int64)
    order = np.argsort(sent + np.bincount(adjacency.indices, minlength=neurons), kind="stable")
    around = np.concatenate((order[::2], order[1::2][::-1]))
    sent = sent[around]
    place = np.repeat(np.arange(neurons), sent)
    number = np.arange(len(place)) - np.repeat(np.cumsum(sent) - sent, sent)
    # Offsets alternate between the two sides: 1, -1, 2, -2, ...
    offset = (number // 2 + 1) * np.where(number % 2, -1, 1)
    return build(neurons, around[place], around[(place + offset) % max(neurons, 1)])
