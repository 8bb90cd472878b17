"""Louvain's method for the maximization of modularity.

Each neuron moves to the group with the largest gain until none moves. Then groups become neurons,
and the same is repeated.

References:
    V. D. Blondel, J.-L. Guillaume, R. Lambiotte, E. Lefebvre, "Fast unfolding of communities in
    large networks", J. Stat. Mech. (2008) P10008.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from graphs import compiled
from graphs.contract import Index
from graphs.measures.adjacency import MOST

# Smallest gain of a move, in synapses. Rounding alone must not move a neuron back and forth.
LEAST = 1e-5

# Products of two sums of weights then fit into 63 bits.
_MOST_WEIGHT = 2**31


def whole(weight: NDArray[np.float64]) -> Index:
    """Return weights as whole numbers in proportion to them, with a sum that ``louvain`` takes.

    Args:
        weight: Numbers >= 0 [E], not all of them 0.

    Returns:
        The weights themselves if they are whole numbers of a sum of at most 2^31.
    """
    total = weight.sum()
    if total > _MOST_WEIGHT or (weight != np.floor(weight)).any():
        # Rounding may add a half to each.
        weight = weight / total * (_MOST_WEIGHT - len(weight) / 2)
    return np.rint(weight).astype(np.int64)


def louvain(edges: Index, count: Index, place: Index, resolution: float) -> Index:
    """Return the group of each neuron.

    Args:
        edges: Synapses [2, E], none of them parallel or a self-loop.
        count: The weight of each synapse, [E] whole numbers > 0 with a sum of at most 2^31.
        place: The position of each neuron in the order of moves, [N].
        resolution: The factor of the expected weight.
    """
    source, target = place[edges]
    sent, received = (
        np.bincount(each, count, minlength=len(place)).astype(np.int64) for each in (source, target)
    )
    share = resolution / int(count.sum())
    # The direction of a synapse does not matter for whether it is within a group.
    joined = _counted(
        np.concatenate((source, target)),
        np.concatenate((target, source)),
        len(place),
        np.concatenate((count, count)),
    )
    group = place
    while True:
        # A group is named by one of its neurons, so the order of neurons also orders the groups.
        names, found = np.unique(_moved(joined, sent, received, share), return_inverse=True)
        if len(names) == joined.shape[0]:
            return group
        group = found[group]
        sent, received = (_sums(each, found) for each in (sent, received))
        all_joined = joined.tocoo()
        joined = _counted(found[all_joined.row], found[all_joined.col], len(names), all_joined.data)


def _counted(row: Index, column: Index, size: int, count: Index) -> csr_array:
    """Return the weight between any two neurons as a sparse matrix with sorted rows."""
    return coo_array((count, (row, column)), shape=(size, size)).tocsr()


def _sums(values: Index, group: Index) -> Index:
    summed = np.zeros(int(group.max()) + 1, np.int64)
    np.add.at(summed, group, values)
    return summed


def _moved(joined: csr_array, sent: Index, received: Index, share: float) -> Index:
    """Move neurons one by one, and revisit the neighbors of each neuron that moved [1]_.

    References:
        .. [1] N. Ozaki, H. Tezuka, M. Inaba, "A simple acceleration method for the Louvain
           algorithm", Int. J. Comput. Electr. Eng. 8 (2016) 207-218.
    """
    helpers = compiled.module()
    if helpers is not None and max(joined.shape[0], joined.nnz) < MOST:
        counted = compiled.plain(joined.data, sent, received)
        moved: Index = helpers.moved(*compiled.rows(joined), *counted, share, LEAST)
        return moved
    return _moved_plainly(joined, sent.tolist(), received.tolist(), share)


def _moved_plainly(joined: csr_array, given: list[int], taken: list[int], share: float) -> Index:
    neurons = joined.shape[0]
    pointer, index, count = (each.tolist() for each in (joined.indptr, joined.indices, joined.data))
    all_given, all_taken = list(given), list(taken)
    group, waits, queue = list(range(neurons)), [True] * neurons, deque(range(neurons))
    while queue:
        each = queue.popleft()
        waits[each] = False
        before = group[each]
        links = {before: 0}
        for at in range(pointer[each], pointer[each + 1]):
            if index[at] != each:
                near = group[index[at]]
                links[near] = links.get(near, 0) + count[at]
        all_given[before] -= given[each]
        all_taken[before] -= taken[each]
        # The number of synapses to and from a group, minus the number expected by chance.
        worth = {
            one: found - share * float(given[each] * all_taken[one] + taken[each] * all_given[one])
            for one, found in links.items()
        }
        best = max(worth, key=lambda one: worth[one])
        best = best if worth[best] > worth[before] + LEAST else before
        all_given[best] += given[each]
        all_taken[best] += taken[each]
        if best == before:
            continue
        group[each] = best
        for near in index[pointer[each] : pointer[each + 1]]:
            if group[near] != best and not waits[near]:
                waits[near] = True
                queue.append(near)
    return np.array(group, np.int64)
