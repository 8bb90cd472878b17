"""Connectomes with exactly as many synapses as others, for a fair comparison."""

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build, validate
from graphs.fields import array, carry, ends, of_neurons, of_synapses, order
from graphs.generators.bipartite import free
from graphs.generators.drawing import distinct


def match(
    data: Data,
    num_edges: int,
    *,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Return a connectome with exactly so many synapses, for comparisons at an equal budget.

    What is too much is removed, all sets of synapses equally likely; what is missing is added
    among the pairs of neurons that are not connected, all sets of them equally likely.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome.
    num_edges : int
        Number of synapses wanted.
    self_loops : bool
        Whether synapses of a neuron on itself may be added. Those that are there count as any
        other.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        The same neurons with all of their fields, as by `lesion`. A synapse that is added takes its
        weight, type and sign from one of its source's, or from any if the source has none; its sign
        is ``node_sign``'s where there is one.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, there are too few pairs for `num_edges`, or weights, types or
        signs must be added but there is none to take.

    Notes
    -----
    O(N + E) memory, O(N + E log E) time. It depends on the graph, not on the order of its synapses.

    Examples
    --------
    >>> import graphs
    >>> grid = graphs.grid_local((28, 28), 2)
    >>> small_world = graphs.small_world(784, 22, 0.1, seed=0)
    >>> grid.num_edges, graphs.match(small_world, grid.num_edges, seed=0).num_edges
    (17956, 17956)
    """
    validate(data)
    wanted = arguments.count("num_edges", num_edges)
    self_loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    arguments.room("num_edges", "pass a smaller num_edges", synapses=wanted)
    sequence = order(data)
    source, target = ends(data)[:, sequence]
    if wanted <= len(sequence):
        kept = distinct([len(sequence)], [wanted], rng)[1]
        source, target = source[kept], target[kept]
    else:
        added = _free_pairs(source, target, int(data.num_nodes), wanted, self_loops, rng)
        kept = np.append(np.arange(len(sequence)), _models(data, source, added[0], rng))
        source, target = np.append(source, added[0]), np.append(target, added[1])
    fields = of_synapses(data, sequence[kept])
    if "edge_sign" in fields and "node_sign" in data:
        new = slice(len(sequence), None)
        fields["edge_sign"][new] = array(data, "node_sign")[source[new]]
    fields |= of_neurons(data)
    return carry(data, build(int(data.num_nodes), source, target, **fields))


def _free_pairs(
    source: Index,
    target: Index,
    neurons: int,
    wanted: int,
    self_loops: bool,
    rng: np.random.Generator,
) -> Index:
    """Draw free pairs of neurons, [2, added], to have `wanted` synapses."""
    width = neurons if self_loops else neurons - 1
    inside = (source != target) | self_loops
    place = source * width + target - ((target > source) & (not self_loops))
    taken = np.sort(place[inside])
    taken = taken[np.diff(taken, prepend=-1) > 0]
    room, missing = neurons * width - len(taken), wanted - len(source)
    if missing > room:
        raise ValueError(
            f"num_edges must be at most {len(source) + room} on {neurons} neurons, got {wanted}; "
            f"pass num_edges={len(source) + room}" + ("" if self_loops else ", or self_loops=True")
        )
    _, rank = distinct([room], [missing], rng)
    sender, receiver = np.divmod(free(rank, taken), max(width, 1))
    return np.stack((sender, receiver + ((receiver >= sender) & (not self_loops))))


def _models(data: Data, source: Index, senders: Index, rng: np.random.Generator) -> Index:
    """For each sender one of its synapses, or any where it has none, by place in `source`."""
    carried = list(of_synapses(data))
    if not carried:
        return np.empty(0, np.int64)
    if len(source) == 0:
        raise ValueError(
            f"data must have synapses to take {' and '.join(carried)} from, got none; "
            f"{'; '.join(f'del data.{name}' for name in carried)}"
        )
    by_source = np.argsort(source, kind="stable")
    count = np.bincount(source, minlength=int(data.num_nodes))
    first = np.cumsum(count) - count
    own = count[senders] > 0
    drawn = rng.integers(np.where(own, count[senders], len(source)))
    return by_source[np.where(own, first[senders], 0) + drawn]
