r"""Normal noise from a counter, which every backend computes for itself.

The noise after loop t, of neuron n and sample b, is made from the word of
:mod:`sparsebrain.kernels.counter` for this step, neuron and sample, read as a signed integer k:

.. math:: \xi = \sigma \sqrt{2} \, \mathrm{erfinv}((2 k + 1) / 2^{32})

The values are symmetric about zero, have 2^32 possible magnitudes and signs, and do not exceed 6.34
standard deviations. They are the same in float32 and float64, and on every backend, up to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphs import tensors
from sparsebrain.kernels.counter import keys_of_steps, words


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
        """Return the key of each loop, [loops]."""
        return keys_of_steps(self.key, self.first, loops)

    def values(self, number: int, state: Tensor, neurons: Tensor | None = None) -> Tensor:
        """Return the noise after a loop in the shape, dtype and device of ``state`` [N, B].

        This is the definition, in operations that torch can transform.

        Args:
            number: The number of the loop.
            state: [N, B].
            neurons: The numbers of the neurons [N] int64; by default 0 to N - 1.
        """
        count, batch = state.shape
        number += self.first
        if neurons is None:
            neurons = torch.arange(count, device=state.device)
        word = words(self.key, number, neurons, batch)
        k = (word ^ (1 << 31)) - (1 << 31)
        # The lower tail and a sign, since a probability near 1 would be rounded.
        tail = (torch.where(k < 0, k, -1 - k) + (1 << 31)).double().add(0.5).mul(2.0**-32)
        normal = torch.special.ndtri(tail)
        return (torch.where(k < 0, normal, -normal) * self.std).to(state.dtype)


def check_key(name: str, key: object, state: Tensor) -> None:
    """Raise TypeError or ValueError unless it is the key of noise for this state."""
    tensors.tensor(name, key, (), dtypes=(torch.int64,), device=state.device, like="state")
