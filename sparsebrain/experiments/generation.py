"""Generation of a connectome from the text of a topology."""

from __future__ import annotations

import os

from torch_geometric.data import Data

import graphs
from graphs.fields import beyond
from sparsebrain.experiments import options
from sparsebrain.experiments.topology import TopologyError, budget, build, parse


def generate(spec: str, out: str | os.PathLike[str], *, shape: str, seed: int = 0) -> Data:
    """Generate the connectome that a comparison on images of a shape would use, and save it.

    Args:
        spec: Text of the topology, see :func:`~sparsebrain.experiments.topology.parse`.
        out: Path of the file; its suffix determines the format, as in :func:`graphs.save`.
        shape: Lattice shape, such as ``28x28``, for everything that the text leaves out. Fitted
            options are matched to the synapses of its grid of distance 2.
        seed: Random seed.

    Returns:
        The connectome.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The topology cannot be built, or the suffix is unknown.
        OSError: ``out`` cannot be written.
    """
    topology = parse(spec)
    sheet = options.sheet("shape", shape)
    seed = options.seed("seed", seed)
    # What cannot be written is reported before minutes of generation.
    out = options.new_file("out", out)
    wanted = 0 if topology.states_its_size else budget([], sheet).num_edges
    data = build(topology, sheet, num_edges=wanted, seed=seed)
    if data is None:
        raise TopologyError(topology.spec, "it has no connectome to write; pass for example grid")
    # Real connectomes have fields that files cannot hold, and saving would warn of them.
    for name in beyond(data):
        del data[name]
    graphs.save(data, out)
    return data
