"""Weights under which every loop is a contraction, whatever an optimizer does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain.equilibrium.derivatives import differentiated_once
from sparsebrain.equilibrium.norms import Size, norm_bound, perron_bound
from sparsebrain.kernels import Structure
from sparsebrain.kernels.checks import check_structure

# Rounding of float32 may lift a weight that was set by so much.
_SLACK = 1e-4


class Contraction(nn.Module):
    r"""Parametrise weights as :math:`w = v \min(1, c / r(v))`, so that :math:`r(w) \le c`.

    With "norm", r bounds :math:`\|W\|_2` from above: a loop then shortens the Euclidean distance of
    two states by the factor c Lip(f) or more. It holds up to a chance of 1e-9 in the choice of one
    vector, see :func:`sparsebrain.equilibrium.norms.norm_bound`. With "perron", r bounds
    :math:`\rho(|W|)`, for certain: a loop shortens a weighted maximum of the distances, for
    :math:`|f(a) - f(b)| \le \mathrm{Lip}(f) |a - b|` passes through :math:`|W|` alone. "perron" is
    the weaker demand where there are few cycles, and the same for weights of one sign and symmetric
    synapses; "norm" is for weights of mixed signs, which :math:`|W|` makes larger than they act.

    A leak a keeps both: with A = diag(a), 0 < a <= 1, and c Lip(f) < 1, a leaky loop shortens the
    weighted maximum by 1 - a (1 - c Lip(f)) at every neuron, and the Euclidean distance weighted by
    1 / a. For if f moves a difference d by u, \|d + u\| <= c Lip(f) \|d\| gives 2 d^T u <= -(1 -
    (c Lip(f))^2) d^T d - u^T u, so that (d + A u)^T A^-1 (d + A u) = d^T A^-1 d + 2 d^T u + u^T A u
    is less than d^T A^-1 d.

    Args:
        structure: the synapses.
        kind: "norm" or "perron".
        most: c, more than 0.
        types: [E] int64, the weight of each synapse where weights are shared.

    The derivative of r is that of the norm or the radius itself.

    Example:
        >>> import torch
        >>> from sparsebrain.equilibrium.bounds import Contraction
        >>> from sparsebrain.kernels import Structure
        >>> ring = Structure(torch.tensor([[0, 1], [1, 0]]), num_nodes=2)
        >>> Contraction(ring, "perron", 0.5)(torch.tensor([1.0, -1.0]))
        tensor([ 0.5000, -0.5000])
    """

    def __init__(
        self, structure: Structure, kind: str, most: float, types: Tensor | None = None
    ) -> None:
        super().__init__()
        check_structure(structure)
        self.structure = structure
        self.kind = arguments.option("kind", kind, ("norm", "perron"))
        self.most = arguments.real("most", most, positive=True)
        if types is not None:
            tensors.tensor("types", types, (structure.num_edges,), dtypes=(torch.int64,))
        self.types = types

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, free: Tensor) -> Tensor:
        """The weight for a free parameter of the same shape."""
        if free.is_meta:
            return free
        synapses = self._per_synapse(free)
        size = self._size(synapses, vectors=torch.is_grad_enabled() and free.requires_grad)
        bound = _Bound.apply(synapses, size, self.structure.edge_index, self.kind == "perron")
        return free * (self.most / bound.clamp_min(self.most))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The free parameter for a weight; ValueError where the weight is too large."""
        if weight.is_meta:
            return weight
        scale = self.scale_of(weight)
        if not scale > 1 - _SLACK:
            raise ValueError(
                f"constraint={self.kind!r} keeps this size of the weights at most at "
                f"{self.most:.4g}, but it would be {self.most / scale:.4g}; "
                f"assign {scale * (1 - _SLACK):.4g} * weight."
            )
        return weight

    def scale_of(self, weight: Tensor) -> float:
        """The factor, 1 or less, by which a weight has to be multiplied."""
        size = self._size(self._per_synapse(weight).detach(), vectors=False)
        return float((self.most / size.bound).clamp_max(1))

    def _per_synapse(self, weight: Tensor) -> Tensor:
        # No buffers, see the layer: they come to where the weights are when these are used.
        self.structure = self.structure.to(weight.device)
        self.types = None if self.types is None else self.types.to(weight.device)
        return weight if self.types is None else weight.index_select(0, self.types)

    def _size(self, synapses: Tensor, *, vectors: bool) -> Size:
        if self.kind == "norm":
            return norm_bound(self.structure, synapses)
        return perron_bound(self.structure, synapses, vectors=vectors)


class _Bound(torch.autograd.Function):
    """A bound as a function of the weights [E], with the derivative that its vectors give."""

    @staticmethod
    def forward(
        ctx: Any,
        synapses: Tensor,
        size: Size,
        edge_index: Tensor,
        magnitude: bool,
    ) -> Tensor:
        source, target = edge_index
        slope = (size.left[target] * size.right[source]).to(synapses.dtype)
        ctx.save_for_backward(slope * synapses.sign() if magnitude else slope, synapses)
        return size.bound.to(synapses.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        slope, synapses = ctx.saved_tensors
        with torch.no_grad():
            found = grad * slope
        return differentiated_once(found, synapses, "use constraint=None"), None, None, None
