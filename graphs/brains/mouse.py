"""The brain of the mouse, by regions, in four strains."""

from typing import Literal, get_args

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.brains import tables
from graphs.contract import build

Strain = Literal["B6", "BTBR", "CAST", "DBA2"]
STRAINS: tuple[Strain, ...] = get_args(Strain)
MICE_PER_STRAIN = 8
HEMISPHERES = ("left", "right")


def mouse_regions(strain: Strain = "B6") -> Data:
    """Return the connections between the regions of a mouse's brain, from diffusion imaging.

    The nodes are regions, not neurons. Imaging does not see the direction of a connection, so that
    every one is present in both directions with equal weights.

    Args:
        strain: The strain of mice: C57BL/6J ("B6"), BTBR T+ Itpr3tf/J ("BTBR", a model of autism),
            CAST/EiJ ("CAST") or DBA/2J ("DBA2").

            ======  =======  ===========
            strain  regions  connections
            ======  =======  ===========
            B6      332      95460
            BTBR    332      87246
            CAST    332      92222
            DBA2    332      93944
            ======  =======  ===========

    Returns:
        A connectome with these fields:

        - ``edge_weight`` float32 [E]: the number of streamlines between two regions, averaged over
          eight mice, four of each sex. A connection is present if one mouse has it, so that weak
          ones outnumber the strong: use :func:`graphs.summary` with weights, or keep those above a
          threshold.
        - ``names``: the abbreviation of the region in the atlas, after "L " or "R ".
        - ``node_type`` int64 [N] and ``node_type_names``: the division of the brain and its
          hemisphere, 14 in all.
        - ``structures``, N str: the full name of the region. This field is beyond the contract, and
          :func:`graphs.save` leaves it out.

    Raises:
        TypeError: `strain` is not a str.
        ValueError: `strain` is none of the above.

    References:
        N. Wang et al., "Variability and heritability of mouse brain structure: Microscopic MRI
        atlases and connectomes for diverse strains", NeuroImage 222 (2020) 117274.

    Example:
        >>> import graphs
        >>> mouse = graphs.mouse_regions("BTBR")
        >>> mouse.num_nodes, mouse.num_edges
        (332, 87246)
        >>> mouse.names[0], mouse.structures[0], mouse.node_type_names[0]
        ('L A24a', 'Cingulate Cortex Area 24a', 'left isocortex')
    """
    strain = arguments.option("strain", strain, STRAINS)
    regions = tables.read("mouse_regions")
    divisions = list(dict.fromkeys(regions["division"]))
    division = np.array([divisions.index(each) for each in regions["division"]])
    synapses = tables.read("mouse_regions_streamlines")
    streamlines = np.array(synapses[strain], dtype=np.int64)
    present = streamlines > 0
    ends = [np.array(synapses[end], dtype=np.int64)[present] for end in ("source", "target")]
    # The float32 nearest to the exact mean.
    weight = (streamlines[present] / MICE_PER_STRAIN).astype(np.float32)
    return build(
        len(HEMISPHERES) * len(division),
        np.concatenate(ends),
        np.concatenate(ends[::-1]),
        edge_weight=np.concatenate((weight, weight)),
        names=[f"{side} {each}" for side in "LR" for each in regions["abbreviation"]],
        node_type=np.concatenate((division, division + len(divisions))),
        node_type_names=[
            f"{side} {each.replace('_', ' ')}" for side in HEMISPHERES for each in divisions
        ],
        structures=[each.replace("_", " ") for _ in HEMISPHERES for each in regions["structure"]],
    )
