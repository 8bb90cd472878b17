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
# In the table's words; some neurons are of more than one class.
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

    The same 302 neurons in the same order, by name, whatever the kind and the source; neurons that
    a source has no synapses of are isolated.

    Parameters
    ----------
    kind : {"chemical", "electrical", "both"}
        Chemical synapses, electrical ones (gap junctions), or both. A pair of neurons that is
        joined by both has a synapse of each.
    source : {"cook2019", "white1986", "varshney2011"}
        Who counted: Cook et al. [1]_ from new and old micrographs; White et al. [2]_, the first
        connectome; Varshney et al. [3]_, the latter revised and without the pharynx.

        ============  ========  ==========  ======  ==================
        source        chemical  electrical  both    connected neurons
        ============  ========  ==========  ======  ==================
        cook2019      3638      2173        5811    300
        white1986     2266      1132        3398    299
        varshney2011  2194      1031        3225    279
        ============  ========  ==========  ======  ==================

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E]; ``edge_weight`` float32 [E], the number of synapses or gap
        junctions counted from source to target; ``edge_type`` int64 [E], 0 chemical and 1
        electrical, and ``edge_type_names``; ``pos`` float32 [N, 3], the cell body in micrometres: x
        towards the left, y from head to tail, z from belly to back; ``names``; ``node_type`` int64
        [N] and ``node_type_names``, the class: sensory, interneuron, motor, those that are several,
        such as "motor;sensory", and unknown (CANL, CANR).

        Beyond the contract, so that `graphs.save` leaves it out: ``transmitters``, a list of
        str [N] with several separated by ";", "unknown" for 59 neurons.

    Raises
    ------
    TypeError, ValueError
        If `kind` or `source` is none of the above.

    Notes
    -----
    There is no ``edge_sign``: whether a synapse excites was not measured, and does not follow from
    its transmitter alone.

    An electrical synapse passes both ways, so it is in both directions. The tables differ in that.
    White et al. list each pair once, so the reverse has the same weight. Cook et al. and Varshney
    et al. list both directions; five that are missing in Cook's (DB3 to PVM, VD9 to PVM, VD6 to
    PDEL, PDER to AVKL, DVA to VB4) are completed with the weight of their twins, and twelve pairs
    there whose directions differ by one are left as they are.

    Only synapses between neurons are kept: 120 chemical and 6 electrical ones of White et al. with
    muscles or glia, and 115 chemical ones of Varshney et al. with muscles are left out. Self-loops
    are kept: with both kinds 47 of Cook et al., 6 of White et al. and 3 of Varshney et al.

    Classes, transmitters and positions are those of OpenWorm's c302 [4]_.

    References
    ----------
    .. [1] S. J. Cook et al., "Whole-animal connectomes of both Caenorhabditis elegans sexes",
       Nature 571 (2019) 63-71.
    .. [2] J. G. White, E. Southgate, J. N. Thomson, S. Brenner, "The structure of the nervous
       system of the nematode Caenorhabditis elegans", Phil. Trans. R. Soc. B 314 (1986) 1-340.
    .. [3] L. R. Varshney, B. L. Chen, E. Paniagua, D. H. Hall, D. B. Chklovskii, "Structural
       properties of the Caenorhabditis elegans neuronal network", PLoS Comput. Biol. 7 (2011)
       e1001066.
    .. [4] P. Gleeson, D. Lung, R. Grosu, R. Hasani, S. D. Larson, "c302: a multiscale framework for
       modelling the nervous system of Caenorhabditis elegans", Phil. Trans. R. Soc. B 373 (2018)
       20170379.

    Examples
    --------
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
    """Source, target, type and count of the synapses between neurons, electrical ones both ways."""
    table = tables.read(f"c_elegans_{origin}")
    number = {name: neuron for neuron, name in enumerate(names)}
    rows = np.array(
        [
            (number[source], number[target], SYNAPSES.index(kind), int(count))
            for source, target, kind, count in zip(
                *(table[each] for each in ("source", "target", "type", "synapses")), strict=True
            )
            # The rest are muscles and glia.
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
