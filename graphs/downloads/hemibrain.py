"""The hemibrain: a large part of the brain of an adult female fly, Drosophila melanogaster."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch_geometric.data import Data

from graphs.downloads import neurons
from graphs.downloads.transfer import Remote

# No checksum is published; the server states one.
ARCHIVE = Remote(
    "https://storage.googleapis.com/hemibrain/v1.2/exported-traced-adjacencies-v1.2.tar.gz",
    45_872_577,
)
_NEURONS, _SYNAPSES = "traced-neurons.csv", "traced-total-connections.csv"
# The tables have 80 MB.
_MOST_BYTES = 2**29


def read(paths: Mapping[str, Path], options: neurons.Options) -> Data:
    """Return the connectome of the published archive; see :func:`graphs.fetch`."""
    found: dict[str, bytes] = {}
    with tarfile.open(paths[ARCHIVE.name], "r|gz") as archive:
        for member in archive:
            name = Path(member.name).name
            if name in (_NEURONS, _SYNAPSES) and member.isfile():
                if member.size > _MOST_BYTES:
                    raise ValueError(
                        f"{name} in {ARCHIVE.name} has {member.size} bytes, expected at most "
                        f"{_MOST_BYTES}; remove the archive and call fetch again"
                    )
                file = archive.extractfile(member)
                found[name] = file.read() if file is not None else b""
    missing = {_NEURONS, _SYNAPSES} - found.keys()
    if missing:
        raise ValueError(
            f"{ARCHIVE.name} has no {', '.join(sorted(missing))}; remove it and call fetch again"
        )
    bodies_table = neurons.csv(io.BytesIO(found[_NEURONS]), _NEURONS)
    bodies = bodies_table.integers("bodyId")
    order = np.argsort(bodies)
    bodies = bodies[order]
    synapses = neurons.csv(io.BytesIO(found[_SYNAPSES]), _SYNAPSES)
    return neurons.connectome(
        bodies,
        neurons.numbers(synapses.integers("bodyId_pre"), bodies),
        neurons.numbers(synapses.integers("bodyId_post"), bodies),
        synapses.integers("weight"),
        options,
        cell_types=bodies_table.texts("type")[order],
    )
