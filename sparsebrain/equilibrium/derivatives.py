"""Gradients that cannot be differentiated again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def differentiated_once(found: Tensor, by: Tensor, remedy: str) -> Tensor:
    """Return the gradient ``found``; differentiating it again raises an error with a remedy.

    Args:
        found: The result of a backward pass that autograd has not recorded.
        by: What the gradient depends on. Autograd calls a backward function only on its way to an
            input, so a second derivative with respect to anything behind ``by`` raises, where
            torch's ``once_differentiable`` would silently leave a term out.
        remedy: The call that makes second derivatives possible.
    """
    return _DifferentiatedOnce.apply(found, by, remedy) if torch.is_grad_enabled() else found


class _DifferentiatedOnce(torch.autograd.Function):
    """The identity, with a backward pass that raises an error."""

    @staticmethod
    def forward(ctx: Any, found: Tensor, by: Tensor, remedy: str) -> Tensor:
        ctx.remedy = remedy
        return found.view_as(found)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError(
            "the gradient of an Equilibrium has no derivative, since autograd does not record it; "
            f"for second derivatives {ctx.remedy}, or a number of loops"
        )
