"""The central nervous system of an adult male fly, Drosophila melanogaster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch_geometric.data import Data

from graphs.downloads import neurons
from graphs.downloads.transfer import Remote

_RELEASE = "https://storage.googleapis.com/flyem-male-cns/v1.0/connectome-data/flat-connectome"
WEIGHTS = Remote(
    f"{_RELEASE}/connectome-weights-male-cns-v1.0-minconf-0.5-traced-only.feather",
    508_025_642,
    "md5:6601d4ad0afa99fd03eb087965ef2423",
)
ANNOTATIONS = Remote(
    f"{_RELEASE}/body-annotations-male-cns-v1.0-minconf-0.5.feather",
    14_483_314,
    "md5:50a7718770c57220f160ba4f431ab89e",
)
TRANSMITTERS = Remote(
    f"{_RELEASE}/body-neurotransmitters-male-cns-v1.0.feather",
    43_282_834,
    "md5:3d842b12fe5c49eefade528d7dd24a1f",
)


def read(paths: Mapping[str, Path], options: neurons.Options) -> Data:
    """Return the connectome of the published tables; see :func:`graphs.fetch`."""
    annotations = neurons.Arrow(paths[ANNOTATIONS.name])
    superclass = annotations.texts("superclass")
    # The release counts a body as a neuron if it has a superclass.
    kept = np.flatnonzero(superclass != "")
    bodies = annotations.integers("bodyId")[kept]
    kept = kept[np.argsort(bodies)]
    bodies = np.sort(bodies)
    weights = neurons.Arrow(paths[WEIGHTS.name])
    source = neurons.numbers(weights.integers("body_pre"), bodies, strict=False)
    target = neurons.numbers(weights.integers("body_post"), bodies, strict=False)
    among = (source >= 0) & (target >= 0)
    predicted = neurons.Arrow(paths[TRANSMITTERS.name])
    rows = neurons.numbers(predicted.integers("body"), bodies, strict=False)
    transmitter = np.full(len(bodies), neurons.UNKNOWN, dtype=object)
    known = rows >= 0
    transmitter[rows[known]] = predicted.texts("consensus_nt")[known]
    return neurons.connectome(
        bodies,
        source[among],
        target[among],
        weights.integers("weight")[among],
        options,
        np.where(np.isin(transmitter, ("", "unclear")), neurons.UNKNOWN, transmitter),
        cell_types=annotations.texts("type")[kept],
    )
