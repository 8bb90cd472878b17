"""Upper bounds of a directed weight matrix, which bound the effect of its loops on a state."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from graphs import arguments
from sparsebrain.equilibrium.eigenvalues import eigenvalues
from sparsebrain.kernels import Structure, backpropagate, loop, propagate
from sparsebrain.kernels.checks import check_matrix

# Lanczos underestimates the norm by more than _SHORT with a probability below _FAILURE.
_SHORT = 0.05
_FAILURE = 1e-9
# Power iteration: fused loops per round, the most rounds, and the least gain per round.
_FUSED = 10
_ROUNDS = 12
_GAIN = 1e-3


class Size(NamedTuple):
    """An upper bound of a matrix.

    Attributes:
        bound: The bound, [].
        left: u [N]; the derivative of the bound by W_ts is u_t v_s.
        right: v [N].
    """

    bound: Tensor
    left: Tensor
    right: Tensor


def spectral_radius(structure: Structure, weight: Tensor) -> float:
    r"""Return :math:`\rho(W)`, the largest magnitude of an eigenvalue of any directed W.

    In the long run a linear loop grows or decays by this factor. For other activations it is no
    bound; :func:`norm_bound` and :func:`perron_bound` are. A graph without cycles has exactly 0.

    Args:
        structure: The synapses.
        weight: [E].

    Raises:
        TypeError: If ``weight`` is not a tensor of floats.
        ValueError: If a weight is NaN or infinite.
        RuntimeError: If the iteration does not converge, see :func:`~.eigenvalues.eigenvalues`.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure
        >>> ring = Structure(torch.tensor([[0, 1, 2], [1, 2, 0]]), num_nodes=3)
        >>> round(spectral_radius(ring, torch.tensor([1.0, 2.0, 4.0])), 6)
        2.0
    """
    # Arnoldi's method finds both eigenvalues of a complex pair or neither.
    check_matrix(structure, weight)
    count = min(2, structure.num_nodes)
    try:
        return float(eigenvalues(structure, weight, count)[0].abs()) if count else 0.0
    except RuntimeError as error:
        raise RuntimeError(
            f"the spectral radius did not converge ({error}); use perron_bound, an upper bound"
        ) from None


@torch.no_grad()
def perron_bound(structure: Structure, weight: Tensor, *, vectors: bool = False) -> Size:
    r"""Return a certain upper bound of :math:`\rho(|W|)`, by Collatz and Wielandt.

    .. math:: \rho(|W|) \le \max_i (|W| v)_i / v_i \qquad \text{for every } v > 0

    v comes from power iteration on :math:`I + |W| / \max_t \sum_s |W_{ts}|`. Its bound decreases
    with every loop, and v stays positive on any graph. The bound is close to :math:`\rho(|W|)` if
    one eigenvalue dominates, and too large by some percent if synapses reach only nearby neurons.
    H. Wielandt, "Unzerlegbare, nicht negative Matrizen", Mathematische Zeitschrift 52 (1950)
    642-648.

    Args:
        structure: The synapses.
        weight: [E].
        vectors: Whether to compute the left vector too; it is zero otherwise.

    Returns:
        The bound and its vectors, in float64.

    Raises:
        TypeError: If ``weight`` is not a tensor of floats.
        ValueError: If its shape is not [E].
    """
    check_matrix(structure, weight)
    arguments.flag("vectors", vectors)
    magnitude = weight.detach().double().abs()
    ones = magnitude.new_ones(structure.num_nodes, 1)
    zeros = torch.zeros_like(ones[:, 0])
    if not structure.num_edges:
        return Size(magnitude.new_zeros(()), zeros, zeros)
    most = propagate(structure, magnitude, ones).max()
    if not 0 < float(most) < math.inf:
        return Size(most, zeros, zeros)
    bound, right = _perron(structure, magnitude / most)
    left = zeros
    if vectors:
        _, left = _perron(_reversed(structure), magnitude / most)
        left = left / (left @ right).clamp_min(torch.finfo(torch.float64).eps)
    # An allowance for the rounding of the products.
    slack = 1 + 4 * torch.finfo(torch.float64).eps * structure.num_edges
    return Size(bound * most * slack, left, right)


@torch.no_grad()
def norm_bound(structure: Structure, weight: Tensor) -> Size:
    r"""Return an upper bound of :math:`\|W\|_2`, by Lanczos' method on :math:`W^T W`.

    From a random vector, k steps underestimate the largest of N eigenvalues by more than the share
    :math:`\epsilon` with a probability of at most :math:`1.648 \sqrt N e^{-\sqrt\epsilon (2k - 1)}`
    (J. Kuczynski, H. Wozniakowski, SIAM J. Matrix Anal. Appl. 13 (1992) 1094-1122). Here
    :math:`\epsilon` = 0.05 and the probability is 1e-9, which determines k; the result is then
    raised by :math:`1 / \sqrt{1 - \epsilon}`, 2.6 %. After N steps it is exact. The vector is
    always the same, so that equal weights have equal bounds.

    Args:
        structure: The synapses.
        weight: [E].

    Returns:
        The bound and the singular vectors, in float64. O(k (N + E)) time, O(k N) memory.

    Raises:
        TypeError: If ``weight`` is not a tensor of floats.
        ValueError: If its shape is not [E].
    """
    check_matrix(structure, weight)
    precise, neurons = weight.detach().double(), structure.num_nodes
    zeros = precise.new_zeros(neurons)
    if not structure.num_edges or not bool(torch.isfinite(precise).all()):
        return Size(precise.abs().sum(), zeros, zeros)
    steps = 1.648 * math.sqrt(neurons) / _FAILURE
    count = min(neurons, math.ceil((math.log(steps) / math.sqrt(_SHORT) + 1) / 2))
    noise = torch.Generator().manual_seed(0)
    vector = torch.randn(neurons, generator=noise, dtype=torch.float64).to(precise.device)
    basis = precise.new_zeros(count, neurons)
    diagonal, beside = precise.new_zeros(count), precise.new_zeros(count)
    length = vector.norm()
    largest = precise.new_zeros(())
    for number in range(count):
        basis[number] = vector / length
        image = propagate(structure, precise, basis[number].unsqueeze(1))
        vector = backpropagate(structure, precise, image).squeeze(1)
        diagonal[number] = basis[number] @ vector
        # Twice, because the rounding of the first pass can be as large as the remainder.
        for _ in range(2):
            vector = vector - basis.t() @ (basis @ vector)
        length = beside[number] = vector.norm()
        largest = torch.maximum(largest, diagonal[number])
        if not float(length) > 1e-14 * float(largest):
            count = number + 1
            break
    values, coordinates = torch.linalg.eigh(
        torch.diag(diagonal[:count])
        + torch.diag(beside[: count - 1], 1)
        + torch.diag(beside[: count - 1], -1)
    )
    right = coordinates[:, -1] @ basis[:count]
    norm = values[-1].clamp_min(0).sqrt()
    if not float(norm):
        return Size(norm, zeros, zeros)
    left = propagate(structure, precise, right.unsqueeze(1)).squeeze(1) / norm
    raised = 1.0 if count == neurons else 1 / math.sqrt(1 - _SHORT)
    return Size(norm * raised * (1 + 1e-12), left * raised, right)


def _perron(structure: Structure, magnitude: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bound of a matrix with row sums of at most 1, and its v, with largest entry 1."""
    vector = magnitude.new_ones(structure.num_nodes, 1)
    # Half of the old state is kept, since a ring would rotate the state forever.
    half = magnitude.new_full((structure.num_nodes,), 0.5)
    bound = magnitude.new_ones(())
    for _ in range(_ROUNDS):
        (vector,) = loop(structure, magnitude, vector, loops=_FUSED, leak=half)
        vector = vector / vector.max()
        # Entries far from strong cycles underflow; any positive vector gives a valid bound.
        vector = vector.clamp_min(torch.finfo(torch.float32).tiny)
        before = bound
        bound = torch.minimum(before, (propagate(structure, magnitude, vector) / vector).max())
        if float(before - bound) <= _GAIN * float(bound):
            break
    return bound, vector.squeeze(1)


def _reversed(structure: Structure) -> Structure:
    """Return the structure with every synapse reversed."""
    pointer, neuron, order = structure.by_source
    arrays = [pointer, neuron, neuron.new_empty(0) if order is None else order]
    return Structure.from_arrays(arrays, structure.num_nodes)
