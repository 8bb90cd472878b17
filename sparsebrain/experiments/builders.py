"""Generators of topologies whose size is a single number of neurons, unlike those of ``graphs``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
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
    """Generate a stochastic block model with blocks of nearly equal size.

    Args:
        num_nodes: Number of neurons.
        probability: Connection probability within blocks.
        blocks: Number of blocks, from 1 to ``num_nodes``.
        ratio: Connection probability between blocks, divided by the one within blocks.
        directed: Whether the two directions of a pair are drawn independently.
        self_loops: Whether every neuron has a synapse onto itself.
        seed: Random seed or generator.

    Returns:
        The connectome.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.
    """
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
    """Return the expected number of synapses of :func:`stochastic_block` at probability 1."""
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
    """Generate nested modules, the smallest of nearly equal size.

    Args:
        num_nodes: Number of neurons.
        probability: Connection probability within the smallest modules.
        branching: Number of modules in each larger module, at least 2.
        levels: Number of levels of nesting.
        ratio: Factor of the connection probability from each level to the next.
        directed: Whether the two directions of a pair are drawn independently.
        self_loops: Whether every neuron has a synapse onto itself.
        seed: Random seed or generator.

    Returns:
        The connectome.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.
    """
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
    """Return the expected number of synapses of :func:`hierarchical_modules` at probability 1."""
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
    """Generate a multilayer perceptron.

    Args:
        sizes: Number of neurons in each layer; None for two layers that share ``num_nodes``.
        num_nodes: Total number of neurons, if ``sizes`` is None.

    Returns:
        The connectome.

    Raises:
        ValueError: Both arguments are given, or neither.
    """
    if sizes is None and num_nodes is not None:
        sizes = (num_nodes - num_nodes // 2, num_nodes // 2)
    elif sizes is None or num_nodes is not None:
        raise ValueError(
            "sizes and num_nodes are both given; pass one of them"
            if sizes is not None
            else "sizes or num_nodes must be given; pass for example sizes=(4, 2)"
        )
    return graphs.layered(sizes)


def from_file(path: str) -> Data:
    """Load a connectome from a file."""
    return saved_connectome(path)


def symmetric(data: Data | None) -> Data | None:
    """Return a connectome with a partner in the opposite direction for every synapse.

    A connectome without weights and signs that has these partners already is returned as it is,
    whatever their types: on a lattice both directions have different types. Otherwise it is
    :func:`graphs.symmetrize` of the connectome.

    Args:
        data: The connectome, or None.

    Raises:
        ValueError: Two neurons excite and inhibit one another.
    """
    if data is None:
        return None
    source, target = data.edge_index
    neurons = int(data.num_nodes)
    there, back = (source * neurons + target).sort(), (target * neurons + source).sort()
    if torch.equal(there.values, back.values) and not any(
        name in data for name in ("edge_weight", "edge_sign", "node_sign")
    ):
        return data
    return graphs.symmetrize(data)


def no_graph() -> None:
    """Stand for the model without a graph layer."""


def _count_modules(branching: int, levels: int) -> int:
    branching = arguments.count("branching", branching, at_least=2)
    levels = arguments.count("levels", levels)
    # A larger exponent exceeds any number of neurons, and its power would take forever.
    return int(branching ** min(levels, 64))


def _ratio(ratio: float) -> float:
    return arguments.real("ratio", ratio)


def _divided(name: str, num_nodes: int, parts: int) -> list[int]:
    """Divide neurons into parts whose sizes differ by at most one."""
    if not 1 <= parts <= num_nodes:
        raise ValueError(
            f"{name} must be from 1 to the number of neurons, {num_nodes}, got {parts}; "
            "pass fewer, or more neurons"
        )
    return [num_nodes // parts + (part < num_nodes % parts) for part in range(parts)]
