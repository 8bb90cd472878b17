"""Lesions and subgraphs of a connectome."""

from typing import Any, Literal, get_args

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import build, validate
from graphs.fields import carry, ends, of_neurons, of_synapses, order
from graphs.generators.drawing import distinct
from graphs.positions import positions

Unit = Literal["synapses", "neurons"]
UNITS: tuple[Unit, ...] = get_args(Unit)


def subgraph(data: Data, neurons: Any) -> Data:
    """Return some neurons and the synapses among them.

    `lesion` instead keeps the number of neurons, and so the width of a layer, and can also remove
    synapses, such as ``graphs.lesion(data, synapses=data.edge_weight < 2)``. Takes O(N + E) time
    and memory.

    Args:
        data: A connectome.
        neurons: Neurons to keep: their numbers, or a mask of bool [N]. Neuron i of the result is
            neurons[i].

    Returns:
        The induced subgraph. ``node_type_names`` stays complete, so that populations keep their
        numbers. ``shape`` is dropped. Fields beyond the contract are kept as by `lesion`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `data` breaks the contract, or `neurons` has repeated numbers or numbers that
            are not those of neurons.

    Example:
        >>> import graphs
        >>> graphs.subgraph(graphs.grid_local(5, 1), [4, 3]).edge_index.tolist()
        [[0, 1, 0, 1], [0, 0, 1, 1]]
    """
    validate(data)
    kept = positions("neurons", neurons, int(data.num_nodes))
    number = np.full(int(data.num_nodes), -1)
    number[kept] = np.arange(len(kept))
    source, target = number[ends(data)]
    fields = of_neurons(data)
    fields.pop("shape", None)
    for name, value in fields.items():
        if name == "names":
            fields[name] = [value[each] for each in kept]
        elif isinstance(value, np.ndarray):
            fields[name] = value[kept]
    inside = (source >= 0) & (target >= 0)
    fields.update(of_synapses(data, inside))
    return carry(data, build(len(kept), source[inside], target[inside], **fields), kept)


def lesion(
    data: Data,
    *,
    neurons: Any = None,
    synapses: Any = None,
    fraction: float | None = None,
    of: Unit = "synapses",
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Return a connectome without some of its synapses; all neurons stay.

    Exactly one of `neurons`, `synapses` and `fraction` must be given. `subgraph` removes the
    neurons themselves. A random lesion depends on the graph alone, and not on the order of its
    synapses. Takes O(N + E) memory and O(N + E log E) time.

    Args:
        data: A connectome.
        neurons: Neurons that lose all of their incoming and outgoing synapses: their numbers, or a
            mask of bool [N]. They stay as isolated neurons, so that the numbering, the populations,
            the lattice and the width of a layer do not change.
        synapses: Synapses to remove: their positions in ``data.edge_index``, or a mask of bool [E].
        fraction: Fraction in [0, 1] to remove at random, rounded to a whole number.
        of: Whether `fraction` is one of "synapses" or of "neurons".
        seed: Random seed or generator for `fraction`.

    Returns:
        A connectome with the same neurons. It has all fields of the contract that `data` has, and
        other fields that have a value per neuron: tensors [N, ...] and lists of N str.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `data` breaks the contract, not exactly one lesion is given, or it is out of
            range.

    Example:
        >>> import graphs
        >>> graphs.lesion(graphs.grid_local(4, 1), neurons=[1]).edge_index.tolist()
        [[0, 2, 3, 2, 3], [0, 2, 2, 3, 3]]
        >>> graphs.lesion(graphs.grid_local((28, 28), 2), fraction=0.5, seed=0).num_edges
        8978
    """
    validate(data)
    sizes = {"neurons": int(data.num_nodes), "synapses": int(data.num_edges)}
    of = arguments.option("of", of, UNITS)
    given = {"neurons": neurons, "synapses": synapses, "fraction": fraction}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise ValueError(
            "lesion must have exactly one of neurons, synapses and fraction, got "
            f"{' and '.join(named) or 'none'}; pass for example fraction=0.1"
        )
    sequence = order(data)
    if fraction is None:
        of = "neurons" if synapses is None else "synapses"
        hit = np.zeros(sizes[of], dtype=bool)
        hit[positions(of, given[of], len(hit))] = True
    else:
        hit = np.zeros(sizes[of], dtype=bool)
        share = arguments.real("fraction", fraction, at_most=1.0)
        _, lost = distinct([len(hit)], [round(share * len(hit))], arguments.generator(seed))
        hit[sequence[lost] if of == "synapses" else lost] = True
    source, target = ends(data)
    kept = sequence[~(hit[source] | hit[target] if of == "neurons" else hit)[sequence]]
    fields = of_neurons(data) | of_synapses(data, kept)
    return carry(data, build(sizes["neurons"], source[kept], target[kept], **fields))
