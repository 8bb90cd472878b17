"""Plot of the lengths of synapses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index
from graphs.plots import canvas
from graphs.plots.colors import EXPECTED, SYNAPSE
from graphs.plots.positions import coordinates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_BLOCK_PAIRS = 1_000_000
_MOST_BINS = 100_000


def plot_distances(
    data: Data,
    *,
    ax: Axes | None = None,
    profile: Callable[[Floats], Floats] | None = None,
    period: float | Sequence[float] | None = None,
    bins: int = 40,
    max_pairs: int = 5_000_000,
    seed: int | np.random.Generator | None = 0,
) -> Axes:
    """Draw a histogram of the lengths of synapses and the expectation from a distance profile.

    The expected number in a bin is the sum of p(r) over all ordered pairs of neurons with a
    distance r in the bin. This accounts for the borders of the space and for clusters of neurons.

    Args:
        data: A connectome with ``pos`` [N, D].
        ax: The axes to draw on. By default a new figure is made.
        profile: The function p(r), which takes an array of distances [P] and returns their
            probabilities [P]. By default the observed number of synapses is distributed equally
            over all pairs up to the length of the longest synapse.
        period: Sides of a periodic box, one number for all axes or one for each; 0 along an axis
            that is not periodic. Positions must be in [0, side).
        bins: Number of bins from 0 to the longest synapse, at most 100,000.
        max_pairs: If more pairs than this are within that range, the expectation is estimated from
            a random sample of neurons, and the legend gives its size.
        seed: Source of randomness of the sample.

    Returns:
        The axes. Their ``patches`` are the histogram and the expectation.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type, or ``profile`` cannot
            be called with an array.
        ValueError: If ``data`` breaks the contract or has no ``pos``, ``ax`` is three-dimensional,
            ``profile`` returns another shape or values outside [0, 1], or an argument is out of
            range.

    Note:
        Self-loops are ignored. O(N log N + E + max_pairs) time and O(N + E) memory.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> import numpy as np
        >>> import graphs
        >>> data = graphs.coordinate_random(2000, (20, 10), 0.8, seed=0)
        >>> ax = graphs.plot_distances(data, profile=lambda r: np.maximum(0, 1 - r / 0.8))
        >>> seen, expected = (patch.get_data().values.sum() for patch in ax.patches)
        >>> int(seen) == data.num_edges, bool(abs(seen / expected - 1) < 0.03)
        (True, True)
        >>> plt.close(ax.figure)
    """
    pos = coordinates(data).astype(np.float64)
    if profile is not None and not arguments.is_function(profile):
        raise TypeError(
            f"profile must be a function of distances or None, got {profile!r} of type "
            f"{type(profile).__name__}; pass profile=lambda r: np.exp(-r)"
        )
    sides = _sides(period, pos)
    number = arguments.count("bins", bins, at_least=1, at_most=_MOST_BINS)
    limit = arguments.count("max_pairs", max_pairs, at_least=1)
    rng = arguments.generator(seed)

    source, target = data.edge_index.cpu().numpy()
    lengths = _lengths(pos[source[source != target]], pos[target[source != target]], sides)
    longest = float(lengths.max(initial=0.0))
    edges = np.linspace(0, longest or 1.0, number + 1)
    law = np.ones_like if profile is None else profile
    expected, seen = _expected(pos, sides, law, edges, limit, rng)
    label = "expected from p(r)"
    if profile is None:
        expected *= len(lengths) / max(1.0, float(expected.sum()))
        label = "expected if all pairs are equally likely"
    if seen < data.num_nodes:
        label += f"\n(estimated from {seen:,} neurons)"

    ax = canvas.axes(ax)
    counts = np.histogram(lengths, edges)[0]
    ax.stairs(counts, edges, fill=True, color=SYNAPSE, label="synapses")
    ax.stairs(expected, edges, color=EXPECTED, linewidth=1.5, label=label)
    ax.set_xlabel("distance r")
    ax.set_ylabel("synapses per bin")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    mean = f", mean length {lengths.mean():.4g}" if len(lengths) else ""
    ax.set_title(f"{len(lengths):,} synapses{mean}", fontsize="medium")
    return ax


def _sides(period: float | Sequence[float] | None, pos: Floats) -> Floats:
    """Return the side of each periodic axis, and 0 for the others."""
    axes = pos.shape[1]
    if period is None:
        return np.zeros(axes)
    if isinstance(period, np.ndarray):
        period = period.tolist()
    if not isinstance(period, Sequence) or isinstance(period, str | bytes):
        period = [arguments.real("period", period)] * axes
    if len(period) != axes:
        raise ValueError(
            f"period must have one side for each of the {axes} axes, got {len(period)}; "
            f"pass period={(1.0,) * axes}"
        )
    sides = np.array([arguments.real(f"period[{at}]", side) for at, side in enumerate(period)])
    out = ((pos < 0) | (pos >= sides)) & (sides > 0)
    if out.any():
        neuron, axis = np.argwhere(out)[0].tolist()
        raise ValueError(
            f"period needs positions in [0, {sides[axis]:g}) along axis {axis}, got "
            f"{pos[neuron, axis]:g} at neuron {neuron}; pass the side of the box, or 0 for an axis "
            "that is not periodic"
        )
    return sides


def _lengths(start: Floats, end: Floats, sides: Floats) -> Floats:
    gap = np.abs(end - start)
    gap = np.where(sides > 0, np.minimum(gap, np.abs(sides - gap)), gap)
    lengths: Floats = np.sqrt((gap**2).sum(axis=1))
    return lengths


def _expected(
    pos: Floats,
    sides: Floats,
    law: Callable[[Floats], Floats],
    edges: Floats,
    limit: int,
    rng: np.random.Generator,
) -> tuple[Floats, int]:
    """Return the sum of p over the ordered pairs in each bin, and the number of neurons used."""
    neurons, total = len(pos), np.zeros(len(edges) - 1)
    if neurons < 2:
        return total, neurons
    tree, order = KDTree(pos, boxsize=sides), rng.permutation(neurons)
    done = pairs = 0
    block = 1
    while done < neurons and pairs < limit:
        some: Index = order[done : done + block]
        # The reach is slightly too long, so that rounding in the tree excludes no pair.
        reach = edges[-1] * (1 + 1e-9)
        part = KDTree(pos[some], boxsize=sides)
        near = part.sparse_distance_matrix(tree, reach, output_type="ndarray")
        first, second = some[near["i"]], near["j"]
        apart = first != second
        distances = _lengths(pos[first[apart]], pos[second[apart]], sides)
        total += np.histogram(distances, edges, weights=_probabilities(law, distances))[0]
        done, pairs = done + len(some), pairs + len(distances)
        block = max(1, int(min(limit, _BLOCK_PAIRS) * done / max(1, pairs, done)))
    return total * neurons / done, done


def _probabilities(law: Callable[[Floats], Floats], distances: Floats) -> Floats:
    if len(distances) == 0:
        return distances
    try:
        chance = np.asarray(law(distances))
    except TypeError as error:
        raise TypeError(
            f"profile must take an array of {len(distances)} distances, but {law!r} failed: "
            f"{error}; pass profile=lambda r: np.exp(-r)"
        ) from error
    if chance.shape != distances.shape or chance.dtype.kind not in "biuf":
        raise ValueError(
            f"profile must return one probability for each of {len(distances)} distances, got "
            f"{chance.dtype} of shape {chance.shape}; pass profile=lambda r: np.exp(-r)"
        )
    bad = ~((chance >= 0) & (chance <= 1))
    if bad.any():
        raise ValueError(
            f"profile must return probabilities in [0, 1], got {chance[bad][0]} at r = "
            f"{distances[bad][0]:g}; pass profile=lambda r: np.clip(law(r), 0, 1)"
        )
    return chance
