"""Chains of Gibbs sampling on a Boltzmann machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphs import arguments, tensors
from graphs.positions import positions
from sparsebrain.kernels import gibbs
from sparsebrain.kernels.sampling import MOST_SWEEPS, check_binary

if TYPE_CHECKING:
    from sparsebrain.energy.machine import BoltzmannMachine

MOST_BETA = 1e6
"""The largest inverse temperature, at which a neuron follows the sign of its field."""


def run(
    machine: BoltzmannMachine,
    chains: int,
    sweeps: int,
    *,
    clamp: tuple[Any, Any] | None,
    start: Tensor | None,
    beta: float | Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Run chains; see :meth:`sparsebrain.energy.BoltzmannMachine.sample`."""
    like, nodes = machine.weight, machine.num_nodes
    chains = arguments.count("chains", chains, at_least=1)
    tensors.room(f"chains={chains}", 2 * chains * nodes, "pass fewer chains")
    sweeps = arguments.count("sweeps", sweeps, at_most=MOST_SWEEPS)
    schedule = _schedule(beta, sweeps)
    tensors.generator("generator", generator, torch.device("cpu"))
    seed = new_seed(generator)
    if start is None:
        state = torch.randint(2, (nodes, chains), generator=generator, dtype=torch.uint8)
        state = state.to(like.device)
    else:
        tensors.tensor("start", start, (chains, nodes), dtypes=tensors.REAL, device=like.device)
        check_binary("start", start)
        state = start.t().to(torch.uint8).contiguous()
    clamped = None
    if clamp is not None:
        neurons, values = _clamp(clamp, chains, machine)
        state = state.index_copy(0, neurons, values.to(state))
        clamped = torch.zeros(nodes, dtype=torch.bool, device=like.device)
        clamped[neurons] = True
    offset = 0
    for strength, number in schedule:
        state = sweep(machine, state, strength, number, seed, offset, clamped)
        offset += number
    return state.t().to(like.dtype)


def sweep(
    machine: BoltzmannMachine,
    state: Tensor,
    beta: float,
    sweeps: int,
    seed: int,
    offset: int,
    clamped: Tensor | None = None,
) -> Tensor:
    """Update chains [N, B] uint8 at one temperature."""
    structure = machine.structure.to(machine.weight.device)
    weight, bias = machine.synapse_weight().detach() * beta, machine.bias.detach() * beta
    return gibbs(
        structure, weight, bias, state, machine.structure.colors(), sweeps, seed, offset, clamped
    )


def new_seed(generator: torch.Generator | None) -> int:
    """Draw the seed of a run."""
    return int(torch.randint(2**63 - 1, (), generator=generator))


def _schedule(beta: float | Tensor, sweeps: int) -> list[tuple[float, int]]:
    """Return inverse temperatures, each with a number of sweeps."""
    if not isinstance(beta, Tensor):
        return [(arguments.real("beta", beta, positive=True, at_most=MOST_BETA), sweeps)]
    tensors.tensor("beta", beta, (sweeps,), finite=True, fix="pass one beta per sweep")
    wrong = ((beta <= 0) | (beta > MOST_BETA)).nonzero()
    if wrong.numel():
        at = int(wrong[0])
        raise ValueError(
            f"beta must be positive and at most {MOST_BETA:g}, got {float(beta[at]):g} at sweep "
            f"{at}; pass beta.clamp(1e-6, {MOST_BETA:g})"
        )
    values, counts = torch.unique_consecutive(beta.double(), return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))


def _clamp(clamp: Any, chains: int, machine: BoltzmannMachine) -> tuple[Tensor, Tensor]:
    """Return clamped neurons [K] and their values, [K, 1] or [K, chains]."""
    fix = "pass clamp=([0, 1], torch.tensor([1.0, 0.0]))"
    if not isinstance(clamp, tuple | list) or len(clamp) != 2:
        raise TypeError(
            "clamp must be a tuple of neurons and their values, got "
            f"{arguments.described(clamp)}; {fix}"
        )
    device = machine.weight.device
    neurons = torch.from_numpy(positions("clamp[0]", clamp[0], machine.num_nodes)).to(device)
    if len(neurons) == machine.num_nodes:
        raise ValueError(
            f"clamp holds all {machine.num_nodes} neurons, so that none is left to draw; leave out "
            "those that are to be sampled"
        )
    values = clamp[1]
    per_chain = isinstance(values, Tensor) and values.dim() == 2
    shape = (chains, len(neurons)) if per_chain else (len(neurons),)
    tensors.tensor("clamp[1]", values, shape, dtypes=tensors.REAL, device=device, fix=fix)
    check_binary("clamp[1]", values)
    values = values.t() if per_chain else values.unsqueeze(1)
    return neurons, values.to(torch.uint8).expand(len(neurons), chains)
