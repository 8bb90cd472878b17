"""Surrogate derivatives of a spike, which let gradients pass a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Surrogate(NamedTuple):
    r"""A smooth stand-in for the derivative of the step function at the threshold.

    A spike is a step of the potential v at the threshold, whose derivative is zero almost
    everywhere. Backpropagation replaces it by

    .. math:: \frac{\partial s}{\partial v} =
        \frac{1}{\theta - v_0} \, h\left(\frac{v - \theta}{w\,(\theta - v_0)}\right)

    with the threshold :math:`\theta` and the resting potential :math:`v_0`, so that the unit of v
    does not matter. Where :math:`\theta \le v_0`, 1 stands for :math:`\theta - v_0`.

    Attributes:
        slope: h, a function of a tensor, elementwise, with h(0) = 1. It may overwrite its argument.
        width: w, the width in units of the distance from rest to threshold.
        smooth: The integral of h from -infinity, the smooth step that h belongs to.

    Example:
        >>> import torch
        >>> from sparsebrain.spiking import SURROGATES
        >>> SURROGATES["triangle"].slope(torch.tensor([-2.0, -0.5, 0.0, 0.25]))
        tensor([0.0000, 0.5000, 1.0000, 0.7500])
    """

    slope: Callable[[Tensor], Tensor]
    width: float
    smooth: Callable[[Tensor], Tensor]


def _fast_sigmoid(x: Tensor) -> Tensor:
    # 1 / (1 + |x|)^2
    return x.abs_().add_(1).square_().reciprocal_()


def _arctan(x: Tensor) -> Tensor:
    # 1 / (1 + (pi x)^2)
    return x.mul_(math.pi).square_().add_(1).reciprocal_()


def _triangle(x: Tensor) -> Tensor:
    # max(0, 1 - |x|)
    return x.abs_().neg_().add_(1).clamp_(min=0)


def _sigmoid(x: Tensor) -> Tensor:
    # 4 sigma(x) (1 - sigma(x))
    x.sigmoid_()
    return x.addcmul_(x, x, value=-1).mul_(4)


def _rectangle(x: Tensor) -> Tensor:
    # 1 if |x| < 1/2, else 0
    return x.abs_().lt_(0.5)


SURROGATES: dict[str, Surrogate] = {
    "fast_sigmoid": Surrogate(
        _fast_sigmoid, 0.1, lambda x: torch.where(x < 0, 1 / (1 - x), 2 - 1 / (1 + x.abs()))
    ),
    "arctan": Surrogate(_arctan, 1.0, lambda x: 0.5 + (math.pi * x).atan() / math.pi),
    "triangle": Surrogate(
        _triangle,
        1.0,
        lambda x: 0.5 + x.clamp(-1, 1) - 0.5 * x.clamp(-1, 1) * x.clamp(-1, 1).abs(),
    ),
    "sigmoid": Surrogate(_sigmoid, 0.25, lambda x: 4 * x.sigmoid()),
    "rectangle": Surrogate(_rectangle, 1.0, lambda x: (x + 0.5).clamp(0, 1)),
}
r"""The surrogate derivatives by name.

================  =======================================  =====  ================================
name              h(x)                                     w      source
================  =======================================  =====  ================================
``fast_sigmoid``  :math:`1 / (1 + |x|)^2`                  0.1    Zenke & Ganguli 2018; w as in
                                                                  Zenke & Vogels 2021
``arctan``        :math:`1 / (1 + (\pi x)^2)`              1      Fang et al. 2021
``triangle``      :math:`\max(0, 1 - |x|)`                 1      Esser et al. 2016
``sigmoid``       :math:`4 \sigma(x) (1 - \sigma(x))`      0.25   Zenke & Vogels 2021
``rectangle``     1 for :math:`|x| < 1/2`, 0 elsewhere     1      Wu et al. 2018
================  =======================================  =====  ================================
"""
