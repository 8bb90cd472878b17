r"""Normal noise from a counter, which every backend computes for itself.

The noise after loop t, of neuron n and sample b, is a hash of these numbers and of a key. It
depends neither on the number of threads nor on the order of evaluation, needs no memory, and can be
computed again. All operations on integers are modulo :math:`2^{64}`, or :math:`2^{32}` for h, with
:math:`\gg` for a logical shift and :math:`\oplus` for the exclusive or:

.. math::
    m(z) &: \quad z \leftarrow (z \oplus (z \gg 30)) \cdot \mathtt{BF58476D1CE4E5B9}; \quad
        z \leftarrow (z \oplus (z \gg 27)) \cdot \mathtt{94D049BB133111EB}; \quad
        z \oplus (z \gg 31) \\
    r &= m(m(m(\mathrm{key}) + G (t + 1)) + G (n + 1)), \quad G = \mathtt{9E3779B97F4A7C15} \\
    h &= (r \bmod 2^{32}) + b \cdot \mathtt{9E3779B9} \\
    h &\leftarrow (h \oplus (h \gg 16)) \cdot \mathtt{21F0AAAD} \\
    h &\leftarrow (h \oplus (h \gg 15) \oplus (r \gg 32)) \cdot \mathtt{D35A2D97} \\
    k &= h \oplus (h \gg 15), \text{ as a signed integer of 32 bits} \\
    \xi &= \sigma \sqrt{2} \, \mathrm{erfinv}((2 k + 1) / 2^{32})

t, n and b are counted from 0. m is the finalizer of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood,
"Fast splittable pseudorandom number generators", OOPSLA 2014). The values are symmetric about zero,
have 2^32 possible magnitudes and signs, and do not exceed 6.34 standard deviations. They are the
same in float32 and float64, and on every backend, up to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphs import tensors

_GOLDEN = 0x9E3779B97F4A7C15
_LOW = 0xFFFFFFFF


class CounterNoise(NamedTuple):
    """The noise of all loops of a call.

    Attributes:
        key: The key, an int64 tensor of shape [].
        std: The standard deviation.
        first: The number of the first loop.
    """

    key: Tensor
    std: float
    first: int = 0

    def after(self, loops: int) -> CounterNoise:
        """Return the noise of the loops that follow the first ones."""
        return self._replace(first=self.first + loops)

    def keys_of_loops(self, loops: int) -> Tensor:
        """Return m(m(key) + G (t + 1)) for each loop, [loops]."""
        number = torch.arange(self.first + 1, self.first + 1 + loops, device=self.key.device)
        return _mix(_mix(self.key) + number * _signed(_GOLDEN))

    def values(self, number: int, state: Tensor) -> Tensor:
        """Return the noise after a loop in the shape, dtype and device of ``state`` [N, B].

        This is the definition, in operations that torch can transform.
        """
        neurons, batch = state.shape
        device = state.device
        of_loop = self.after(number).keys_of_loops(1)
        neuron = torch.arange(1, neurons + 1, device=device)
        of_neuron = _mix(of_loop + neuron * _signed(_GOLDEN)).unsqueeze(1)
        h = (of_neuron + torch.arange(batch, device=device) * 0x9E3779B9) & _LOW
        h = ((h ^ (h >> 16)) * 0x21F0AAAD) & _LOW
        h = ((h ^ (h >> 15) ^ ((of_neuron >> 32) & _LOW)) * 0xD35A2D97) & _LOW
        k = ((h ^ (h >> 15)) ^ (1 << 31)) - (1 << 31)
        # The lower tail and a sign, since a probability near 1 would be rounded.
        tail = (torch.where(k < 0, k, -1 - k) + (1 << 31)).double().add(0.5).mul(2.0**-32)
        normal = torch.special.ndtri(tail)
        return (torch.where(k < 0, normal, -normal) * self.std).to(state.dtype)


def check_key(name: str, key: object, state: Tensor) -> None:
    """Raise TypeError or ValueError unless it is the key of noise for this state."""
    tensors.tensor(name, key, (), dtypes=(torch.int64,), device=state.device, like="state")


def _mix(z: Tensor) -> Tensor:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ _shifted(z, shift)) * _signed(factor)
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, shift: int) -> Tensor:
    """Return z >> shift without copies of the sign, which torch's shift of int64 brings in."""
    return (z >> shift) & ((1 << (64 - shift)) - 1)


def _signed(word: int) -> int:
    """Return 64 bits as the int64 that torch computes with."""
    word &= (1 << 64) - 1
    return word - (1 << 64) if word >> 63 else word
