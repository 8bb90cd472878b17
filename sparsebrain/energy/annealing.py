"""The partition function by annealed importance sampling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sparsebrain.energy import sampling
from sparsebrain.kernels import gibbs, propagate

if TYPE_CHECKING:
    from sparsebrain.energy.machine import BoltzmannMachine


class Estimate(NamedTuple):
    """An estimate and its uncertainty.

    Attributes:
        value: A tensor without dimensions.
        error: The standard error of ``value``, a tensor without dimensions.
    """

    value: Tensor
    error: Tensor


def estimate(
    machine: BoltzmannMachine, chains: int, steps: int, generator: torch.Generator | None
) -> Estimate:
    r"""Estimate ln Z, from independent neurons to the machine.

    .. math::
        \ln Z \approx \ln Z_0 + \ln \frac{1}{M} \sum_m
        \exp\Bigl(\sum_k (\beta_{k + 1} - \beta_k) \sum_{i < j} w_{ij} x_i x_j\Bigr)

    Along :math:`\beta` from 0 to 1, in equal steps, each chain takes one sweep at a machine whose
    weights are :math:`\beta w` and whose biases are b. Z_0 is that of the biases alone.
    R. M. Neal, "Annealed importance sampling", Statistics and Computing 11 (2001) 125-139;
    R. Salakhutdinov, I. Murray, ICML 2008.

    The estimate of Z is unbiased, that of ln Z is too low on average. The standard error holds
    where no few chains have most of the weight.

    Args:
        machine: The machine.
        chains: The number of chains M.
        steps: The number of steps of :math:`\beta`.
        generator: The source of randomness.
    """
    with torch.no_grad():
        structure = machine.structure.to(machine.weight.device)
        weight, bias = machine.synapse_weight(), machine.bias.detach()
        seed = sampling.new_seed(generator)
        # Independent neurons start from their own law.
        u = torch.rand(machine.num_nodes, chains, generator=generator).to(bias)
        state = (u < torch.sigmoid(bias).unsqueeze(1)).to(torch.uint8)
        log_weight = torch.zeros(chains, dtype=torch.float64, device=bias.device)
        for step in range(steps):
            x = state.to(weight.dtype)
            coupling = 0.5 * (propagate(structure, weight, x) * x).sum(0)
            log_weight += coupling.double() / steps
            if step + 1 < steps:
                beta = (step + 1) / steps
                state = gibbs(
                    structure, weight * beta, bias, state, structure.colors(), 1, seed, step
                )
        start = softplus(bias.double()).sum()
        value = start + torch.logsumexp(log_weight, 0) - math.log(chains)
        share = torch.softmax(log_weight, 0)
        # The relative standard error of the mean weight.
        error = ((share * chains).var() / chains).sqrt()
        return Estimate(value.to(bias.dtype), error.to(bias.dtype))
