"""The visual system of the fly Drosophila melanogaster."""

import math

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.brains import tables
from graphs.contract import Index, build


def fly_visual_system(radius: int = 15) -> Data:
    r"""Return the motion pathways of the optic lobe of *Drosophila melanogaster*.

    The eye is a hexagon of columns :math:`(u, v)` with :math:`|u|, |v|, |u + v| \le r`. A cell type
    has a neuron in every column, or in those whose coordinates are multiples of its strides (Lawf1
    and Lawf2: 3 and 2). Neuron :math:`s` of type :math:`a` sends to neuron :math:`t` of type
    :math:`b` if synapses were seen from a to b at the offset :math:`(u_t - u_s, v_t - v_s)`: the
    connectome of one column, repeated over the eye [1]_.

    Parameters
    ----------
    radius : int
        Number of rings of columns r >= 0 around the one in the middle.

        ======  =======  ======  =========
        radius  columns  N       E
        ======  =======  ======  =========
        0       1        65      454
        2       19       1203    26,636
        3       37       2345    57,663
        5       91       5759    155,089
        15      721      45,669  1,357,269
        ======  =======  ======  =========

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E]; ``edge_weight`` float32 [E], the number of synapses at this
        offset, an average and so a fraction; ``edge_sign`` float32 [E]; ``edge_type`` int64 [E],
        the number of the pair of cell types, 0 to 604, all synapses of which have one sign, and
        ``edge_type_names``, a list of 605 str such as "R1 -> L1";
        ``node_type`` int64 [N] and ``node_type_names``, the 65 cell types; ``pos`` float32 [N, 2],
        where neighbouring columns are 1 apart, turned as flyvis draws it. Neurons are numbered type
        by type, then by (u, v).

        Beyond the contract, so that `graphs.save` leaves it out: ``column`` int64 [N, 2],
        the coordinates (u, v).

    Raises
    ------
    TypeError, ValueError
        If `radius` is not an integer >= 0.

    Notes
    -----
    There is no ``node_sign``: R8, Am, C2 and C3 excite some types and inhibit others. Types 0 to 7,
    the photoreceptors R1 to R8, take the light; types 31 to 64, T1 to TmY18, are those from which
    the model of [1]_ reads what it sees. Only offsets at which synapses were seen have one; that
    model by default also fills the gaps between them with single synapses. There are no self-loops,
    and no synapses of the pair Lawf1 -> Lawf1, whose offset lies between the neurons of this type.
    O(N + E) time and memory.

    References
    ----------
    .. [1] J. K. Lappalainen et al., "Connectome-constrained networks predict neural activity across
       the fly visual system", Nature 634 (2024) 1132-1140.

    Examples
    --------
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
    neurons = 60.0 * (3 * radius * (radius + 1) + 1)  # about 60 neurons per column
    arguments.room("radius", "pass a smaller radius", neurons=neurons)
    cells, synapses = (tables.read(f"fly_visual_system_{name}") for name in ("types", "synapses"))
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
    """Coordinates of all columns [C, 2], in row-major order."""
    side = np.arange(-radius, radius + 1)
    square = np.stack(np.meshgrid(side, side, indexing="ij"), axis=2).reshape(-1, 2)
    return square[np.abs(square.sum(axis=1)) <= radius]


def _expand(
    columns: Index, present: NDArray[np.bool_], kinds: Index, offsets: Index
) -> tuple[Index, Index, Index]:
    """Repeat rows of cell types `kinds` [R, 2] and `offsets` [R, 2] over the columns.

    `present` [T, C] tells which type has a neuron in which column. Returns source, target and row
    of every synapse.
    """
    sizes = present.sum(axis=1)
    first = np.cumsum(sizes) - sizes
    # Whatever lies outside has the number of one more column, the last, where no neuron is.
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
