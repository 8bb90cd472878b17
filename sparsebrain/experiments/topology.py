"""Topologies as text: ``small-world:neurons=784,neighbors=22,rewire=0.1``, ``file:brain.npz``."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch_geometric.data import Data

import graphs
from graphs.io.files import files_of
from graphs.profiles import PROFILES
from sparsebrain.experiments import texts

NO_GRAPH = "none"
FROM_FILE = "file"
_DEFAULT_WINDOW = 2
_HALVINGS = 16
_NEIGHBOURS = 64
_STEP = 2e-4
_CLOSE_ENOUGH = 5e-4


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


Build = Callable[[dict[str, Any], tuple[int, ...], int, int], Data | None]


@dataclass(frozen=True)
class Kind:
    """One generator: how its options are read, and which one is fitted to a budget of synapses."""

    options: dict[str, Callable[[str], Any]]
    build: Build
    fitted: str | None = None


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
    return int(graphs.grid_local(sheet, _DEFAULT_WINDOW).num_edges)


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


def _grid(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    return graphs.grid_local(**{"shape": sheet, "distance": _DEFAULT_WINDOW, **options})


def _hexagonal(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    size = {} if "radius" in options else {"shape": sheet}
    return graphs.hexagonal_lattice(**{**size, "distance": _DEFAULT_WINDOW, **options})


def _coordinate(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    extent = options.get("extent", sheet)
    options = {
        "num_neurons": options.pop("neurons", math.prod(sheet)),
        "extent": extent,
        "self_loops": True,
        **options,
    }
    if "distance" in options:
        return graphs.coordinate_random(**options, seed=seed)
    longest = math.hypot(*extent)
    if options.get("periodic"):
        # On a torus the reach must stay below half of a side.
        profile = PROFILES.get(options.get("profile", "linear"))
        longest = 0.499 * min(extent) / (profile.reach if profile else 1)

    def make(distance: float) -> Data:
        return graphs.coordinate_random(**options, distance=distance, seed=seed)

    return _fit_length(make, _spacing(options), longest, synapses)


def _kaiser_hilgetag(
    options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int
) -> Data:
    options = {
        "num_neurons": options.pop("neurons", math.prod(sheet)),
        "extent": options.get("extent", sheet),
        "self_loops": True,
        **options,
    }
    if "alpha" in options:
        return graphs.kaiser_hilgetag(**options, seed=seed)

    def make(length: float) -> Data:
        return graphs.kaiser_hilgetag(**options, alpha=1 / length, seed=seed)

    # In a box of a tenth of this length nearly all neurons are connected with probability beta.
    return _fit_length(make, _spacing(options), 10 * math.hypot(*options["extent"]), synapses)


def _spacing(options: dict[str, Any]) -> float:
    extent = options["extent"]
    return float((math.prod(extent) / max(options["num_neurons"], 1)) ** (1 / len(extent)))


def _fit_length(make: Callable[[float], Data], start: float, longest: float, synapses: int) -> Data:
    """The connectome whose length brings its synapses nearest to the budget.

    The number of synapses rises with the length. Where it does so only on the whole, because other
    neurons grow with another length, a few lengths around the last are tried as well. The nearest
    of all counts.
    """
    low, high = 0.0, min(start, longest)
    best: Data | None = None

    def off(data: Data) -> int:
        return int(data.num_edges) - synapses

    def attempt(length: float) -> Data:
        nonlocal best
        data = make(length)
        if best is None or abs(off(data)) < abs(off(best)):
            best = data
        return data

    # From below, so that no try has many more synapses than are wanted.
    while off(attempt(high)) < 0 and high < longest:
        low, high = high, min(2 * high, longest)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if off(attempt(middle)) < 0 else (low, middle)
    for step in range(1, _NEIGHBOURS):
        assert best is not None
        if abs(off(best)) <= _CLOSE_ENOUGH * synapses:
            break
        attempt(min(high * (1 + (-1) ** step * step * _STEP), longest))
    assert best is not None
    return best


def _small_world(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    neurons = options.pop("neurons", math.prod(sheet))
    options = {"rewire": 0.1, "self_loops": True, **options}
    if "neighbors" not in options:
        per_neuron = synapses / max(neurons, 1) - options["self_loops"]
        if options.get("method") == "newman-watts":
            per_neuron /= 1 + options["rewire"]
        options["neighbors"] = 2 * max(min(round(per_neuron / 2), (neurons - 1) // 2), 0)
    return graphs.small_world(neurons, **options, seed=seed)


def _erdos_renyi(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    neurons = options.pop("neurons", math.prod(sheet))
    options = {"self_loops": True, **options}
    if "probability" not in options:
        # Not the probability that expects them: exactly as many.
        drawn = synapses - neurons * options["self_loops"]
        drawn -= drawn % (1 if options.get("directed", True) else 2)
        options["synapses"] = max(min(drawn, neurons * (neurons - 1)), 0)
    return graphs.erdos_renyi(neurons, **options, seed=seed)


def _fixed_degree(make: Callable[..., Data], degree: str) -> Build:
    def build(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
        neurons = options.pop("neurons", math.prod(sheet))
        options = {"self_loops": True, **options}
        if degree not in options:
            per_neuron = synapses / max(neurons, 1) - options["self_loops"]
            options[degree] = max(min(round(per_neuron), neurons - 1), 0)
        return make(neurons, **options, seed=seed)

    return build


def _grown(make: Callable[..., Data], **defaults: Any) -> Build:
    def build(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
        neurons = options.pop("neurons", math.prod(sheet))
        options = {"self_loops": True, **defaults, **options}
        if "synapses_per_neuron" not in options:
            pairs = synapses - neurons * options["self_loops"]
            pairs /= 1 if options.get("directed") else 2
            # m (N - m) pairs, of which there are most where m is half of N.
            options["synapses_per_neuron"] = min(
                range(1, max(neurons // 2, 1) + 1), key=lambda m: abs(m * (neurons - m) - pairs)
            )
        return make(neurons, **options, seed=seed)

    return build


def _brain(
    make: Callable[..., Data],
) -> Callable[[dict[str, Any], tuple[int, ...], int, int], Data]:
    """How a real connectome is built, whose neurons and synapses are what they are."""

    def build_brain(
        options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int
    ) -> Data:
        return make(**options)

    return build_brain


def _file(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    return graphs.load(options["path"])


def _none(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> None:
    return None


_GROWN: dict[str, Callable[[str], Any]] = {
    "neurons": texts.integer,
    "synapses_per_neuron": texts.integer,
    "directed": texts.flag,
    "outward": texts.number,
    "self_loops": texts.flag,
}

KINDS: dict[str, Kind] = {
    "grid": Kind(
        {
            "shape": texts.shape,
            "distance": texts.number,
            "metric": str,
            "padding": texts.flag,
            "periodic": texts.flag,
            "self_loops": texts.flag,
        },
        _grid,
    ),
    "hexagonal": Kind(
        {
            "radius": texts.integer,
            "shape": texts.shape,
            "distance": texts.number,
            "periodic": texts.flag,
            "self_loops": texts.flag,
        },
        _hexagonal,
    ),
    "coordinate": Kind(
        {
            "neurons": texts.integer,
            "extent": texts.extent,
            "distance": texts.lengths,
            "profile": str,
            "p_max": texts.number,
            "positions": str,
            "jitter": texts.number,
            "directed": texts.flag,
            "periodic": texts.flag,
            "self_loops": texts.flag,
        },
        _coordinate,
        fitted="distance",
    ),
    "kaiser-hilgetag": Kind(
        {
            "neurons": texts.integer,
            "alpha": texts.number,
            "beta": texts.number,
            "extent": texts.extent,
            "directed": texts.flag,
            "self_loops": texts.flag,
        },
        _kaiser_hilgetag,
        fitted="alpha",
    ),
    "small-world": Kind(
        {
            "neurons": texts.integer,
            "neighbors": texts.integer,
            "rewire": texts.number,
            "method": str,
            "directed": texts.flag,
            "self_loops": texts.flag,
        },
        _small_world,
        fitted="neighbors",
    ),
    "erdos-renyi": Kind(
        {
            "neurons": texts.integer,
            "probability": texts.number,
            "directed": texts.flag,
            "self_loops": texts.flag,
        },
        _erdos_renyi,
        fitted="probability",
    ),
    "fixed-in-degree": Kind(
        {"neurons": texts.integer, "in_degree": texts.integer, "self_loops": texts.flag},
        _fixed_degree(graphs.fixed_in_degree, "in_degree"),
        fitted="in_degree",
    ),
    "fixed-out-degree": Kind(
        {"neurons": texts.integer, "out_degree": texts.integer, "self_loops": texts.flag},
        _fixed_degree(graphs.fixed_out_degree, "out_degree"),
        fitted="out_degree",
    ),
    "barabasi-albert": Kind(
        _GROWN,
        _grown(graphs.barabasi_albert),
        fitted="synapses_per_neuron",
    ),
    "power-law-cluster": Kind(
        {**_GROWN, "triangle": texts.number},
        _grown(graphs.power_law_cluster, triangle=0.9),
        fitted="synapses_per_neuron",
    ),
    "c-elegans": Kind({"kind": str, "source": str}, _brain(graphs.c_elegans)),
    "larva-mushroom-body": Kind({"side": str}, _brain(graphs.larva_mushroom_body)),
    "fly-visual-system": Kind({"radius": texts.integer}, _brain(graphs.fly_visual_system)),
    FROM_FILE: Kind({"path": str}, _file),
    NO_GRAPH: Kind({}, _none),
}
"""Every topology that can be written, by its name."""
