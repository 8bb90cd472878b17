"""Fixed strengths with learned gains, as in models of measured connectomes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparsebrain.nn.dale import check_assigned, magnitude
from sparsebrain.nn.fixed import Fixed
from sparsebrain.nn.sharing import value_of_groups

# Relative to the largest weight, far above the rounding of float32.
_ROUNDING = 1e-5


class Gain(Fixed):
    r"""Parametrize weights as :math:`w_e = c_e g_{k(e)}`: fixed strengths c times gains g.

    In a model of the fly's visual system c is the number of synapses with the sign of the source's
    cell type, and the gain g >= 0 is shared by all synapses from one cell type to another:
    J. K. Lappalainen et al., "Connectome-constrained networks predict neural activity across the
    fly visual system", Nature 634 (2024) 1132-1140.

    Args:
        strength: c [E].
        groups: k [E] int64, the gain of every synapse; None for one each.
        count: The number of gains.
        sign: [E] of -1, 0 and +1, the signs that weights keep (Dale's law). The gain is then a
            magnitude :math:`|v|`, so that no weight leaves the sign of c; where the sign is
            unknown, 0, the gain is free. None leaves every gain free.
        shared_by: The name of the groups, for ``__repr__``.

    The derivative of \|v\| at zero is defined as +1.

    Example:
        >>> import torch
        >>> groups = torch.tensor([0, 0, 1])
        >>> signs = torch.tensor([1.0, 1.0, -1.0])
        >>> gain = Gain(torch.tensor([3.0, 1.0, -2.0]), groups, 2, sign=signs)
        >>> gain(torch.tensor([0.5, -1.0]))
        tensor([ 1.5000,  0.5000, -2.0000])
        >>> gain.right_inverse(torch.tensor([6.0, 2.0, -1.0]))
        tensor([2.0000, 0.5000])
    """

    def __init__(
        self,
        strength: Tensor,
        groups: Tensor | None,
        count: int,
        *,
        sign: Tensor | None = None,
        shared_by: str = "synapse",
    ) -> None:
        super().__init__(strength)
        self.groups = groups
        self.count = count
        self.shared_by = shared_by
        self.keeps_sign = sign is not None
        self.free = None if sign is None else self._free_gains(sign == 0)

    def forward(self, free: Tensor) -> Tensor:
        """Return the weights [E] for a free parameter with one value per gain."""
        gain = self.gain_of(free)
        return self.value.to(free.device) * self._per_synapse(gain)

    def gain_of(self, free: Tensor) -> Tensor:
        """Return the gains g for a free parameter."""
        if not self.keeps_sign:
            return free
        kept = magnitude(free)
        return kept if self.free is None else torch.where(self.free.to(free.device), free, kept)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the gains for weights [E]; 1 where all strengths of a group are zero.

        Raises:
            TypeError: If ``weight`` is not a dense tensor of floats.
            ValueError: If no gains give these weights.
        """
        check_assigned(weight, len(self.value))
        if weight.is_meta:
            return weight.new_empty(self.count)
        if not weight.numel():
            return weight.new_ones(self.count)
        strength = self.value.to(weight.device)
        # Divided by the largest of its group, no square of a strength overflows or underflows;
        # division by a power of two does not round.
        exponent = torch.frexp(self._largest(strength.double().abs())).exponent
        scale = torch.ldexp(torch.ones_like(exponent, dtype=torch.float64), exponent)
        share = strength / self._per_synapse(scale)
        power = self._sums(share * share)
        gain = torch.where(power > 0, self._sums(share * weight) / power / scale, 1)
        gain = gain.to(weight.dtype)
        error = (strength * self._per_synapse(gain) - weight).abs()
        if not bool((error <= _ROUNDING * weight.abs().max()).all()):
            raise ValueError(
                "with gain a weight is its fixed strength times the gain of its group, and no "
                "gains give this weight; pass layer.weight times one factor for each gain"
            )
        wrong = gain < 0
        if self.free is not None:
            wrong &= ~self.free.to(wrong.device)
        if self.keeps_sign and bool(wrong.any()):
            place = int(wrong.nonzero()[0])
            raise ValueError(
                f"dale=True keeps gains at 0 or more, but gain {place} would be "
                f"{float(gain[place]):g}; pass a weight with the signs of the strengths"
            )
        return gain

    def freedom(self) -> Tensor:
        """Return which gains may be negative, [count] bool."""
        if self.free is not None:
            return self.free
        return torch.full((self.count,), not self.keeps_sign, device=self.value.device)

    def _free_gains(self, unknown: Tensor) -> Tensor | None:
        """Return which gains belong to synapses of unknown sign, [count] bool, or None."""
        if not bool(unknown.any()):
            return None
        if self.groups is None:
            return unknown
        return value_of_groups(
            unknown,
            self.groups,
            self.count,
            "a gain cannot be shared by synapses of known and of unknown sign (0); pass "
            "gain='synapse', or set all signs of a group",
        )

    def _per_synapse(self, values: Tensor) -> Tensor:
        return values if self.groups is None else values.index_select(0, self.groups)

    def _largest(self, values: Tensor) -> Tensor:
        if self.groups is None:
            return values
        start = values.new_zeros(self.count)
        return start.scatter_reduce(0, self.groups, values, "amax")

    def _sums(self, values: Tensor) -> Tensor:
        if self.groups is None:
            return values
        return values.new_zeros(self.count).index_add(0, self.groups, values)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Gain:
        super()._apply(fn, recurse)
        for name in ("groups", "free"):
            value = getattr(self, name)
            setattr(self, name, None if value is None else value.to(self.value.device))
        return self
