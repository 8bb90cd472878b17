"""Generators of topologies that take other arguments than those of ``graphs``.

One number of neurons states their size, so that a comparison may give it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch_geometric.data import Data

import graphs
from graphs import arguments
from sparsebrain.experiments.saved import saved_connectome


def stochastic_block(
    num_nodes: int,
    probability: float,
    blocks: int = 4,
    ratio: float = 0.1,
    *,
    directed: bool = True,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Blocks of equal size; ``ratio`` times the probability within them holds between them."""
    sizes = _divided("blocks", num_nodes, blocks)
    probability = arguments.real("probability", probability, at_most=1)
    ratio = _ratio(ratio)
    if ratio * probability > 1:
        raise ValueError(
            f"ratio must be at most 1 / probability = {1 / probability:g}, got {ratio:g}; pass a "
            "smaller one"
        )
    probabilities = np.full((len(sizes),) * 2, ratio * probability)
    np.fill_diagonal(probabilities, probability)
    return graphs.stochastic_block(
        sizes, probabilities.tolist(), directed=directed, self_loops=self_loops, seed=seed
    )


def pairs_of_blocks(*, num_nodes: int, blocks: int, ratio: float, **others: object) -> float:
    """The synapses that :func:`stochastic_block` has in the mean at probability 1."""
    inside = sum(size * size for size in _divided("blocks", num_nodes, blocks))
    return inside - num_nodes + _ratio(ratio) * (num_nodes * num_nodes - inside)


def hierarchical_modules(
    num_nodes: int,
    probability: float,
    branching: int = 2,
    levels: int = 3,
    ratio: float = 0.25,
    *,
    directed: bool = True,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Modules of modules, the smallest of nearly equal size."""
    return graphs.hierarchical_modules(
        _divided("branching ** levels", num_nodes, _count_modules(branching, levels)),
        branching,
        levels,
        probability,
        ratio,
        directed=directed,
        self_loops=self_loops,
        seed=seed,
    )


def pairs_of_modules(
    *, num_nodes: int, branching: int, levels: int, ratio: float, **others: object
) -> float:
    """The synapses that :func:`hierarchical_modules` has in the mean at probability 1."""
    smallest = _count_modules(branching, levels)
    _divided("branching ** levels", num_nodes, smallest)
    ratio = _ratio(ratio)
    inside, total = num_nodes, 0.0
    for level in range(levels + 1):
        parts = _divided("modules", num_nodes, smallest // branching**level)
        pairs = sum(part * part for part in parts)
        total += (pairs - inside) * ratio**level
        inside = pairs
    return total


def layered(sizes: Sequence[int] | None = None, num_nodes: int | None = None) -> Data:
    """A perceptron of the layers that are stated, or of two that share the neurons."""
    if sizes is None and num_nodes is not None:
        sizes = (num_nodes - num_nodes // 2, num_nodes // 2)
    elif sizes is None or num_nodes is not None:
        raise ValueError(
            "sizes and num_nodes are both stated; state sizes alone, or num_nodes alone"
            if sizes is not None
            else "sizes must be stated, or num_nodes; pass for example sizes=(4, 2)"
        )
    return graphs.layered(sizes)


def from_file(path: str) -> Data:
    """A saved connectome."""
    return saved_connectome(path)


def no_graph() -> None:
    """The model without a graph layer."""


def _count_modules(branching: int, levels: int) -> int:
    branching = arguments.count("branching", branching, at_least=2)
    levels = arguments.count("levels", levels)
    # More than any number of neurons, where the power itself would not end.
    return int(branching ** min(levels, 64))


def _ratio(ratio: float) -> float:
    return arguments.real("ratio", ratio)


def _divided(name: str, num_nodes: int, parts: int) -> list[int]:
    """Sizes that differ by at most one."""
    if not 1 <= parts <= num_nodes:
        raise ValueError(
            f"{name} must be from 1 to the number of neurons, {num_nodes}, got {parts}; "
            "pass fewer, or more neurons"
        )
    return [num_nodes // parts + (part < num_nodes % parts) for part in range(parts)]
