"""Topologies as text: ``small-world:num_nodes=784,neighbors=22,rewire=0.1``, ``file:brain.npz``."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

from torch_geometric.data import Data

from graphs.io.files import files_of
from sparsebrain import locations
from sparsebrain.experiments import texts
from sparsebrain.experiments.kinds import FROM_FILE, KINDS, NO_GRAPH, SYMMETRIC
from sparsebrain.experiments.lattices import lattice
from sparsebrain.experiments.nulls import NULL, read_null, with_null
from sparsebrain.experiments.options import OptionError, split_path


class TopologyError(OptionError):
    """The text of a topology cannot be read, or its generator refuses the options.

    Attributes:
        spec: Text of the topology.
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
    """A parsed topology.

    Attributes:
        spec: Text with the options in the order of the generator's arguments.
        kind: Key of :data:`~sparsebrain.experiments.kinds.KINDS`.
        options: Names and values of the options that the text states.
    """

    spec: str
    kind: str
    options: tuple[tuple[str, Any], ...]

    @property
    def states_its_size(self) -> bool:
        """Whether the text and the data set determine the number of synapses."""
        return KINDS[self.kind].fitted is None or KINDS[self.kind].fitted in dict(self.options)

    @property
    def states_its_neurons(self) -> bool:
        """Whether the text, or the file, determines the number of neurons."""
        sized = KINDS[self.kind].sized
        return sized is None or any(option in dict(self.options) for option in sized)

    @property
    def null(self) -> str:
        """The null model; empty for none."""
        return str(dict(self.options).get(NULL, ""))

    def with_null(self, name: str) -> Topology:
        """Return the null model of this topology."""
        spec = with_null(self.spec, self.kind, name)
        return Topology(spec, self.kind, (*self.options, (NULL, name)))

    @property
    def checksum(self) -> str:
        """Checksum of the files of the topology; empty if it is generated.

        Raises:
            OSError: A file cannot be read.
        """
        if self.kind != FROM_FILE:
            return ""
        digest = hashlib.sha256()
        for path in files_of(dict(self.options)["path"]):
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
        return digest.hexdigest()[:16]


def parse(spec: str) -> Topology:
    """Parse a text of the form ``kind:option=value,option=value`` or ``file:PATH``.

    A function of the user's own is ``package.module:function,option=value``.

    Every kind with synapses has the option ``symmetric``, also ``file:PATH,symmetric=true``.

    Args:
        spec: The text. A file is not opened before :func:`build`.

    Returns:
        The topology.

    Raises:
        TypeError: ``spec`` is not a string.
        TopologyError: The kind or an option is unknown, or a value cannot be read.

    Example:
        >>> from sparsebrain.experiments.topology import parse
        >>> parse("grid:shape=28x28,distance=2").options
        (('shape', (28, 28)), ('distance', 2.0))
    """
    if not isinstance(spec, str):
        raise TypeError(
            f"spec must be a string, got {spec!r:.80} of type {type(spec).__name__}; pass for "
            "example spec='grid'"
        )
    kind, mark, rest = _split(spec)
    if kind == FROM_FILE:
        path, stated = split_path(rest)
        if not path:
            raise TopologyError(spec, "it has no path; write for example file:some/path.npz")
        readers = {SYMMETRIC: texts.flag, NULL: read_null}
        try:
            read = {name: readers[name](stated[name]) for name in readers if name in stated}
        except (ValueError, TypeError) as error:
            raise TopologyError(spec, str(error)) from None
        told = ",".join([path, *(f"{name}={stated[name]}" for name in read)])
        return Topology(f"{kind}:{told}", kind, (("path", path), *read.items()))
    # Options in another order are the same topology.
    try:
        known = KINDS[kind].all_readers
        name, options = texts.read_options(kind, rest, known)
    except (ValueError, TypeError) as error:
        raise TopologyError(spec, str(error)) from None
    return Topology(f"{kind}{mark}{name}" if name else kind, kind, tuple(options.items()))


def _split(spec: str) -> tuple[str, str, str]:
    """Return the kind of a text, the mark that ends it, and the text of the options."""
    kind, _, rest = spec.strip().partition(":")
    if kind in KINDS:
        return kind, ":", rest
    location, _, options = spec.strip().partition(",")
    if locations.is_location(location) and ("." in kind or find_spec(kind)):
        return location, ",", options
    raise TopologyError(spec, texts.unknown_kind(kind, KINDS))


def break_options(spec: str, gap: str) -> str:
    """Return the text with a gap before each option; paths are left as they are."""
    if spec.startswith(f"{FROM_FILE}:"):
        return spec
    location, comma, rest = spec.partition(",")
    if not locations.is_location(location):
        location, comma, rest = spec.partition(":")
    return f"{location}{comma}{gap if rest else ''}{rest.replace(',', f',{gap}')}"


class Budget(NamedTuple):
    """The size that every topology of a comparison should have.

    Attributes:
        num_nodes: Number of neurons; in the model without a graph, of hidden units.
        num_edges: Number of synapses.
        topology: Text of the topology that sets the budget, or empty.
    """

    num_nodes: int
    num_edges: int
    topology: str = ""


def budget(topologies: list[Topology], sheet: tuple[int, ...]) -> Budget:
    """Return the numbers of neurons and synapses of the first topology that states its size.

    If no topology does, the budget is that of a grid of distance 2, on the number of neurons of
    the first topology that states one, or else on the sheet of the data set.

    Args:
        topologies: The topologies of the comparison.
        sheet: Lattice shape of the data set.

    Raises:
        TopologyError: The topology that sets the budget cannot be built.
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


def build(
    topology: Topology, sheet: tuple[int, ...], *, num_edges: int, seed: int, num_nodes: int = 0
) -> Data | None:
    """Generate or load the connectome of a topology.

    Args:
        topology: Result of :func:`parse`.
        sheet: Lattice shape that gives the number of neurons, extent and shape that the topology
            does not state.
        num_edges: Number of synapses to which the fitted option is matched, unless it is stated.
        seed: Random seed; the same seed gives the same connectome.
        num_nodes: Number of neurons if the topology states none, matched approximately by
            lattices; 0 for that of the sheet.

    Returns:
        The connectome, or None for the topology without a graph.

    Raises:
        TopologyError: The generator refuses an option, a file cannot be read, or there is not
            enough memory.
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
