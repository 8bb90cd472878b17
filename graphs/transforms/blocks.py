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
        populations are given to its new synapses at random. With ``node_sign``, the numbers of
        synapses that leave the excitatory, inhibitory and other neurons of a population are also
        preserved, and Dale's law holds.

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
    # Signed weights must leave neurons of their own sign.
    sign = array(data, "node_sign").astype(np.int64) + 1 if "node_sign" in data else 0 * kind
    sending, receiving = _Members(3 * kind + sign), _Members(kind)
    moving = np.flatnonzero(source != target)
    row, count, one, other = _blocks(
        sending.group[source[moving]], receiving.group[target[moving]], len(receiving.size)
    )
    within = one // 3 == other
    # In its own population, a neuron has one partner less: itself is left out.
    row, place = _assigned(row, sending.size[one] * (receiving.size[other] - within), count, rng)
    one, other, within = one[row], other[row], within[row]
    number, partner = np.divmod(place, receiving.size[other] - within)
    sender = sending.members[sending.first[one] + number]
    partner += within & (partner >= receiving.rank[sender])
    source[moving], target[moving] = sender, receiving.members[receiving.first[other] + partner]
    return with_targets(data, sequence, source, target)


class _Members:
    """Neurons in groups.

    Args:
        group: The group of each neuron [N].

    Attributes:
        group: The same.
        size: The number of neurons of each group.
        members: The neurons, group by group.
        first: The place of the first member of each group.
        rank: The number of each neuron in its group.
    """

    def __init__(self, group: Index) -> None:
        self.group = group
        self.size = np.bincount(group, minlength=1)
        self.members = np.argsort(group, kind="stable")
        self.first = np.cumsum(self.size) - self.size
        self.rank = np.empty_like(self.members)
        self.rank[self.members] = np.arange(len(group)) - self.first[group[self.members]]


def _blocks(one: Index, other: Index, number: int) -> tuple[Index, Index, Index, Index]:
    """Return the block of each synapse, and of each block its size and groups."""
    block, row, count = np.unique(one * number + other, return_inverse=True, return_counts=True)
    return row, count, block // number, block % number


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
