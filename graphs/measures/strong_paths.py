"""The strongest paths between two groups of neurons."""

import heapq
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from torch_geometric.data import Data

from graphs import arguments, frames
from graphs.contract import Index, validate
from graphs.measures.input_shares import input_shares, neurons_of, steps_of, threshold_of
from graphs.selection import Neurons
from graphs.weights import Floats

_MOST_PATHS = 100_000


class StrongPath(NamedTuple):
    """A path along synapses.

    Attributes:
        strength: The product of the shares.
        neurons: The numbers of the neurons from the source to the target.
        names: Their ``names``, or their numbers as text.
        shares: The share of each step in the input of the neuron that it reaches.
    """

    strength: float
    neurons: tuple[int, ...]
    names: tuple[str, ...]
    shares: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.strength:.3g}  {' -> '.join(self.names)}"


class StrongPaths(list[StrongPath]):
    """Paths by decreasing strength, as :func:`graphs.strongest_paths` returns them."""

    def to_dataframe(self, library: frames.Library = "pandas") -> Any:
        """Return the paths as a dataframe, which requires narwhals and the library of the frame.

        Args:
            library: "pandas", "polars" or "pyarrow".

        Returns:
            One row per step, with the columns path (its number), strength (of the path), step,
            source, target and share.

        Raises:
            ValueError: If ``library`` is none of these.
            ModuleNotFoundError: If narwhals or the library is not installed.
        """
        rows = [
            (number, path.strength, step + 1, path.names[step], path.names[step + 1], share)
            for number, path in enumerate(self)
            for step, share in enumerate(path.shares)
        ]
        names = ("path", "strength", "step", "source", "target", "share")
        return frames.make(
            {name: [row[at] for row in rows] for at, name in enumerate(names)}, library
        )

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no path"


def strongest_paths(
    data: Data,
    sources: Neurons,
    targets: Neurons,
    *,
    steps: int = 3,
    count: int = 10,
    threshold: float = 0.0,
    weight: str | None = "edge_weight",
) -> StrongPaths:
    r"""Return the paths from sources to targets with the largest products of input shares.

    .. math:: \text{strength} = \prod_{i=1}^{k} \frac{|w_{v_{i-1} v_i}|}{\sum_s |w_{s v_i}|}

    The strength is the share of the target's input that arrives along the path, as in
    :func:`graphs.influence`. A path visits no neuron twice, but may pass through other sources and
    targets. None is missed: a best-first search is guided by the largest product over the remaining
    steps, which is computed backwards from the targets.

    Args:
        data: A connectome. Parallel synapses add up, and signs are not used. Self-loops count in
            the input of a neuron.
        sources: Neurons: their numbers, a mask [N] bool, a list of ``names``, or the name of a
            population.
        targets: The same.
        steps: The largest number of steps, at most 100.
        count: The largest number of paths.
        threshold: Connections of a share below this are left out; the others keep their shares.
        weight: The name of a field of weights, whose absolute values count; or None, which counts
            each synapse as 1. A connectome without ``edge_weight`` has weights of 1.

    Returns:
        At most ``count`` paths by decreasing strength; paths of equal strength are ordered by the
        numbers of their neurons.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or an argument is out of range.

    Note:
        O(E) time per step for the guide, and O(d log d) for each path and neuron on it that sends d
        synapses. The search takes long if the strongest walks of so many steps are cycles.

    Example:
        >>> import graphs
        >>> print(graphs.strongest_paths(graphs.layered([1, 2, 1]), [0], [3]))
        0.5  0 -> 1 -> 3
        0.5  0 -> 2 -> 3
    """
    validate(data)
    sending, receiving = (
        neurons_of(data, name, each) for name, each in (("sources", sources), ("targets", targets))
    )
    steps, threshold = steps_of(steps), threshold_of(threshold)
    count = arguments.count("count", count, at_least=1, at_most=_MOST_PATHS)
    shares = input_shares(data, weight, threshold, forward=True)
    found = islice(_search(shares, sending, _guide(shares, receiving, steps)), count)
    names = data.get("names")
    return StrongPaths(
        StrongPath(
            strength,
            neurons,
            tuple(str(each) if names is None else names[each] for each in neurons),
            tuple(float(shares[pair]) for pair in pairwise(neurons)),
        )
        for strength, neurons in sorted(found, key=lambda each: (-each[0], each[1]))
    )


def _guide(shares: csr_array, targets: Index, steps: int) -> Floats:
    """Return the largest product of shares from each neuron to a target in exactly k steps.

    Returns:
        The products, [steps + 1, N], of k = 0 to ``steps``.
    """
    best = np.zeros((steps + 1, shares.shape[0]))
    best[0, targets] = 1
    sends = np.flatnonzero(np.diff(shares.indptr))
    for step in range(1, steps + 1):
        onward = shares.data * best[step - 1][shares.indices]
        if len(sends):
            best[step, sends] = np.maximum.reduceat(onward, shares.indptr[sends])
    return best


def _search(
    shares: csr_array, sources: Index, best: Floats
) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Yield strengths and paths by decreasing strength.

    The heap has, for each partial path, only the best of its continuations that is left.
    """
    pointer, index, share = shares.indptr, shares.indices, shares.data
    heap: list[tuple[float, tuple[int, ...], int, Floats, Floats, Index, int]] = []

    def push(
        bound: Floats, strength: Floats, ends: Index, path: tuple[int, ...], left: int
    ) -> None:
        order = np.lexsort((ends, -bound))
        order = order[bound[order] > 0]
        if len(order):
            first = order[0]
            entry = (bound[order], strength[order], ends[order], 0)
            heapq.heappush(heap, (-float(bound[first]), (*path, int(ends[first])), left, *entry))

    for left in range(1, len(best)):
        push(best[left][sources], np.ones(len(sources)), sources, (), left)
    while heap:
        _, path, left, bound, strength, ends, at = heapq.heappop(heap)
        if at + 1 < len(ends):
            following = (*path[:-1], int(ends[at + 1]))
            entry = (left, bound, strength, ends, at + 1)
            heapq.heappush(heap, (-float(bound[at + 1]), following, *entry))
        if left == 0:
            yield float(strength[at]), path
            continue
        row = slice(pointer[path[-1]], pointer[path[-1] + 1])
        onward = index[row].astype(np.int64)
        fresh = ~np.isin(onward, path)
        reached = strength[at] * share[row][fresh]
        push(reached * best[left - 1][onward[fresh]], reached, onward[fresh], path, left - 1)
