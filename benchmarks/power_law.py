"""A graph whose degrees follow a power law: the hard case for kernels that share out rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def power_law(num_nodes: int, num_edges: int, *, exponent: float = 2.5, seed: int = 0) -> Tensor:
    """The edge_index [2, E] of distinct edges, sorted by (target, source).

    Both ends are drawn with probability proportional to rank^(-1 / (exponent - 1)), which gives
    in- and out-degrees a density that falls as degree^-exponent, up to where the hubs are full.
    """
    if num_edges > num_nodes**2 // 4:
        raise ValueError(
            f"num_edges must be at most a quarter of num_nodes^2 = {num_nodes**2}, "
            f"got {num_edges}; distinct edges would run out."
        )
    rng = np.random.default_rng(seed)
    share = np.arange(1, num_nodes + 1) ** (-1 / (exponent - 1))
    share /= share.sum()
    # Hubs lie anywhere in the matrix, and those that receive are not those that send.
    source_of, target_of = rng.permutation(num_nodes), rng.permutation(num_nodes)
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < num_edges:
        ranks = rng.choice(num_nodes, size=(2, num_edges - len(keys)), p=share)
        drawn = target_of[ranks[1]] * num_nodes + source_of[ranks[0]]
        # As np.unique, whose hash table took a hundred times as long for millions of keys.
        keys = np.sort(np.concatenate((keys, drawn)))
        keys = keys[np.diff(keys, prepend=-1) > 0]
    target, source = np.divmod(keys, num_nodes)
    return torch.from_numpy(np.stack((source, target)))
