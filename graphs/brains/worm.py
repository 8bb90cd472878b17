"""The nervous system of the worm Caenorhabditis elegans."""

from typing import Literal, get_args

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.brains import tables
from graphs.contract import Index, build

Source = Literal["cook2019", "white1986", "varshney2011"]
SOURCES: tuple[Source, ...] = get_args(Source)
Kind = Literal["chemical", "electrical", "both"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SYNAPSES = ("chemical", "electrical")
# As in the table; some neurons belong to more than one class.
CLASSES = (
    "sensory",
    "interneuron",
    "motor",
    "interneuron;sensory",
    "motor;sensory",
    "interneuron;motor",
    "interneuron;motor;sensory",
    "unknown",
)


def c_elegans(kind: Kind = "chemical", source: Source = "cook2019") -> Data:
    """Return the connectome of the adult hermaphrodite worm *Caenorhabditis elegans*.

    Every kind and source has the same 302 neurons in the same order, by name. Neurons without
    synapses in a source are isolated.

    Args:
        kind: Chemical synapses, electrical ones (gap junctions), or both. A pair of neurons with
            both has a synapse of each kind.
        source: The authors of the table: Cook et al. [1], from new and old micrographs; White et
            al. [2], the first connectome; Varshney et al. [3], a revision of the latter without the
            pharynx.

            ============  ========  ==========  ======  ==================
            source        chemical  electrical  both    connected neurons
            ============  ========  ==========  ======  ==================
            cook2019      3638      2173        5811    300
            white1986     2266      1132        3398    299
            varshney2011  2194      1031        3225    279
            ============  ========  ==========  ======  ==================

    Returns:
        A connectome with these fields:

        - ``edge_weight`` float32 [E]: the number of synapses or gap junctions counted from source
          to target.
        - ``edge_type`` int64 [E] and ``edge_type_names``: 0 chemical, 1 electrical.
        - ``pos`` float32 [N, 3]: the cell body in micrometers; x to the left, y from head to tail,
          z from belly to back.
        - ``names``.
        - ``node_type`` int64 [N] and ``node_type_names``: the class of the neuron, sensory,
          interneuron, motor, a combination such as "motor;sensory", or unknown (CANL, CANR).
        - ``transmitters``, N str: several are separated by ";", and 59 neurons have "unknown". This
          field is beyond the contract, and :func:`graphs.save` leaves it out.

    Raises:
        TypeError: `kind` or `source` is not a str.
        ValueError: `kind` or `source` is none of the above.

    Note:
        There is no ``edge_sign``: whether a synapse excites was not measured, and does not follow
        from its transmitter alone.

        An electrical synapse transmits both ways and is therefore present in both directions. White
        et al. list each pair once, so the reverse has the same weight. Cook et al. and Varshney et
        al. list both directions. Five directions are missing in the table of Cook et al. (DB3 to
        PVM, VD9 to PVM, VD6 to PDEL, PDER to AVKL, DVA to VB4) and receive the weight of the
        reverse; twelve pairs whose directions differ by one are left unchanged.

        Only synapses between neurons are included: 120 chemical and 6 electrical ones of White et
        al. with muscles or glia, and 115 chemical ones of Varshney et al. with muscles are left
        out. Self-loops are included: with both kinds 47 of Cook et al., 6 of White et al. and 3 of
        Varshney et al.

        Classes, transmitters and positions are those of OpenWorm's c302 [4].

    References:
        [1] S. J. Cook et al., "Whole-animal connectomes of both Caenorhabditis elegans sexes",
        Nature 571 (2019) 63-71.

        [2] J. G. White, E. Southgate, J. N. Thomson, S. Brenner, "The structure of the nervous
        system of the nematode Caenorhabditis elegans", Phil. Trans. R. Soc. B 314 (1986) 1-340.

        [3] L. R. Varshney, B. L. Chen, E. Paniagua, D. H. Hall, D. B. Chklovskii, "Structural
        properties of the Caenorhabditis elegans neuronal network", PLoS Comput. Biol. 7 (2011)
        e1001066.

        [4] P. Gleeson, D. Lung, R. Grosu, R. Hasani, S. D. Larson, "c302: a multiscale framework
        for modelling the nervous system of Caenorhabditis elegans", Phil. Trans. R. Soc. B 373
        (2018) 20170379.

    Example:
        >>> import graphs
        >>> worm = graphs.c_elegans()
        >>> worm.num_nodes, worm.num_edges
        (302, 3638)
        >>> worm.names[:3], worm.transmitters[:3]
        (['ADAL', 'ADAR', 'ADEL'], ['Glutamate', 'Glutamate', 'Dopamine'])
        >>> worm.node_type.bincount().tolist()
        [66, 69, 94, 18, 21, 26, 6, 2]
        >>> graphs.c_elegans("electrical", "white1986").num_edges
        1132
    """
    kind = arguments.option("kind", kind, KINDS)
    source = arguments.option("source", source, SOURCES)
    neurons = tables.read("c_elegans_neurons")
    start, end, edge_type, count = _synapses(source, neurons["name"])
    if kind != "both":
        wanted = edge_type == SYNAPSES.index(kind)
        start, end, edge_type, count = (each[wanted] for each in (start, end, edge_type, count))
    return build(
        len(neurons["name"]),
        start,
        end,
        edge_type=edge_type,
        edge_weight=count.astype(np.float32),
        edge_type_names=list(SYNAPSES),
        pos=np.array([neurons[axis] for axis in "xyz"], dtype=np.float32).T,
        names=list(neurons["name"]),
        node_type=np.array([CLASSES.index(each) for each in neurons["type"]]),
        node_type_names=list(CLASSES),
        transmitters=[each or "unknown" for each in neurons["transmitter"]],
    )


def _synapses(origin: str, names: tuple[str, ...]) -> tuple[Index, Index, Index, Index]:
    """Return source, target, type and count of the synapses between neurons.

    Electrical synapses are returned in both directions.
    """
    table = tables.read(f"c_elegans_{origin}")
    number = {name: neuron for neuron, name in enumerate(names)}
    rows = np.array(
        [
            (number[source], number[target], SYNAPSES.index(kind), int(count))
            for source, target, kind, count in zip(
                *(table[each] for each in ("source", "target", "type", "synapses")), strict=True
            )
            # The other cells are muscles and glia.
            if source in number and target in number
        ]
    )
    source, target, kind, _ = rows.T
    electrical = kind == SYNAPSES.index("electrical")
    listed = source * len(names) + target
    reverse = target * len(names) + source
    missing = electrical & ~np.isin(reverse, listed[electrical])
    rows = np.concatenate((rows, rows[missing][:, [1, 0, 2, 3]]))
    source, target, kind, count = rows.T
    return source, target, kind, count
