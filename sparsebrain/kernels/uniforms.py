r"""Uniform random numbers that are a function of (seed, step, neuron, sample).

A counter-based generator gives the same numbers on every backend and for any number of threads.
With :math:`m` the 32-bit mixer below and all arithmetic modulo 2^32, or 2^64 where stated,

.. math::
    k &= s(s(\mathrm{seed}) + \mathrm{step}), \qquad
    (k_1, k_0) = (\lfloor k / 2^{32} \rfloor, k \bmod 2^{32}) \\
    r &= m((m(\mathrm{neuron} \oplus k_0) + 2654435769 \cdot \mathrm{sample}) \oplus k_1) \\
    u &= \lfloor r / 2^8 \rfloor \, 2^{-24}

:math:`s(z)` is one step of SplitMix64 [1]_ and :math:`m` the mixer "lowbias32" [2]_: both are
bijections, so that no two neurons share a number in one step and sample.

References:
    .. [1] G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators",
       OOPSLA 2014, 453-472.
    .. [2] C. Wellons, "Prospecting for hash functions" (2018), nullprogram.com.
"""

from __future__ import annotations

import torch
from torch import Tensor

RESOLUTION = 2.0**-24
"""All numbers are multiples of this, in [0, 1)."""

_WORD, _DOUBLE = 2**32 - 1, 2**64 - 1
_GOLDEN = 2654435769


def keys(seed: int, step: int) -> tuple[int, int]:
    """Return the words (k_0, k_1) that one step of all neurons is drawn from."""
    key = _split(_split(seed & _DOUBLE) + step)
    return key & _WORD, key >> 32


def uniforms(seed: int, step: int, neurons: Tensor, samples: int) -> Tensor:
    """Return the random numbers of one step.

    Args:
        seed: Any integer; its last 64 bits count.
        step: The number of the step, from 0.
        neurons: The numbers of the neurons [n] int64.
        samples: The number of samples B, which are numbered from 0.

    Returns:
        [n, B] float32 in [0, 1), multiples of 2^-24.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels.uniforms import uniforms
        >>> uniforms(0, 0, torch.arange(2), 3).shape
        torch.Size([2, 3])
    """
    low, high = keys(seed, step)
    of_neuron = _mix(neurons ^ low)
    sample = torch.arange(samples, device=neurons.device) * _GOLDEN
    mixed = _mix(((of_neuron.unsqueeze(1) + sample) & _WORD) ^ high)
    return (mixed >> 8).float() * RESOLUTION


def _split(state: int) -> int:
    z = (state + 0x9E3779B97F4A7C15) & _DOUBLE
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _DOUBLE
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _DOUBLE
    return z ^ (z >> 31)


def _mix(x: Tensor) -> Tensor:
    # Products of two words overflow int64, whose lower half is right all the same.
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _WORD
    return x ^ (x >> 16)
