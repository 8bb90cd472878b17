"""Ising models and Hopfield networks as Boltzmann machines.

Spins s of -1 and +1 are neurons x = (s + 1) / 2, so that a coupling J s_i s_j becomes the weight
4 J, and its remainder goes into the biases.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments, tensors
from sparsebrain.energy.machine import BoltzmannMachine
from sparsebrain.kernels import propagate

_NUMBERS = tuple(dtype for dtype in tensors.REAL if dtype != torch.bool)


def ising(
    data: Data,
    coupling: float | Tensor = 1.0,
    temperature: float = 1.0,
    *,
    dtype: torch.dtype | None = None,
) -> BoltzmannMachine:
    r"""Return the Ising model on a graph.

    .. math:: P(s) \propto \exp\Bigl(\frac{1}{T} \sum_{i < j} J_{ij} s_i s_j\Bigr)

    With s = 2 x - 1, :math:`w = 4 J / T` and :math:`b_i = -2 \sum_j J_{ij} / T` the machine has the
    same law. Its energies are those of the spins divided by T, plus
    :math:`\sum_{i < j} J_{ij} / T`.

    Args:
        data: A symmetric connectome; ``edge_weight`` is not read.
        coupling: J, a number or one per pair [P] (pairs i < j, sorted); negative for an
            antiferromagnet.
        temperature: T in units of the coupling, positive.
        dtype: float32 or float64; torch's default if None.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the connectome is not symmetric, or ``temperature`` not positive.

    Example:
        >>> import graphs
        >>> from sparsebrain.energy import ising
        >>> torus = graphs.grid_local((4, 4), 1, metric="manhattan", periodic=True,
        ...                           self_loops=False)
        >>> machine = ising(torus, coupling=1.0, temperature=2.0)
        >>> machine.weight[0].item(), machine.bias[0].item()
        (2.0, -4.0)
    """
    temperature = arguments.real("temperature", temperature, positive=True)
    machine = BoltzmannMachine(data, dtype=dtype)
    if isinstance(coupling, Tensor):
        shape = tuple(machine.weight.shape)
        strength = tensors.tensor("coupling", coupling, shape, finite=True).to(machine.weight)
    else:
        if isinstance(coupling, bool) or not isinstance(coupling, int | float):
            raise TypeError(
                "coupling must be a number or a tensor with one value per pair, got "
                f"{arguments.described(coupling)}; pass coupling=1.0"
            )
        number = arguments.real("coupling", abs(coupling))
        strength = torch.full_like(machine.weight, number if coupling >= 0 else -number)
    return _of_spins(machine, strength / temperature)


def hopfield(
    data: Data, patterns: Tensor, temperature: float = 1.0, *, dtype: torch.dtype | None = None
) -> BoltzmannMachine:
    r"""Return a Hopfield network that stores patterns along the synapses of a graph.

    .. math:: J_{ij} = \frac{1}{k} \sum_p s_i^p s_j^p

    k is the mean degree. A neuron whose field (:meth:`BoltzmannMachine.field`) is positive recalls
    +1. J. J. Hopfield, "Neural networks and physical systems with emergent collective computational
    abilities", PNAS 79 (1982) 2554-2558.

    Args:
        data: A symmetric connectome; ``edge_weight`` is not read.
        patterns: [K, N] of -1 and +1.
        temperature: T; at small T, sampling recalls a pattern.
        dtype: float32 or float64; torch's default if None.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the connectome is not symmetric, a value of a pattern is neither -1 nor +1,
            or ``temperature`` is not positive.

    Example:
        >>> import graphs, torch
        >>> from sparsebrain.energy import hopfield
        >>> patterns = torch.tensor([[1.0, 1, 1, 1, -1, -1, -1, -1]])
        >>> network = hopfield(graphs.small_world(8, 6, 0.0, directed=False), patterns)
        >>> damaged = torch.tensor([[1.0, 1, 0, 1, 0, 0, 0, 0]])  # the third neuron is wrong
        >>> (network.field(damaged) > 0).long().tolist()
        [[1, 1, 1, 1, 0, 0, 0, 0]]
    """
    temperature = arguments.real("temperature", temperature, positive=True)
    machine = BoltzmannMachine(data, dtype=dtype)
    tensors.tensor("patterns", patterns, ("K", machine.num_nodes), dtypes=_NUMBERS)
    wrong = (patterns != 1) & (patterns != -1)
    if bool(wrong.any()):
        place = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"patterns must be -1 or +1, got {patterns[tuple(place)].item()} at position {place}; "
            "pass 2 * patterns - 1 if they are 0 and 1"
        )
    spins = patterns.to(machine.weight)
    i, j = machine.pairs
    pairs, nodes = machine.pairs.size(1), machine.num_nodes
    degree = max(2 * pairs / nodes, 1.0) if nodes else 1.0
    strength = (spins[:, i] * spins[:, j]).sum(0) / degree
    return _of_spins(machine, strength / temperature)


def _of_spins(machine: BoltzmannMachine, strength: Tensor) -> BoltzmannMachine:
    """Set weights and biases to those of couplings J / T [P]."""
    ones = machine.bias.new_ones(machine.num_nodes, 1)
    with torch.no_grad():
        received = propagate(machine.structure, torch.cat([strength, strength]), ones)
        machine.weight.copy_(4 * strength)
        machine.bias.copy_(-2 * received.squeeze(1))
    return machine
