"""Kaneko's table of XOR."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric.data import Data

from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork

EPOCHS_OF_KANEKO = {8: 75.14, 16: 28.00, 32: 8.26, 64: 5.97}
"""Kaneko's mean number of epochs over 100 runs, by the number of hidden cells of both types."""

COLUMNS = ("hidden cells", "epochs, Kaneko", "epochs, here", "standard error", "z")


def xor_table(runs: int = 100, seed: int = 0) -> list[tuple[object, ...]]:
    """Repeat Kaneko's table, with all runs in one batched network.

    The z-score assumes that Kaneko's mean has the same standard error, which is not published.

    Args:
        runs: Number of runs per row.
        seed: Random seed.

    Returns:
        Rows with the columns :data:`COLUMNS`.
    """
    rows: list[tuple[object, ...]] = []
    for cells, told in EPOCHS_OF_KANEKO.items():
        epochs = xor_epochs(cells, runs, torch.Generator().manual_seed(seed))
        mean, error = float(epochs.mean()), float(epochs.std() / runs**0.5)
        z = (mean - told) / (error * 2**0.5)
        rows.append((cells, told, round(mean, 2), round(error, 2), round(z, 2)))
    return rows


def xor_epochs(cells: int, runs: int, generator: torch.Generator, limit: int = 1000) -> Tensor:
    """Return the epoch in which the sum of each run's absolute errors first is below 0.1.

    Args:
        cells: Number of hidden cells of both types.
        runs: Number of networks, which are trained together.
        generator: Random generator of the initial weights.
        limit: Number of epochs after which to stop.

    Returns:
        Epochs [runs]; infinite for runs that did not reach the threshold.
    """
    hidden = Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=cells)
    network = ErrorDiffusionNetwork.around(hidden, 2, networks=runs, generator=generator)
    rule = ErrorDiffusion(network, loss="quadratic")
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.8)
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    reached = torch.full((runs,), math.inf)
    for epoch in range(1, limit + 1):
        total = torch.zeros(runs)
        for sample, wanted in zip(x.split(1), (0, 1, 1, 0), strict=True):
            optimizer.zero_grad()
            with torch.no_grad():
                states, scores = network.run(sample)
            error = wanted - scores
            rule.diffuse(states, error)
            optimizer.step()
            total += error[0].abs()
        reached[reached.isinf() & (total < 0.1)] = epoch
        if bool(reached.isfinite().all()):
            break
    return reached
