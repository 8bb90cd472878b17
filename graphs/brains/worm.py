"""The nervous system of the worm Caenorhabditis elegans."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.brains import tables
from graphs.contract import Index, build

Source = Literal[
    "cook2019",
    "white1986",
    "varshney2011",
    "witvliet2021-1",
    "witvliet2021-2",
    "witvliet2021-3",
    "witvliet2021-4",
    "witvliet2021-5",
    "witvliet2021-6",
    "witvliet2021-7",
    "witvliet2021-8",
    "yim2024-dauer",
]
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
    """Return a connectome of the hermaphrodite worm *Caenorhabditis elegans*, adult or growing up.

    Every kind and source has the same 302 neurons in the same order, by name. Neurons without
    synapses in a source are isolated, so that animals can be compared neuron by neuron.

    Args:
        kind: Chemical synapses, electrical ones (gap junctions), or both. A pair of neurons with
            both has a synapse of each kind.
        source: The authors of the table, and the animal. Adults: Cook et al. [1], from new and old
            micrographs; White et al. [2], the first connectome; Varshney et al. [3], a revision of
            the latter without the pharynx. Animals at eight ages: Witvliet et al. [5], the brain
            (nerve ring and ventral ganglion) from birth to adulthood. Dauer, a larva that survives
            hunger: Yim et al. [6], the nerve ring, chemical synapses only.

            ==============  =====  ========  ==========  ====  =================
            source          stage  chemical  electrical  both  connected neurons
            ==============  =====  ========  ==========  ====  =================
            cook2019        adult  3638      2173        5811  300
            white1986       adult  2266      1132        3398  299
            varshney2011    adult  2194      1031        3225  279
            witvliet2021-1  L1     675       164         839   161
            witvliet2021-2  L1     865       240         1105  162
            witvliet2021-3  L1     887       186         1073  162
            witvliet2021-4  L1     1011      407         1418  168
            witvliet2021-5  L2     1324      572         1896  174
            witvliet2021-6  L3     1315      422         1737  175
            witvliet2021-7  adult  1944      528         2472  180
            witvliet2021-8  adult  1933      600         2533  180
            yim2024-dauer   dauer  1955      0           1955  179
            ==============  =====  ========  ==========  ====  =================

    Returns:
        A connectome with these fields:

        - ``edge_weight`` float32 [E]: the number of synapses or gap junctions from source to target
          (White, Varshney, Witvliet); the number of sections in which they are seen, which grows
          with their size (Cook); or the volume of their active zones in cubic nanometers (Yim).
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
        ValueError: `kind` or `source` is none of the above, or `kind` is "electrical" where the
            source has only chemical synapses.

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
        out, and so are muscles and glia of Witvliet et al. and Yim et al. Self-loops are included:
        with both kinds 47 of Cook et al., 6 of White et al. and 3 of Varshney et al.

        Witvliet et al. warn that their electrical synapses are incomplete.

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

        [5] D. Witvliet et al., "Connectomes across development reveal principles of brain
        maturation", Nature 596 (2021) 257-261.

        [6] H. Yim et al., "Comparative connectomics of dauer reveals developmental plasticity",
        Nature Communications 15 (2024) 1546.

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
        >>> newborn, adult = (graphs.c_elegans(source=f"witvliet2021-{age}") for age in (1, 8))
        >>> newborn.num_edges, adult.num_edges
        (675, 1933)
    """
    kind = arguments.option("kind", kind, KINDS)
    source = arguments.option("source", source, SOURCES)
    neurons = tables.read("c_elegans_neurons")
    start, end, edge_type, weight = _synapses(f"c_elegans_{source}", neurons["name"], kind)
    if not len(start):
        raise ValueError(
            f"kind={kind!r}: {source} has no {kind} synapses; pass kind='chemical' or another "
            "source"
        )
    return build(
        len(neurons["name"]),
        start,
        end,
        edge_type=edge_type,
        edge_weight=weight,
        edge_type_names=list(SYNAPSES),
        pos=np.array([neurons[axis] for axis in "xyz"], dtype=np.float32).T,
        names=list(neurons["name"]),
        node_type=np.array([CLASSES.index(each) for each in neurons["type"]]),
        node_type_names=list(CLASSES),
        transmitters=[each or "unknown" for each in neurons["transmitter"]],
    )


def c_elegans_male(kind: Kind = "chemical") -> Data:
    """Return the connectome of the adult male worm *Caenorhabditis elegans*.

    Args:
        kind: Chemical synapses (4048), electrical ones (gap junctions, 2584), or both (6632). A
            pair of neurons with both has a synapse of each kind.

    Returns:
        A connectome of 384 neurons, sorted by name, with these fields:

        - ``edge_weight`` float32 [E]: the number of sections in which synapses from source to
          target are seen, which grows with their number and size.
        - ``edge_type`` int64 [E] and ``edge_type_names``: 0 chemical, 1 electrical. Electrical
          synapses are present in both directions, with equal weights.
        - ``names``: those that both sexes have are named as in :func:`graphs.c_elegans`.
        - ``node_type`` int64 [N] and ``node_type_names``: 0 shared by both sexes (294 neurons),
          1 male (90). Four neurons have no synapses in the table.

    Raises:
        TypeError: `kind` is not a str.
        ValueError: `kind` is none of the above.

    References:
        S. J. Cook et al., "Whole-animal connectomes of both Caenorhabditis elegans sexes",
        Nature 571 (2019) 63-71; tables as corrected in July 2020.

    Example:
        >>> import graphs
        >>> male = graphs.c_elegans_male("both")
        >>> male.num_nodes, male.num_edges, male.node_type.bincount().tolist()
        (384, 6632, [294, 90])
    """
    kind = arguments.option("kind", kind, KINDS)
    names = tables.read("c_elegans_male_neurons")["name"]
    shared = set(tables.read("c_elegans_neurons")["name"])
    start, end, edge_type, weight = _synapses("c_elegans_male_cook2019", names, kind)
    return build(
        len(names),
        start,
        end,
        edge_type=edge_type,
        edge_weight=weight,
        edge_type_names=list(SYNAPSES),
        names=list(names),
        node_type=np.array([int(each not in shared) for each in names]),
        node_type_names=["shared", "male"],
    )


def _synapses(
    table_name: str, names: tuple[str, ...], wanted: Kind
) -> tuple[Index, Index, Index, NDArray[np.float32]]:
    """Return source, target, type and weight of the synapses of a kind between neurons.

    Electrical synapses are returned in both directions.
    """
    table = tables.read(table_name)
    number = {name: neuron for neuron, name in enumerate(names)}
    # The other cells are muscles and glia.
    kept = [
        row
        for row in zip(
            *(table[each] for each in ("source", "target", "type", "synapses")), strict=True
        )
        if row[0] in number and row[1] in number and wanted in (row[2], "both")
    ]
    source, target, kind = (
        np.array(
            [(number[start], number[end], SYNAPSES.index(kind)) for start, end, kind, _ in kept],
            dtype=np.int64,
        )
        .reshape(-1, 3)
        .T
    )
    weight = np.array([row[3] for row in kept], dtype=np.float32)
    electrical = kind == SYNAPSES.index("electrical")
    listed = source * len(names) + target
    reverse = target * len(names) + source
    missing = electrical & ~np.isin(reverse, listed[electrical])
    return (
        np.concatenate((source, target[missing])),
        np.concatenate((target, source[missing])),
        np.concatenate((kind, kind[missing])),
        np.concatenate((weight, weight[missing])),
    )
