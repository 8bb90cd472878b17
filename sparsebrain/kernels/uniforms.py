r"""Uniform random numbers that are a function of (seed, step, neuron, sample).

A counter-based generator gives the same numbers on every backend and for any number of threads.
With :math:`m` the finalizer of SplitMix64 [1]_ and c = 0x9E3779B97F4A7C15, all modulo 2^64,

.. math::
    k = m(m(\mathrm{seed} + c \, (\mathrm{step} + 1)) + c \, (\mathrm{neuron} + 1)),

and with :math:`k_0, k_1` the lower and upper half of k, all modulo 2^32,

.. math::
    r &= k_0 + \mathtt{9E3779B9}_{16} \cdot \mathrm{sample} \\
    r &\leftarrow (r \oplus (r \gg 16)) \cdot \mathtt{21F0AAAD}_{16} \\
    r &\leftarrow (r \oplus (r \gg 15) \oplus k_1) \cdot \mathtt{D35A2D97}_{16} \\
    u &= \lfloor (r \oplus (r \gg 15)) / 2^8 \rfloor \, 2^{-24}

References:
    .. [1] G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators",
       OOPSLA 2014, 453-472.
"""

from __future__ import annotations

import torch
from torch import Tensor

RESOLUTION = 2.0**-24
"""All numbers are multiples of this, in [0, 1)."""

_WORD, _DOUBLE = 2**32 - 1, 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


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
    of_step = _key_of_step(seed, step)
    key = _mix(_wrapped(of_step) + _wrapped(_GOLDEN) * (neurons + 1)).unsqueeze(1)
    sample = torch.arange(samples, device=neurons.device) * (_GOLDEN >> 32)
    r = (key + sample) & _WORD
    r = ((r ^ (r >> 16)) * 0x21F0AAAD) & _WORD
    r = ((r ^ (r >> 15) ^ _shifted(key, 32)) * 0xD35A2D97) & _WORD
    return ((r ^ (r >> 15)) >> 8).float() * RESOLUTION


def _key_of_step(seed: int, step: int) -> int:
    z = (seed + _GOLDEN * (step + 1)) & _DOUBLE
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _DOUBLE
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _DOUBLE
    return z ^ (z >> 31)


def _mix(z: Tensor) -> Tensor:
    # Overflowing products of int64 are right modulo 2^64.
    z = (z ^ _shifted(z, 30)) * _wrapped(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _wrapped(0x94D049BB133111EB)
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Shift int64 to the right as if it had no sign."""
    return (z >> bits) & (2 ** (64 - bits) - 1)


def _wrapped(number: int) -> int:
    """Return an unsigned 64-bit number as the int64 with the same bits."""
    return number - 2**64 if number >= 2**63 else number
