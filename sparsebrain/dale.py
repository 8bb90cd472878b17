"""Dale's law as a parametrisation: a synapse keeps its sign, whatever an optimizer does."""

from __future__ import annotations

from torch import Tensor, nn


class DaleSign(nn.Module):
    r"""Parametrise weights as :math:`w = s |v|` with fixed signs s and free v.

    Args:
        sign: s, of -1 and +1, in the shape of the weight.

    Example:
        >>> import torch
        >>> dale = DaleSign(torch.tensor([1.0, -1.0]))
        >>> dale(torch.tensor([-0.5, 2.0]))
        tensor([ 0.5000, -2.0000])
    """

    sign: Tensor

    def __init__(self, sign: Tensor) -> None:
        super().__init__()
        self.register_buffer("sign", sign, persistent=False)

    def forward(self, free: Tensor) -> Tensor:
        """The weight for a free parameter of the same shape."""
        return self.sign * free.abs()

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The free parameter for a weight; ValueError where a weight has the wrong sign."""
        wrong = (weight * self.sign) < 0
        if bool(wrong.any()):
            place = int(wrong.nonzero()[0])
            raise ValueError(
                f"dale=True fixes the sign of synapse {place} at {float(self.sign[place]):+.0f}, "
                f"but its weight would be {float(weight[place]):g}; assign sign * weight.abs()."
            )
        return weight * self.sign
