"""The numbers that tell topologies apart, in one table."""

import math
from dataclasses import dataclass

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, validate
from graphs.measures.clustering import clustering
from graphs.measures.components import strongly_connected
from graphs.measures.paths import path_length


@dataclass(frozen=True, kw_only=True)
class Degrees:
    """Mean, standard deviation, minimum and maximum of the synapses per neuron."""

    mean: float
    std: float
    min: int
    max: int

    def __str__(self) -> str:
        return f"{self.mean:.4g}, std {self.std:.3g}, from {self.min} to {self.max}"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What `graphs.summary` measures; ``print`` it for a table."""

    neurons: int
    synapses: int
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

    def __str__(self) -> str:
        rows = self._rows()
        width = max(len(label) for label, _ in rows)
        return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{label}</th><td>{value}</td></tr>" for label, value in self._rows())
        return f"<table>{''.join(rows)}</table>"

    def _rows(self) -> list[tuple[str, str]]:
        undirected = _estimate(self.undirected_path_length, self.undirected_path_length_error)
        return [
            ("neurons", f"{self.neurons:,}"),
            ("synapses", f"{self.synapses:,}"),
            ("self-loops", f"{self.self_loops:,}"),
            ("in-degree", str(self.in_degree)),
            ("out-degree", str(self.out_degree)),
            ("path length L", _estimate(self.path_length, self.path_length_error)),
            ("reachable pairs", f"{self.reachable:.4g}"),
            ("undirected L", undirected),
            ("clustering C", _estimate(self.clustering, self.clustering_error)),
            ("strongly connected", f"{self.strongly_connected:.4g}"),
        ]


def _estimate(value: float, error: float) -> str:
    if error == 0 or not math.isfinite(error):
        return f"{value:.4g}"
    # As many decimals as the error has at two significant digits.
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def summary(
    data: Data, *, max_sources: int | None = None, seed: int | np.random.Generator | None = 0
) -> Summary:
    """Measure a connectome: size, degrees, path lengths, clustering, connectedness.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome.
    max_sources : int, optional
        Path lengths and clustering are means over all neurons if there are at most so many, else
        over so many drawn without replacement. If left out, they are exact up to 2000 neurons;
        beyond, 256 neurons are drawn for path lengths and 2000 for clustering.
    seed : int, numpy.random.Generator or None
        Source of randomness of the sample.

    Returns
    -------
    Summary
        ``neurons``, ``synapses``, ``self_loops``; ``in_degree`` and ``out_degree`` (each with
        ``mean``, ``std``, ``min``, ``max``; every synapse counts, self-loops too);
        ``path_length`` over reachable ordered pairs, ``reachable`` their share;
        ``undirected_path_length`` where paths may run against synapses; ``clustering``, the mean
        local clustering coefficient of the undirected simple graph; ``strongly_connected``, the
        share of neurons in the largest strongly connected part. Self-loops are left out of the last
        five. Sampled means have a standard error in the field of the same name with ``_error``,
        which is 0 if they are exact. What is not defined, such as the path length where no pair
        is reachable, is nan.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or an argument is of another type or out of range.

    See Also
    --------
    graphs.path_length, graphs.clustering, graphs.strongly_connected : where each is defined.

    Examples
    --------
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
    strongly connected  1
    """
    neurons = validate(data).num_nodes
    # All measures look at the same neurons, also if the seed is a generator that moves on.
    state = int(arguments.generator(seed).integers(2**63))
    source, target = data.edge_index.cpu().numpy()
    forward = path_length(data, max_sources=max_sources, seed=state)
    either = path_length(data, directed=False, max_sources=max_sources, seed=state)
    local = clustering(data, max_sources=max_sources, seed=state)
    return Summary(
        neurons=neurons,
        synapses=data.edge_index.shape[1],
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
    )


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
