"""FlyWire: the brain of an adult female fly, Drosophila melanogaster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.contract import Index
from graphs.downloads import neurons
from graphs.downloads.transfer import Remote

_RECORD = "https://zenodo.org/records/10676866/files"
CONNECTIONS = Remote(
    f"{_RECORD}/proofread_connections_783.feather",
    852_022_274,
    "md5:f48f972d262323a102aed49af1396b8a",
)
ROOT_IDS = Remote(
    f"{_RECORD}/proofread_root_ids_783.npy", 1_114_168, "md5:e0e6c19732fd8c7a4e39a2d170105421"
)
# The columns of average probabilities, and the transmitters.
TRANSMITTERS = {
    "ach_avg": "acetylcholine",
    "gaba_avg": "gaba",
    "glut_avg": "glutamate",
    "da_avg": "dopamine",
    "ser_avg": "serotonin",
    "oct_avg": "octopamine",
}


def read(paths: Mapping[str, Path], options: neurons.Options) -> Data:
    """Return the connectome of the published tables; see :func:`graphs.fetch`."""
    identifiers = np.sort(np.load(paths[ROOT_IDS.name], allow_pickle=False).astype(np.int64))
    table = neurons.Arrow(paths[CONNECTIONS.name])
    source = neurons.numbers(table.integers("pre_pt_root_id"), identifiers)
    target = neurons.numbers(table.integers("post_pt_root_id"), identifiers)
    count = table.integers("syn_count")
    transmitter = _transmitters(table, source, count, len(identifiers))
    return neurons.connectome(identifiers, source, target, count, options, transmitter)


def _transmitters(
    table: neurons.Arrow, source: Index, count: Index, num_nodes: int
) -> NDArray[np.str_]:
    """Return the transmitter of each neuron: the most probable one over all of its synapses."""
    # One column at a time, as all of them together would take most of the memory.
    total = np.stack(
        [
            np.bincount(source, table.reals(column) * count, minlength=num_nodes)
            for column in TRANSMITTERS
        ]
    )
    found = np.array(list(TRANSMITTERS.values()))[total.argmax(axis=0)]
    # A neuron without outgoing synapses tells nothing.
    return np.where(total.max(axis=0) > 0, found, neurons.UNKNOWN)
