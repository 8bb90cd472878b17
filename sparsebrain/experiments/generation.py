"""A connectome made from a text and put on disk."""

from __future__ import annotations

import os

from torch_geometric.data import Data

import graphs
from graphs.fields import beyond
from graphs.io.files import format_of
from sparsebrain.experiments import options
from sparsebrain.experiments.topology import TopologyError, budget, build, parse


def generate(spec: str, out: str | os.PathLike[str], *, shape: str, seed: int = 0) -> Data:
    """Generate a connectome as a comparison on images of that shape would, and save it.

    Args:
        spec: text as :func:`~sparsebrain.experiments.topology.parse` reads it.
        out: the file; its suffix chooses the format, as for :func:`graphs.save`.
        shape: the lattice, such as ``28x28``, from which follows what the text leaves out; what is
            fitted comes near to the synapses of its grid of distance 2.
        seed: for the random ones.

    Raises:
        ValueError: a text or an option that cannot be used, or an unknown suffix.
        OSError: ``out`` cannot be written.
    """
    topology = parse(spec)
    sheet = options.sheet("shape", shape)
    out = options.path("out", out)
    # Told before what may take minutes.
    format_of(out)
    wanted = 0 if topology.states_its_size else budget([], sheet).num_edges
    data = build(topology, sheet, num_edges=wanted, seed=seed)
    if data is None:
        raise TopologyError(topology.spec, "it has no connectome to write; pass for example grid")
    # Real connectomes tell more than files keep, and there is nobody here to choose.
    for name in beyond(data):
        del data[name]
    graphs.save(data, out)
    return data
