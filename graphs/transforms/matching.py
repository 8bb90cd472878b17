"""Connectomes with the same number of synapses, for fair comparisons."""

import numpy as np
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.contract import Index, build, validate
from graphs.fields import array, carry, ends, of_neurons, of_synapses, order, under_signs
from graphs.generators.bipartite import free
from graphs.generators.drawing import distinct


def match(
    data: Data,
    num_edges: int,
    *,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Return a connectome with exactly the given number of synapses, for fair comparisons.

    Surplus synapses are removed, all sets of synapses equally likely. Missing synapses are added
    between unconnected pairs of neurons, all sets of pairs equally likely. The result depends on
    the graph alone, and not on the order of its synapses. Takes O(N + E) memory and O(N + E log E)
    time.

    Args:
        data: A connectome.
        num_edges: Number of synapses of the result.
        self_loops: Whether self-loops may be added. Existing self-loops are treated as any other
            synapse.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        The same neurons with all of their fields, as by `lesion`. An added synapse copies the
        weight, type and sign of a random synapse of its source, or of any synapse if the source has
        none. If there is a ``node_sign``, the sign is that of the source.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `data` breaks the contract, there are fewer than `num_edges` pairs, or weights,
            types or signs are needed for new synapses but `data` has no synapse to copy them from.

    Example:
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
    memory.check("num_edges", "pass a smaller num_edges", synapses=wanted)
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
    if "node_sign" in data:
        new = slice(len(sequence), None)
        sign = array(data, "node_sign")[source[new]]
        if "edge_sign" in fields:
            fields["edge_sign"][new] = sign
        if "edge_weight" in fields:
            fields["edge_weight"][new] = under_signs(data, sequence[kept][new], sign)
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
    """Draw unconnected pairs of neurons, [2, added], to reach `wanted` synapses."""
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
    """Return the position in `source` of a random synapse of each sender, or of any synapse."""
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
