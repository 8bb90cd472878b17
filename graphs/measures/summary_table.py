"""A table of the measures that distinguish topologies."""

import html
import math
from dataclasses import dataclass, fields
from typing import Any, Literal, overload

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, validate
from graphs.measures.clustering_coefficients import clustering
from graphs.measures.connectedness import components, strongly_connected
from graphs.measures.costly_measures import Costly, costly, estimate
from graphs.measures.flattening import flat
from graphs.measures.paths import lengths, path_length
from graphs.measures.reciprocal_synapses import reciprocity
from graphs.measures.wiring import WiringLength, wiring_length


@dataclass(frozen=True, kw_only=True)
class Degrees:
    """Distribution of the number of synapses per neuron.

    Attributes:
        mean: Mean degree.
        std: Standard deviation.
        min: Smallest degree.
        max: Largest degree.
    """

    mean: float
    std: float
    min: int
    max: int

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "nan"
        return f"{self.mean:.4g}, std {self.std:.3g}, from {self.min} to {self.max}"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The result of :func:`graphs.summary`; ``print`` shows it as a table.

    Self-loops are included in the sizes and degrees only. Sampled means have a standard error,
    which is 0 if they are exact. Undefined values, such as the path length without reachable pairs,
    are nan.

    Attributes:
        num_nodes: Number of neurons.
        num_edges: Number of synapses.
        self_loops: Number of self-loops.
        in_degree: Distribution of the number of synapses that a neuron receives.
        out_degree: Distribution of the number of synapses that a neuron sends.
        path_length: Mean path length over reachable ordered pairs.
        path_length_error: Its standard error.
        reachable: Share of ordered pairs that are reachable.
        undirected_path_length: Mean path length if paths may run against the synapses.
        undirected_path_length_error: Its standard error.
        clustering: Mean local clustering coefficient of the undirected simple graph.
        clustering_error: Its standard error.
        strongly_connected: Share of neurons in the largest strongly connected component.
        directed_clustering: Mean local clustering coefficient of the directed graph.
        directed_clustering_error: Its standard error.
        efficiency: Global efficiency.
        efficiency_error: Its standard error.
        reciprocity: Share of synapses that are reciprocal.
        weakly_connected: Share of neurons in the largest weakly connected component.
        wiring_length: Mean and total length of the synapses; None without ``pos``.
        full: The slow measures, or None.
    """

    num_nodes: int
    num_edges: int
    self_loops: int
    in_degree: Degrees
    out_degree: Degrees
    path_length: float
    path_length_error: float
    reachable: float
    undirected_path_length: float
    undirected_path_length_error: float
    clustering: float
    clustering_error: float
    strongly_connected: float
    directed_clustering: float
    directed_clustering_error: float
    efficiency: float
    efficiency_error: float
    reciprocity: float
    weakly_connected: float
    wiring_length: WiringLength | None
    full: Costly | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all measures as numbers and text by their names, such as for a row of a dataframe.

        Names of measures with several values are joined, as in ``in_degree_mean`` and
        ``triads_030T``. Measures that are None are left out.

        Example:
            >>> import graphs
            >>> found = graphs.summary(graphs.layered([2, 1])).to_dict()
            >>> found["num_nodes"], found["in_degree_max"]
            (3, 2)
        """
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "full"}
        slow = {} if self.full is None else vars(self.full)
        return dict(flat({**own, **slow}))

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(label) for label, _ in rows)
        return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)

    def _repr_html_(self) -> str:
        rows = (
            f"<tr><th>{label}</th><td>{html.escape(value)}</td></tr>"
            for label, value in self.rows()
        )
        return f"<table>{''.join(rows)}</table>"

    def rows(self) -> list[tuple[str, str]]:
        """Return the labels and values of the table."""
        undirected = estimate(self.undirected_path_length, self.undirected_path_length_error)
        directed = estimate(self.directed_clustering, self.directed_clustering_error)
        rows = [
            ("neurons", f"{self.num_nodes:,}"),
            ("synapses", f"{self.num_edges:,}"),
            ("self-loops", f"{self.self_loops:,}"),
            ("in-degree", str(self.in_degree)),
            ("out-degree", str(self.out_degree)),
            ("path length L", estimate(self.path_length, self.path_length_error)),
            ("reachable pairs", f"{self.reachable:.4g}"),
            ("undirected L", undirected),
            ("clustering C", estimate(self.clustering, self.clustering_error)),
            ("directed C", directed),
            ("efficiency", estimate(self.efficiency, self.efficiency_error)),
            ("reciprocity", f"{self.reciprocity:.4g}"),
            ("strongly connected", f"{self.strongly_connected:.4g}"),
            ("weakly connected", f"{self.weakly_connected:.4g}"),
        ]
        if self.wiring_length is not None:
            mean, total = self.wiring_length
            rows.append(("wiring length", f"{mean:.4g}, total {total:.4g}"))
        return rows if self.full is None else rows + self.full.rows()


@dataclass(frozen=True, kw_only=True)
class FullSummary(Summary):
    """The result of :func:`graphs.summary` with ``full=True``.

    Attributes:
        full: The slow measures, never None.
    """

    full: Costly


@overload
def summary(
    data: Data,
    *,
    full: Literal[True],
    max_sources: int | None = None,
    weight: str | None = None,
    seed: int | np.random.Generator | None = 0,
) -> FullSummary: ...


@overload
def summary(
    data: Data,
    *,
    full: bool = False,
    max_sources: int | None = None,
    weight: str | None = None,
    seed: int | np.random.Generator | None = 0,
) -> Summary: ...


def summary(
    data: Data,
    *,
    full: bool = False,
    max_sources: int | None = None,
    weight: str | None = None,
    seed: int | np.random.Generator | None = 0,
) -> Summary:
    """Measure size, degrees, path lengths, clustering and connectedness of a connectome.

    Args:
        data: A connectome. Signs only affect ``spectral_radius`` and ``spectral_gap``, which always
            read ``edge_weight`` too.
        full: Whether to compute slow measures too, which take up to minutes for 10^6 synapses:
            power laws, small-world coefficients, communities, eigenvalues and the triad census.
        max_sources: Path lengths and clustering are means over all neurons if there are at most
            this many, and otherwise over this many neurons drawn without replacement. By default
            they are exact up to 2000 neurons; in larger graphs 256 neurons are drawn for path
            lengths and 2000 for clustering.
        weight: None does not read weights. With the name of a field of weights >= 0, such as
            ``"edge_weight"``, path lengths, efficiency, clustering, communities and modularity read
            them.
        seed: Source of randomness of the sample and of the null graphs.

    Returns:
        The measures, as listed in :class:`graphs.Summary`. With ``full=True`` the attribute
        ``full`` has the slow measures. If one of these fails, its value is nan and ``full.reasons``
        and the table give the reason.

        The table names the model of the null graphs beside the small-world coefficients: null
        graphs of an undirected connectome are undirected, see :func:`graphs.small_worldness`.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or an argument is out of range.

    See Also:
        :func:`graphs.path_length`, :func:`graphs.clustering`, :func:`graphs.efficiency`,
        :func:`graphs.reciprocity`, :func:`graphs.components`, :func:`graphs.wiring_length`,
        :func:`graphs.fit_power_law`, :func:`graphs.small_worldness`, :func:`graphs.modularity`,
        :func:`graphs.spectrum`, :func:`graphs.triad_census`: the definitions.

    Example:
        >>> import graphs
        >>> print(graphs.summary(graphs.grid_local((28, 28), 1)))
        neurons             784
        synapses            6,724
        self-loops          784
        in-degree           8.577, std 1.07, from 4 to 9
        out-degree          8.577, std 1.07, from 4 to 9
        path length L       13.07
        reachable pairs     1
        undirected L        13.07
        clustering C        0.4542
        directed C          0.4542
        efficiency          0.1141
        reciprocity         1
        strongly connected  1
        weakly connected    1
        wiring length       1.203, total 7148
    """
    neurons = validate(data).num_nodes
    full = arguments.flag("full", full)
    # All measures draw the same sample, even if the seed is a generator.
    state = int(arguments.generator(seed).integers(2**63))
    source, target = data.edge_index.cpu().numpy()
    forward, near = lengths(data, max_sources=max_sources, weight=weight, seed=state)
    either = path_length(data, directed=False, max_sources=max_sources, weight=weight, seed=state)
    local = clustering(data, max_sources=max_sources, weight=weight, seed=state)
    directed = clustering(data, directed=True, max_sources=max_sources, weight=weight, seed=state)
    weak = components(data, connection="weak")
    measured = Summary(
        num_nodes=neurons,
        num_edges=data.edge_index.shape[1],
        self_loops=int((source == target).sum()),
        in_degree=_degrees(target, neurons),
        out_degree=_degrees(source, neurons),
        path_length=forward.mean,
        path_length_error=forward.error,
        reachable=forward.reachable,
        undirected_path_length=either.mean,
        undirected_path_length_error=either.error,
        clustering=local.value,
        clustering_error=local.error,
        strongly_connected=strongly_connected(data),
        directed_clustering=directed.value,
        directed_clustering_error=directed.error,
        efficiency=near.value,
        efficiency_error=near.error,
        reciprocity=reciprocity(data),
        weakly_connected=float((weak == 0).mean()) if neurons else math.nan,
        wiring_length=wiring_length(data) if "pos" in data else None,
    )
    if not full:
        return measured
    return FullSummary(**{**vars(measured), "full": costly(data, max_sources, weight, state)})


def _degrees(ends: Index, neurons: int) -> Degrees:
    if neurons == 0:
        return Degrees(mean=math.nan, std=math.nan, min=0, max=0)
    degree = np.bincount(ends, minlength=neurons)
    return Degrees(
        mean=float(degree.mean()),
        std=float(degree.std()),
        min=int(degree.min()),
        max=int(degree.max()),
    )
