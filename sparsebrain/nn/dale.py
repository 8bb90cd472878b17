"""Dale's law as a parametrization: a synapse keeps its sign under any optimizer."""

from __future__ import annotations

import torch
from torch import Tensor

from graphs import tensors
from sparsebrain.nn.fixed import Fixed


class DaleSign(Fixed):
    r"""Parametrize weights as :math:`w = s |v|` with fixed signs s and free v.

    The derivative of \|v\| at zero is defined as +1, so that a synapse of weight zero can learn.
    Where the sign is unknown, s = 0, the weight is v itself and can change its sign.

    Args:
        sign: s, of -1, 0 and +1, in the shape of the weight.

    Example:
        >>> import torch
        >>> dale = DaleSign(torch.tensor([1.0, -1.0, 0.0]))
        >>> dale(torch.tensor([-0.5, 2.0, -3.0]))
        tensor([ 0.5000, -2.0000, -3.0000])
    """

    def __init__(self, sign: Tensor) -> None:
        super().__init__(sign)
        self.replace(sign)

    def replace(self, sign: Tensor) -> None:
        """Set other signs of the same number, for a parameter that holds their free values."""
        self.value = sign
        self.all_known = bool((sign != 0).all())

    def forward(self, free: Tensor) -> Tensor:
        """Return the weight for a free parameter of the same shape."""
        sign = self.value.to(free.device)
        if self.all_known:
            return sign * magnitude(free)
        return torch.where(sign == 0, free, sign * magnitude(free))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the free parameter for a weight.

        Raises:
            TypeError: If the weight is not a dense tensor of floats.
            ValueError: If a sign is wrong, or a weight is NaN or infinite.
        """
        check_assigned(weight, len(self.value))
        sign = self.value.to(weight.device)
        free = with_signs(weight, sign)
        if not weight.is_meta and not bool(torch.isfinite(weight).all()):
            place = int((~torch.isfinite(weight)).nonzero()[0])
            raise ValueError(
                f"weight must be finite, got {float(weight[place]):g} for synapse {place}; pass "
                "weight.nan_to_num() if 0 is meant"
            )
        wrong = (free < 0) & (sign != 0)
        if not weight.is_meta and bool(wrong.any()):
            place = int(wrong.nonzero()[0])
            raise ValueError(
                f"dale=True fixes the sign of synapse {place} at {float(sign[place]):+.0f}, got "
                f"the weight {float(weight[place]):g}; pass sign * weight.abs()"
            )
        return free


def check_assigned(weight: object, count: int) -> None:
    """Raise TypeError or ValueError unless ``weight`` is a tensor [count] of floats."""
    meta = isinstance(weight, Tensor) and weight.is_meta
    tensors.tensor("weight", weight, (count,), device=torch.device("meta") if meta else None)


def with_signs(magnitudes: Tensor, sign: Tensor) -> Tensor:
    """Apply signs of -1 and +1 to magnitudes; where the sign is 0 (unknown), keep the value."""
    return torch.where(sign == 0, magnitudes, sign * magnitudes)


def magnitude(free: Tensor) -> Tensor:
    r"""Return \|v\| with a derivative of +1 at zero, so that no weight is stuck at zero."""
    return torch.where(free < 0, -free, free)
