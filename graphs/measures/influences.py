"""Influence: how much of the input of a neuron stems from others, over several steps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments, frames, memory
from graphs.contract import Index, validate
from graphs.measures.input_shares import input_shares, neurons_of, steps_of, threshold_of
from graphs.selection import Neurons
from graphs.weights import Floats

# Maximum number of states in memory at a time.
_BLOCK = 8_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Influence:
    """The influence of sources on targets, as :func:`graphs.influence` returns it.

    Attributes:
        share: The influence over exactly 1, 2, ... steps, [steps, S, T] float64. S is 1 if the
            sources were grouped.
        sources: The numbers of the sources, [S] int64 (all of them if they were grouped).
        targets: The numbers of the targets, [T] int64.
        grouped: Whether the sources were grouped.
    """

    share: NDArray[np.float64]
    sources: Index
    targets: Index
    grouped: bool

    @property
    def total(self) -> NDArray[np.float64]:
        """The sum over the steps, [S, T] float64."""
        return self.share.sum(axis=0)

    def to_dataframe(self, library: frames.Library = "pandas") -> Any:
        """Return the influences other than 0 as a dataframe, which requires narwhals.

        Args:
            library: "pandas", "polars" or "pyarrow".

        Returns:
            One row per source, target and step, with the columns source (left out if the sources
            were grouped), target, step and influence.

        Raises:
            ValueError: If ``library`` is none of these.
            ModuleNotFoundError: If narwhals or the library is not installed.
        """
        step, source, target = np.nonzero(self.share)
        columns: dict[str, Any] = {} if self.grouped else {"source": self.sources[source]}
        columns |= {"target": self.targets[target], "step": step + 1}
        return frames.make({**columns, "influence": self.share[step, source, target]}, library)

    def __str__(self) -> str:
        each = ", ".join(f"{value:.3g}" for value in self.share.sum(axis=1).mean(axis=1))
        return (
            f"influence of {len(self.sources)} neurons on {len(self.targets)}: "
            f"{each} over 1 to {len(self.share)} steps, mean over targets"
        )


def influence(
    data: Data,
    sources: Neurons,
    targets: Neurons | None = None,
    *,
    steps: int = 3,
    threshold: float = 0.0,
    grouped: bool = False,
    signed: bool = False,
    weight: str | None = "edge_weight",
) -> Influence:
    r"""Return the share of the input of targets that stems from sources, step by step.

    .. math:: P_{st} = \frac{|w_{st}|}{\sum_{s'} |w_{s't}|}, \quad
              I_k(s, t) = (P^k)_{st}

    :math:`P_{st}` is the share of s in the input of t. The product of the shares along a path is
    the share of its last neuron's input that arrives along this path, and :math:`I_k` is the sum of
    these products over all paths of k steps. This is the effective connectivity of Schlegel et al.
    [1]_. Shares of different sources add up, so that a group of sources has a share from 0 to 1.

    Args:
        data: A connectome. Self-loops and parallel synapses count.
        sources: Neurons: their numbers, a mask [N] bool, a list of ``names``, or the name of a
            population.
        targets: The same. None means all neurons.
        steps: The largest number of steps k, at most 100.
        threshold: Connections of a share below this are left out; the others keep their shares.
        grouped: Whether to add up the shares of all sources, which needs little memory.
        signed: Whether inhibitory synapses have negative shares, so that the influence of a path is
            negative if it has an odd number of them. As in :func:`graphs.signed_weights`, a synapse
            is inhibitory if its ``edge_sign``, or otherwise the ``node_sign`` of its source, is -1,
            or if its weight is negative.
        weight: The name of a field of weights, whose absolute values count; or None, which counts
            each synapse as 1. A connectome without ``edge_weight`` has weights of 1.

    Returns:
        ``share`` [steps, S, T], with ``total`` [S, T], their sum over the steps.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, an argument is out of range, or the result does
            not fit into memory.

    See Also:
        :func:`graphs.strongest_paths`: the paths that contribute most.

    Note:
        Sparse products from the sources: O(E S) time per step, O(N + E) memory and the result.

    References:
        .. [1] P. Schlegel et al., "Information flow, cell types and stereotypy in a full olfactory
           connectome", eLife 10 (2021) e66018.

    Example:
        >>> import graphs
        >>> found = graphs.influence(graphs.layered([2, 2, 1]), [0], [4], steps=2)
        >>> found.share[:, 0, 0].tolist()  # over two paths of shares 1/2 and 1/2
        [0.0, 0.5]
    """
    neurons = validate(data).num_nodes
    sending = neurons_of(data, "sources", sources)
    receiving = np.arange(neurons) if targets is None else neurons_of(data, "targets", targets)
    steps, threshold = steps_of(steps), threshold_of(threshold)
    grouped, signed = arguments.flag("grouped", grouped), arguments.flag("signed", signed)
    rows = 1 if grouped else len(sending)
    # The states of a block take about as much as eight million numbers.
    needed = 8 * steps * rows * len(receiving)
    if needed > memory.available() // 2:
        raise ValueError(
            f"sources and targets must be few enough for {memory.available() / 2**30:.3g} GiB of "
            f"memory, got {rows} times {len(receiving)} over {steps} steps, which take "
            f"{needed / 2**30:.3g} GiB; pass grouped=True or fewer targets"
        )
    shares = input_shares(data, weight, threshold, signed=signed)
    found = np.zeros((steps, rows, len(receiving)))
    size = max(_BLOCK // neurons, 1)
    for start in range(0, rows, size):
        columns = [sending] if grouped else sending[start : start + size, None]
        state: Floats = np.zeros((neurons, len(columns)))
        for column, starts in enumerate(columns):
            state[starts, column] = 1
        for step in range(steps):
            state = shares @ state
            found[step, start : start + size] = state[receiving].T
    return Influence(share=found, sources=sending, targets=receiving, grouped=grouped)
