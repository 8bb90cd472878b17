"""Topologies as text: ``small-world:neurons=784,neighbors=22,rewire=0.1``, ``file:brain.npz``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from torch_geometric.data import Data

import graphs
from graphs.io.files import files_of
from sparsebrain.experiments import texts
from sparsebrain.experiments.builders import DEFAULT_WINDOW
from sparsebrain.experiments.kinds import FROM_FILE, KINDS, NO_GRAPH


@dataclass(frozen=True)
class Topology:
    """A parsed text: what it is called in tables, its kind, and the options that it states."""

    spec: str
    kind: str
    options: tuple[tuple[str, Any], ...]

    @property
    def states_its_size(self) -> bool:
        """Whether the number of synapses follows from the text and the data set alone."""
        return KINDS[self.kind].fitted is None or KINDS[self.kind].fitted in dict(self.options)

    @property
    def checksum(self) -> str:
        """Of the files that the topology is read from; empty where it is made.

        Raises:
            OSError: the file cannot be read.
        """
        if self.kind != FROM_FILE:
            return ""
        digest = hashlib.sha256()
        for path in files_of(dict(self.options)["path"]):
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
        return digest.hexdigest()[:16]


def parse(spec: str) -> Topology:
    """Read ``kind:option=value,option=value``, or ``file:PATH``.

    Raises:
        ValueError: an unknown kind or option, or a value that cannot be read. Whether the file is
            there is not looked at before :func:`build`.

    Example:
        >>> from sparsebrain.experiments.topology import parse
        >>> parse("grid:shape=28x28,distance=2").options
        (('shape', (28, 28)), ('distance', 2.0))
    """
    kind, _, rest = spec.strip().partition(":")
    if kind not in KINDS:
        raise ValueError(f"unknown topology {kind!r} in {spec!r}; choose {', '.join(KINDS)}.")
    known = KINDS[kind].options
    if kind == FROM_FILE:
        # All of it is the path, which may hold what separates options elsewhere.
        if not rest:
            raise ValueError(f"topology {spec!r} states no path; write file:some/path.npz.")
        return Topology(f"{kind}:{rest}", kind, (("path", rest),))
    # The same options in another order are the same topology.
    name, options = texts.read_options(f"topology {spec!r}", kind, rest, known)
    return Topology(f"{kind}:{name}" if name else kind, kind, tuple(options.items()))


def break_options(spec: str, gap: str) -> str:
    """The text with a gap before each of its options; a path stays whole, a name as it is."""
    if spec.startswith(f"{FROM_FILE}:"):
        return spec
    return spec.replace(":", f":{gap}").replace(",", f",{gap}")


def budget(topologies: list[Topology], sheet: tuple[int, ...]) -> int:
    """The synapses that every topology should have: those of the first that states its size.

    Where none does, those of the data set's grid with a window of 5 neurons each way.
    """
    for topology in topologies:
        if topology.kind != NO_GRAPH and topology.states_its_size:
            data = build(topology, sheet, synapses=0, seed=0)
            assert data is not None
            return int(data.num_edges)
    return int(graphs.grid_local(sheet, DEFAULT_WINDOW).num_edges)


def build(topology: Topology, sheet: tuple[int, ...], *, synapses: int, seed: int) -> Data | None:
    """Generate a connectome; None for the topology without a graph.

    Args:
        topology: what :func:`parse` returned.
        sheet: the lattice from which neurons, extent and shape follow where they are left out.
        synapses: the number to come near to, where an option that decides it is left out.
        seed: for the random ones; the same seed gives the same connectome.

    Raises:
        ValueError: an option has a value that the generator refuses, or a file cannot be read.
    """
    try:
        return KINDS[topology.kind].build(dict(topology.options), sheet, synapses, seed)
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"topology {topology.spec!r}: {error}") from None
