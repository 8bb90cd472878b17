"""The visual system of the fly Drosophila melanogaster."""

import math

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.brains import tables
from graphs.contract import Index, build

# Approximate numbers of neurons and synapses.
_PER_COLUMN = 60, 1800


def fly_visual_system(radius: int = 15, *, fill_gaps: bool = False) -> Data:
    r"""Return the motion pathways of the optic lobe of *Drosophila melanogaster*.

    The connectome of one column is repeated over the eye, a hexagon of columns :math:`(u, v)` with
    :math:`|u|, |v|, |u + v| \le r`. A cell type has a neuron in every column, or only in those
    whose coordinates are multiples of its strides (3 and 2 for Lawf1 and Lawf2). Neuron :math:`s`
    of type :math:`a` sends to neuron :math:`t` of type :math:`b` if synapses from a to b were
    observed at the offset :math:`(u_t - u_s, v_t - v_s)`. Takes O(N + E) time and memory.

    Args:
        radius: The number of rings of columns around the central one, r >= 0.

            ======  =======  ======  =========
            radius  columns  N       E
            ======  =======  ======  =========
            0       1        65      454
            2       19       1203    26,636
            3       37       2345    57,663
            5       91       5759    155,089
            15      721      45,669  1,357,269
            ======  =======  ======  =========

        fill_gaps: Whether to add the single synapses with which flyvis fills the gaps between
            observed offsets, 238 offsets of 80 pairs of cell types. The networks of the paper were
            trained with them, on 1,513,231 synapses at radius 15; see
            :class:`sparsebrain.models.FlyEye`.

    Returns:
        A connectome with the following fields. Neurons are numbered by type, and then by (u, v).

        - ``edge_weight`` float32 [E]: the number of synapses at this offset, an average and
          therefore a fraction.
        - ``edge_sign`` float32 [E].
        - ``edge_type`` int64 [E], 0 to 604: the pair of cell types, whose synapses all have one
          sign; ``edge_type_names`` are 605 str such as "R1 -> L1".
        - ``node_type`` int64 [N] and ``node_type_names``: the 65 cell types.
        - ``pos`` float32 [N, 2]: the column, in units of the distance between neighbors, in the
          orientation of flyvis.
        - ``column`` int64 [N, 2]: the coordinates (u, v). This field is beyond the contract, and
          :func:`graphs.save` leaves it out.

    Raises:
        TypeError: `radius` is not an integer, or `fill_gaps` not a bool.
        ValueError: `radius` is negative, or the connectome does not fit into memory.

    Note:
        There is no ``node_sign``, because R8, Am, C2 and C3 excite some types and inhibit others.
        Types 0 to 7, the photoreceptors R1 to R8, receive the light; the model of the paper reads
        its output from types 31 to 64, T1 to TmY18. Offsets without observed synapses have none
        unless `fill_gaps` is set, which also adds the only self-loops, of 18 types. There are no
        synapses of the pair Lawf1 -> Lawf1, whose offset lies between the neurons of this type.

    References:
        J. K. Lappalainen et al., "Connectome-constrained networks predict neural activity across
        the fly visual system", Nature 634 (2024) 1132-1140.

    Example:
        >>> import graphs
        >>> fly = graphs.fly_visual_system(radius=3)
        >>> fly.num_nodes, fly.num_edges
        (2345, 57663)
        >>> fly.edge_type_names[0], fly.edge_sign[fly.edge_type == 0].unique().item()
        ('R1 -> L1', -1.0)
        >>> light = (fly.node_type < 8).nonzero().flatten()
        >>> len(light)
        296
    """
    radius = arguments.count("radius", radius)
    arguments.flag("fill_gaps", fill_gaps)
    neurons, edges = (number * (3 * radius * (radius + 1) + 1) for number in _PER_COLUMN)
    memory.check("radius", "pass radius=15", neurons=neurons, synapses=edges)
    cells, synapses = (tables.read(f"fly_visual_system_{name}") for name in ("types", "synapses"))
    if fill_gaps:
        gaps = tables.read("fly_visual_system_gaps")
        synapses = {name: (*column, *gaps[name]) for name, column in synapses.items()}
    kinds = {name: number for number, name in enumerate(cells["type"])}
    ends = list(zip(synapses["source"], synapses["target"], strict=True))
    pairs = {pair: number for number, pair in enumerate(dict.fromkeys(ends))}

    columns = _hexagon(radius)
    strides = np.array([cells["u_stride"], cells["v_stride"]], dtype=np.int64).T
    present = (columns % strides[:, None] == 0).all(axis=2)
    node_type, home = present.nonzero()
    source, target, row = _expand(
        columns,
        present,
        np.array([[kinds[a], kinds[b]] for a, b in ends]),
        np.array([synapses["du"], synapses["dv"]], dtype=np.int64).T,
    )
    u, v = columns[home].T
    return build(
        len(node_type),
        source,
        target,
        edge_type=np.array([pairs[pair] for pair in ends])[row],
        edge_weight=np.array(synapses["synapses"], dtype=np.float32)[row],
        edge_sign=np.array(synapses["sign"], dtype=np.float32)[row],
        edge_type_names=[f"{a} -> {b}" for a, b in pairs],
        pos=np.stack((math.sqrt(3) / 2 * v, -(u + v / 2)), axis=1),
        node_type=node_type,
        node_type_names=list(kinds),
        column=columns[home],
    )


def _hexagon(radius: int) -> Index:
    """Return the coordinates of all columns [C, 2], in row-major order."""
    side = np.arange(-radius, radius + 1)
    square = np.stack(np.meshgrid(side, side, indexing="ij"), axis=2).reshape(-1, 2)
    return square[np.abs(square.sum(axis=1)) <= radius]


def _expand(
    columns: Index, present: NDArray[np.bool_], kinds: Index, offsets: Index
) -> tuple[Index, Index, Index]:
    """Repeat the synapses of one column over all columns.

    Args:
        columns: The coordinates of the columns [C, 2].
        present: Whether a type has a neuron in a column [T, C].
        kinds: The cell types of source and target of each row [R, 2].
        offsets: The offset of each row [R, 2].

    Returns:
        The source, the target and the row of each synapse.
    """
    sizes = present.sum(axis=1)
    first = np.cumsum(sizes) - sizes
    # Coordinates outside of the eye belong to an additional last column without neurons.
    neuron = np.full((len(sizes), len(columns) + 1), -1)
    neuron[:, :-1][present] = np.arange(sizes.sum())
    reach = np.abs(columns).max() + np.abs(offsets).max()
    number = np.full((2 * reach + 1, 2 * reach + 1), len(columns))
    number[tuple((columns + reach).T)] = np.arange(len(columns))

    sends, receives = kinds.T
    repeats = sizes[sends]
    row = np.repeat(np.arange(len(kinds)), repeats)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    source = first[sends][row] + nth
    home = present.nonzero()[1]
    there = number[tuple((columns[home[source]] + offsets[row] + reach).T)]
    target = neuron[receives[row], there]
    inside = target >= 0
    return source[inside], target[inside], row[inside]
