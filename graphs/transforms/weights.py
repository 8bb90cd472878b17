"""A null model of the strengths of synapses: the wiring stays, the weights are shuffled."""

from typing import Literal, get_args

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build, validate
from graphs.fields import array, carry, ends, of_neurons, of_synapses, order

Within = Literal["all", "populations", "source", "target"]
WITHIN: tuple[Within, ...] = get_args(Within)


def shuffle_weights(
    data: Data, within: Within = "all", *, seed: int | np.random.Generator | None = None
) -> Data:
    """Return the same wiring with the weights of its synapses exchanged at random.

    All orders of the weights are equally likely. Synapses stay excitatory or inhibitory: weights
    are exchanged between synapses whose weights have the same sign, and ``edge_sign`` stays. They
    are also exchanged only between synapses of one ``edge_type``. Takes O(N + E log E) time and
    O(N + E) memory.

    Args:
        data: A connectome with ``edge_weight``.
        within: Which synapses exchange weights: "all"; those between the same two "populations"
            (``node_type``); those with the same "source", so that every neuron keeps its total
            output; or those with the same "target", so that it keeps its total input.
        seed: Random seed or generator. The same seed gives the same weights on every machine.

    Returns:
        The same neurons and synapses with all of their fields, and other weights.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `data` breaks the contract or lacks ``edge_weight``, or ``node_type`` for
            "populations", or `within` is none of the above.

    Example:
        >>> import graphs, torch
        >>> worm = graphs.c_elegans()
        >>> null = graphs.shuffle_weights(worm, "target", seed=0)
        >>> torch.equal(null.edge_index, worm.edge_index)
        True
        >>> def received(data):
        ...     return torch.zeros(302).index_add(0, data.edge_index[1], data.edge_weight)
        >>> torch.equal(received(null), received(worm)), torch.equal(
        ...     null.edge_weight, worm.edge_weight
        ... )
        (True, False)
    """
    within = arguments.option("within", within, WITHIN)
    rng = arguments.generator(seed)
    validate(data)
    if "edge_weight" not in data:
        raise ValueError(
            "data must have edge_weight to shuffle, got none; set data.edge_weight, or pass "
            "it to graphs.rewire_degrees(data)"
        )
    sequence = order(data)
    source, target = ends(data)[:, sequence]
    fields = of_neurons(data) | of_synapses(data, sequence)
    weight = fields["edge_weight"]
    groups = [np.sign(weight).astype(np.int64), *_groups(data, within, source, target)]
    if "edge_type" in data:
        groups.append(fields["edge_type"])
    places = np.lexsort(groups)
    shuffled = rng.permutation(len(weight))
    taken = shuffled[np.lexsort([each[shuffled] for each in groups])]
    weight = weight.copy()
    weight[places] = weight[taken]
    fields["edge_weight"] = weight
    return carry(data, build(int(data.num_nodes), source, target, **fields))


def _groups(data: Data, within: Within, source: Index, target: Index) -> list[Index]:
    """Return what synapses that exchange weights have in common."""
    if within == "populations":
        if "node_type" not in data:
            raise ValueError(
                "within='populations' needs node_type, and data has none; set data.node_type, or "
                "pass within='all'"
            )
        kind = array(data, "node_type")
        return [kind[source], kind[target]]
    return {"all": [], "source": [source], "target": [target]}[within]
