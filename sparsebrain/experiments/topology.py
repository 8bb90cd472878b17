"""Topologies as text: ``small-world:num_nodes=784,neighbors=22,rewire=0.1``, ``file:brain.npz``."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch_geometric.data import Data

from graphs.io.files import files_of
from sparsebrain.experiments import texts
from sparsebrain.experiments.kinds import FROM_FILE, KINDS, NO_GRAPH
from sparsebrain.experiments.options import OptionError


class TopologyError(OptionError):
    """A text that is no topology, or one whose generator refuses its options.

    Attributes:
        spec: The text.
    """

    def __init__(self, spec: str, reason: str) -> None:
        super().__init__("topology", reason)
        self.args = (spec, reason)
        self.spec = spec

    def told(self, name: str) -> str:
        """Return the message under the name that the caller has for topologies."""
        return f"{name} {self.spec!r}: {self.reason}"


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
    def states_its_neurons(self) -> bool:
        """Whether the number of neurons follows from the text, or the file, alone."""
        sized = KINDS[self.kind].sized
        return sized is None or any(option in dict(self.options) for option in sized)

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
        raise TopologyError(spec, f"unknown kind {kind!r}; choose one of {', '.join(KINDS)}")
    if kind == FROM_FILE:
        # All of it is the path, which may hold what separates options elsewhere.
        if not rest:
            raise TopologyError(spec, "it has no path; write for example file:some/path.npz")
        return Topology(f"{kind}:{rest}", kind, (("path", rest),))
    # The same options in another order are the same topology.
    known = KINDS[kind].readers
    try:
        name, options = texts.read_options(kind, rest, known)
    except ValueError as error:
        raise TopologyError(spec, str(error)) from None
    return Topology(f"{kind}:{name}" if name else kind, kind, tuple(options.items()))


def break_options(spec: str, gap: str) -> str:
    """The text with a gap before each of its options; a path stays whole, a name as it is."""
    if spec.startswith(f"{FROM_FILE}:"):
        return spec
    return spec.replace(":", f":{gap}").replace(",", f",{gap}")


class Budget(NamedTuple):
    """What every topology of a comparison should have, and the topology that sets it, if one does.

    Neurons of the model without a graph are its hidden ones.
    """

    num_nodes: int
    num_edges: int
    topology: str = ""


def budget(topologies: list[Topology], sheet: tuple[int, ...]) -> Budget:
    """Neurons and synapses of the first topology that states its size.

    Where none does, those of a grid with a window of 5 neurons each way, on as many neurons as the
    first topology states that states them, or else on the data set's sheet.
    """
    for topology in topologies:
        if topology.kind != NO_GRAPH and topology.states_its_size:
            data = build(topology, sheet, num_edges=0, seed=0)
            assert data is not None
            return Budget(int(data.num_nodes), int(data.num_edges), topology.spec)
    options = [dict(each.options) for each in topologies]
    stated = [each["num_nodes"] for each in options if "num_nodes" in each]
    num_nodes = max(stated[0], 1) if stated else math.prod(sheet)
    grid = KINDS["grid"].build({}, lattice(num_nodes, sheet), 0, 0)
    assert grid is not None
    return Budget(num_nodes, int(grid.num_edges))


def lattice(num_nodes: int, sheet: tuple[int, ...]) -> tuple[int, ...]:
    """The sheet where it has so many neurons; else rows and columns of about as many.

    Neither side is much over twice the other, so that a prime number of neurons makes no line.
    """
    if math.prod(sheet) == num_nodes:
        return sheet
    most = math.isqrt(num_nodes)
    rows = range(min(math.ceil(math.sqrt(num_nodes / 2)), most), most + 1)
    sides = ((side, round(num_nodes / side)) for side in rows)
    return min(sides, key=lambda both: (abs(math.prod(both) - num_nodes), both[1] - both[0]))


def build(
    topology: Topology, sheet: tuple[int, ...], *, num_edges: int, seed: int, num_nodes: int = 0
) -> Data | None:
    """Generate a connectome; None for the topology without a graph.

    Args:
        topology: what :func:`parse` returned.
        sheet: the lattice from which neurons, extent and shape follow where they are left out.
        num_edges: the number of synapses to come near to, where an option that decides it is left
            out.
        seed: for the random ones; the same seed gives the same connectome.
        num_nodes: the number of neurons to have, or for a lattice to come near to, where the
            topology states none; 0 for that of the sheet.

    Raises:
        ValueError: an option has a value that the generator refuses, or a file cannot be read.
    """
    options = dict(topology.options)
    if num_nodes and not topology.states_its_neurons:
        sheet = lattice(num_nodes, sheet)
        if "num_nodes" in KINDS[topology.kind].readers:
            options["num_nodes"] = num_nodes
    try:
        return KINDS[topology.kind].build(options, sheet, num_edges, seed)
    except (ValueError, TypeError, OSError) as error:
        reason = error.reason if isinstance(error, OptionError) else str(error)
        raise TopologyError(topology.spec, reason) from None
    except MemoryError:
        raise TopologyError(
            topology.spec, "it needs more memory than there is; pass fewer neurons or synapses"
        ) from None
