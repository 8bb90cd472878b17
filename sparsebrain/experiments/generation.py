"""Generation of a connectome from the text of a topology."""

from __future__ import annotations

import os

from torch_geometric.data import Data

import graphs
from graphs.fields import beyond
from sparsebrain.distributed.partitions import Partition, partition, refuse_others
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
    # What cannot be written is reported before minutes of generation.
    out = options.new_file("out", out)
    data = _build(spec, shape, seed)
    # Real connectomes have fields that files cannot hold, and saving would warn of them.
    for name in beyond(data):
        del data[name]
    graphs.save(data, out)
    return data


def generate_parts(
    spec: str, out: str | os.PathLike[str], parts: int, *, shape: str, seed: int = 0
) -> Partition:
    """Generate the connectome of :func:`generate`, and save one file for the part of each process.

    This takes the memory of the whole connectome; the functions of
    :mod:`sparsebrain.distributed.generators` make single parts without it.

    Args:
        spec: As for :func:`generate`.
        out: Path of a folder for the parts, which is made if necessary.
        parts: Number of parts.
        shape: As for :func:`generate`.
        seed: As for :func:`generate`.

    Returns:
        The partition into contiguous ranges of neurons.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The topology cannot be built, or the folder has parts of another partition.
        OSError: A file cannot be written.
    """
    folder = options.out_folder("out", out)
    parts = options.parts("parts", parts)
    refuse_others(folder, parts)
    whole = partition(_build(spec, shape, seed), parts)
    whole.save(folder)
    return whole


def _build(spec: str, shape: str, seed: int) -> Data:
    topology = parse(spec)
    sheet = options.sheet("shape", shape)
    seed = options.seed("seed", seed)
    wanted = 0 if topology.states_its_size else budget([], sheet).num_edges
    data = build(topology, sheet, num_edges=wanted, seed=seed)
    if data is None:
        raise TopologyError(topology.spec, "it has no connectome to write; pass for example grid")
    return data
