"""Drawing pairs of neurons that have no synapse, uniformly and without N^2 memory."""

from __future__ import annotations

import torch
from torch import Tensor

# Drawn pairs at a time, relative to those that are still missing.
_MORE = 1.1


def draw_absent(
    edge_index: Tensor,
    num_nodes: int,
    count: int,
    *,
    pairs: Tensor | None = None,
    self_loops: bool = False,
    all_of_them: bool = True,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw different pairs without a synapse; every set of pairs has the same probability.

    While less than half of all pairs are connected, pairs are drawn and rejected; otherwise all
    pairs, which are then at most twice the synapses, are listed. O(E log E) time, O(E) memory.

    Args:
        edge_index: The synapses [2, E] int64.
        num_nodes: N.
        count: The number of pairs, K.
        pairs: [2, P] int64, the pairs to choose from; all pairs by default.
        self_loops: Whether a neuron may be paired with itself, if ``pairs`` is None.
        all_of_them: Whether fewer than K absent pairs are an error; otherwise all of them are
            returned.
        generator: The source of randomness; torch's default generator if None.

    Returns:
        Sources and targets [2, K] int64 on the device of ``edge_index``, in random order.

    Raises:
        ValueError: Fewer than K pairs are absent.
    """
    present = _codes(edge_index.cpu(), num_nodes).unique()
    if pairs is not None:
        absent = _without(_codes(pairs.cpu(), num_nodes).unique(), present)
        left = len(absent)
    else:
        loops = 0 if self_loops else num_nodes
        taken = present if self_loops else present[_is_pair(present, num_nodes)]
        left, absent = num_nodes * num_nodes - loops - len(taken), None
        if len(taken) > left:
            every = torch.arange(num_nodes * num_nodes)
            every = every if self_loops else every[_is_pair(every, num_nodes)]
            absent = _without(every, present)
    if left < count and all_of_them:
        raise ValueError(
            f"{count} synapses would have to grow, but only {left} pairs of neurons are not "
            "connected; pass a smaller fraction, or more candidates"
        )
    count = min(count, left)
    if absent is None:
        drawn = _reject(present, num_nodes, count, self_loops, generator)
    else:
        drawn = absent[torch.randperm(len(absent), generator=generator)[:count]]
    source, target = drawn // max(num_nodes, 1), drawn % max(num_nodes, 1)
    return torch.stack([source, target]).to(edge_index.device)


def _codes(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Return one number for each pair of a source and a target."""
    return edge_index[0] * num_nodes + edge_index[1]


def _is_pair(codes: Tensor, num_nodes: int) -> Tensor:
    """Return which codes are pairs of two different neurons."""
    return codes // num_nodes != codes % num_nodes


def _without(codes: Tensor, present: Tensor) -> Tensor:
    """Return the codes that are not present; ``present`` is sorted."""
    if not len(present):
        return codes
    at = torch.searchsorted(present, codes).clamp_max(len(present) - 1)
    return codes[present[at] != codes]


def _reject(
    present: Tensor,
    num_nodes: int,
    count: int,
    self_loops: bool,
    generator: torch.Generator | None,
) -> Tensor:
    """Draw pairs until enough are absent and different."""
    drawn = present.new_empty(0)
    share = 1 - len(present) / max(num_nodes * num_nodes, 1)
    while len(drawn) < count:
        number = int(_MORE * (count - len(drawn)) / share) + 16
        # The remainder of 62 random bits is uniform up to N / 2^62.
        ends = torch.randint(2**62, (2, number), generator=generator) % num_nodes
        found = _codes(ends, num_nodes)
        found = found if self_loops else found[_is_pair(found, num_nodes)]
        drawn = torch.cat([drawn, _without(found, present)])
        # Keep the first of equal pairs, in the order of drawing.
        _, group = drawn.unique(return_inverse=True)
        places = torch.arange(len(drawn))
        first = torch.full((len(drawn),), len(drawn)).scatter_reduce(0, group, places, "amin")
        drawn = drawn[first[first < len(drawn)].sort().values]
    return drawn[:count]
