"""A null model that preserves how many synapses connect the populations."""

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index
from graphs.fields import array
from graphs.generators.drawing import distinct
from graphs.transforms.rewired import synapses, with_targets


def rewire_populations(data: Data, *, seed: int | np.random.Generator | None = None) -> Data:
    """Return a random connectome in which populations keep their numbers of mutual synapses.

    For every ordered pair of populations, the synapses from the first to the second are drawn again
    between their neurons, all sets of pairs equally likely [1]_: a stochastic block model with
    fixed counts. Degrees of neurons are not preserved; `rewire_degrees` preserves these. Takes
    O(N + E log E) time and O(N + E) memory.

    Args:
        data: A connectome without parallel synapses, with ``node_type``. Without it all neurons are
            one population, and the result is a random graph with as many synapses. Self-loops stay.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        The same neurons with all of their fields. The weights, types and signs of a pair of
        populations are given to its new synapses at random, so that Dale's law holds if all neurons
        of a population have one sign.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `data` breaks the contract or connects two neurons twice.

    References:
        .. [1] B. Karrer, M. E. J. Newman, "Stochastic blockmodels and community structure in
           networks", Physical Review E 83 (2011) 016107.

    Example:
        >>> import graphs
        >>> larva = graphs.larva_mushroom_body()
        >>> null = graphs.rewire_populations(larva, seed=0)
        >>> def blocks(data):
        ...     source, target = data.node_type[data.edge_index]
        ...     return (4 * source + target).bincount().tolist()
        >>> blocks(null) == blocks(larva)
        True
    """
    rng = arguments.generator(seed)
    sequence, source, target = synapses(data)
    neurons = int(data.num_nodes)
    kind = array(data, "node_type") if "node_type" in data else np.zeros(neurons, np.int64)
    moving = np.flatnonzero(source != target)
    size = np.bincount(kind, minlength=1)
    block, row, count = np.unique(
        kind[source[moving]] * len(size) + kind[target[moving]],
        return_inverse=True,
        return_counts=True,
    )
    one, other = block // len(size), block % len(size)
    row, place = _assigned(row, size[one] * (size[other] - (one == other)), count, rng)
    one, other = one[row], other[row]
    within = one == other
    # In a population, every neuron has one partner less: itself is left out.
    sender, receiver = np.divmod(place, size[other] - within)
    receiver += within & (receiver >= sender)
    members = np.argsort(kind, kind="stable")
    first = np.cumsum(size) - size
    source[moving], target[moving] = members[first[one] + sender], members[first[other] + receiver]
    return with_targets(data, sequence, source, target)


def _assigned(
    row: Index, widths: Index, counts: Index, rng: np.random.Generator
) -> tuple[Index, Index]:
    """Draw distinct places in each row, and give them to its members in random order.

    Args:
        row: The row of each member [E].
        widths: The number of places of each row.
        counts: The number of members of each row.
        rng: Source of randomness.

    Returns:
        The row and the place of each member.
    """
    shuffled = rng.permutation(len(row))
    by_row = shuffled[np.argsort(row[shuffled], kind="stable")]
    places = np.empty(len(row), np.int64)
    places[by_row] = distinct(widths, counts, rng)[1]
    return row, places
