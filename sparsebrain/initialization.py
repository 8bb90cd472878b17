"""Initial weights that keep the variance of the state over all loops."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sparsebrain.kernels import Structure, propagate

_CELLS = 2**17
_FEWEST_COLUMNS = 32


def fan_in_normal(
    structure: Structure,
    types: Tensor | None,
    *,
    device: torch.device,
    dtype: torch.dtype,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw weights [E] of variance 1 / in-degree of the target, or [T] of 1 / mean in-degree."""
    if types is None:
        in_degree = structure.by_target.pointer.diff()
        spread = in_degree[structure.edge_index[1]].to(device, dtype).rsqrt()
    else:
        num_types = int(types.max()) + 1 if types.numel() else 0
        mean_in_degree = structure.num_edges / max(structure.num_nodes, 1)
        spread = torch.full(
            (num_types,), 1 / math.sqrt(max(mean_in_degree, 1)), device=device, dtype=dtype
        )
    return spread * torch.randn(spread.shape, generator=generator, device=device, dtype=dtype)


@torch.no_grad()
def variance_gain(
    structure: Structure, weight: Tensor, loops: int, *, backend: str = "auto"
) -> float:
    r"""The factor by which a linear loop multiplies the variance of the state, loops averaged.

    Noise of variance 1 is sent through ``loops`` linear loops with the same weights, and

    .. math:: g = (\mathrm{var}_L / \mathrm{var}_0)^{1 / L}

    Dividing the weights by sqrt(g) therefore keeps the variance. A fan-in rule cannot know this
    factor: the weights are tied, so the loops are a matrix power, whose growth follows the
        spectrum.

    The variance is taken over the neurons that the noise can still reach. On a graph without cycles
    the state dies out; the loops that it lives through are counted.

    Args:
        structure: the synapses.
        weight: [E].
        loops: L, at least 1.
        backend: as in :func:`sparsebrain.kernels.propagate`.

    Returns:
        g; 1.0 where no synapse carries anything.
    """
    columns = max(_FEWEST_COLUMNS, min(256, _CELLS // max(structure.num_nodes, 1)))
    noise = torch.Generator().manual_seed(0)
    state = torch.randn(structure.num_nodes, columns, generator=noise, dtype=torch.float64)
    state = state.to(weight.device, weight.dtype)
    log_growth, survived = 0.0, 0
    for number in range(1, loops + 1):
        state = propagate(structure, weight, state, backend=backend)
        power = state.double().square().mean(1)
        reached = power[power > 0]
        if not reached.numel():
            break
        variance = float(reached.mean())
        log_growth, survived = log_growth + math.log(variance), number
        # Normalising at every loop keeps long runs from overflowing.
        state /= math.sqrt(variance)
    return math.exp(log_growth / survived) if survived else 1.0
