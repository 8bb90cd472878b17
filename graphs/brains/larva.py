"""The mushroom body of the larva of the fly Drosophila melanogaster."""

from typing import Literal, get_args

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.brains import tables
from graphs.contract import build

Side = Literal["left", "right"]
SIDES: tuple[Side, ...] = get_args(Side)
CELL_TYPES = ("K", "I", "O", "P")


def larva_mushroom_body(side: Side = "left") -> Data:
    """Return the mushroom body of a *Drosophila melanogaster* larva, its center for odor learning.

    Args:
        side: The half of the brain.

            =====  =======  ========  ===  ==  ==  ==
            side   neurons  synapses  K    I   O   P
            =====  =======  ========  ===  ==  ==  ==
            left   209      7425      101  21  29  58
            right  213      7536      100  21  29  63
            =====  =======  ========  ===  ==  ==  ==

    Returns:
        A connectome without self-loops, whose neurons are numbered by type, with these fields:

        - ``edge_weight`` float32 [E]: the number of synapses counted from source to target.
        - ``node_type`` int64 [N] and ``node_type_names``: K are Kenyon cells, I input neurons
          (many of them dopaminergic, which carry the teaching signals), O output neurons, and P
          projection neurons (which carry the odors).

    Raises:
        TypeError: `side` is not a str.
        ValueError: `side` is neither "left" nor "right".

    References:
        K. Eichler et al., "The complete connectome of a learning and memory centre in an insect
        brain", Nature 548 (2017) 175-182.

    Example:
        >>> import graphs
        >>> larva = graphs.larva_mushroom_body("right")
        >>> larva.num_nodes, larva.num_edges
        (213, 7536)
        >>> larva.node_type_names, larva.node_type.bincount().tolist()
        (['K', 'I', 'O', 'P'], [100, 21, 29, 63])
    """
    side = arguments.option("side", side, SIDES)
    neurons = tables.read("larva_mushroom_body_neurons")
    cell_types = [
        each for each, of in zip(neurons["type"], neurons["side"], strict=True) if of == side
    ]
    synapses = tables.read(f"larva_mushroom_body_{side}")
    return build(
        len(cell_types),
        np.array(synapses["source"], dtype=np.int64),
        np.array(synapses["target"], dtype=np.int64),
        edge_weight=np.array(synapses["synapses"], dtype=np.float32),
        node_type=np.array([CELL_TYPES.index(each) for each in cell_types]),
        node_type_names=list(CELL_TYPES),
    )
