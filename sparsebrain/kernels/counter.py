r"""Random words from a counter, which every backend computes for itself.

The word of step t, neuron n and sample b is a hash of these numbers and of a key. It depends
neither on the number of threads nor on the order of evaluation, needs no memory, and can be
computed again. All operations are modulo :math:`2^{64}`, or :math:`2^{32}` for h, with :math:`\gg`
for a logical shift and :math:`\oplus` for the exclusive or:

.. math::
    m(z) &: \quad z \leftarrow (z \oplus (z \gg 30)) \cdot \mathtt{BF58476D1CE4E5B9}; \quad
        z \leftarrow (z \oplus (z \gg 27)) \cdot \mathtt{94D049BB133111EB}; \quad
        z \oplus (z \gg 31) \\
    r &= m(m(m(\mathrm{key}) + G (t + 1)) + G (n + 1)), \quad G = \mathtt{9E3779B97F4A7C15} \\
    h &= (r \bmod 2^{32}) + b \cdot \mathtt{9E3779B9} \\
    h &\leftarrow (h \oplus (h \gg 16)) \cdot \mathtt{21F0AAAD} \\
    h &\leftarrow (h \oplus (h \gg 15) \oplus (r \gg 32)) \cdot \mathtt{D35A2D97} \\
    \mathrm{word} &= h \oplus (h \gg 15)

t, n and b are counted from 0. m is the finalizer of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood,
"Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_LOW = 0xFFFFFFFF


def keys_of_steps(key: Tensor, first: int, steps: int) -> Tensor:
    """Return m(m(key) + G (t + 1)) for ``steps`` steps from ``first`` on, [steps] int64."""
    number = torch.arange(first + 1, first + 1 + steps, device=key.device)
    return _mix(_mix(key) + number * signed(_GOLDEN))


def words(key: Tensor, step: int, neurons: Tensor, samples: int) -> Tensor:
    """Return the words of one step, in operations that torch can transform.

    Args:
        key: int64 of shape [].
        step: The number of the step.
        neurons: The numbers of the neurons [n] int64.
        samples: The number of samples B.

    Returns:
        [n, B] int64, from 0 to 2^32 - 1.
    """
    of_step = keys_of_steps(key, step, 1)
    of_neuron = _mix(of_step + (neurons + 1) * signed(_GOLDEN)).unsqueeze(1)
    h = (of_neuron + torch.arange(samples, device=key.device) * (_GOLDEN >> 32)) & _LOW
    h = ((h ^ (h >> 16)) * 0x21F0AAAD) & _LOW
    h = ((h ^ (h >> 15) ^ _shifted(of_neuron, 32)) * 0xD35A2D97) & _LOW
    return h ^ (h >> 15)


def uniforms(key: int, step: int, neurons: Tensor, samples: int) -> Tensor:
    """Return numbers in [0, 1), multiples of 2^-24: the upper 24 bits of each word.

    Args:
        key: Any integer; its last 64 bits count.
        step: The number of the step.
        neurons: The numbers of the neurons [n] int64.
        samples: The number of samples B.

    Returns:
        [n, B] float32.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels.counter import uniforms
        >>> uniforms(0, 0, torch.arange(2), 3).shape
        torch.Size([2, 3])
    """
    tensor = torch.tensor(signed(key), device=neurons.device)
    return (words(tensor, step, neurons, samples) >> 8).float() * 2.0**-24


def signed(word: int) -> int:
    """Return the last 64 bits as the int64 that torch computes with."""
    word &= (1 << 64) - 1
    return word - (1 << 64) if word >> 63 else word


def _mix(z: Tensor) -> Tensor:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ _shifted(z, shift)) * signed(factor)
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, shift: int) -> Tensor:
    """Return z >> shift without copies of the sign, which torch's shift of int64 brings in."""
    return (z >> shift) & ((1 << (64 - shift)) - 1)
