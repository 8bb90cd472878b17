"""Constraints on weights that make every loop a contraction under any optimizer."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain.equilibrium.derivatives import differentiated_once
from sparsebrain.equilibrium.norms import Size, norm_bound, perron_bound
from sparsebrain.kernels import Structure
from sparsebrain.kernels.checks import check_structure
from sparsebrain.kernels.transforms import is_transformed

# Rounding in float32 can enlarge an assigned weight by this share.
_SLACK = 1e-4


class _Bounded(NamedTuple):
    """A bound, and copies of or references to everything that it was computed from.

    Attributes:
        weight: A copy of the weights, which no one else can write to.
        structure: The synapses.
        types: The position of each synapse's weight, or None.
        vectors: Whether ``size`` has both vectors.
        size: The bound.
    """

    weight: Tensor
    structure: Structure
    types: Tensor | None
    vectors: bool
    size: Size

    def serves(self, weight: Tensor, structure: Structure, types: Tensor | None) -> bool:
        """Return whether the bound is that of these weights, compared value by value."""
        return (
            self.structure is structure
            and self.types is types
            and self.weight.dtype == weight.dtype
            and self.weight.device == weight.device
            and torch.equal(self.weight, weight)
        )


class Contraction(nn.Module):
    r"""Parametrize weights as :math:`w = v \min(1, c / r(v))`, so that :math:`r(w) \le c`.

    With "norm", r is an upper bound of :math:`\|W\|_2`: a loop then shortens the Euclidean distance
    of two states by the factor c Lip(f) or more, up to a probability of 1e-9 in the choice of one
    vector, see :func:`sparsebrain.equilibrium.norms.norm_bound`. With "perron", r is a certain
    upper bound of :math:`\rho(|W|)`: a loop shortens a weighted maximum of the distances, since
    :math:`|f(a) - f(b)| \le \mathrm{Lip}(f) |a - b|` passes through :math:`|W|` alone. "perron" is
    the weaker constraint where there are few cycles, and the same for weights of one sign on
    symmetric synapses. "norm" is better for weights of mixed signs, for which :math:`|W|`
    overestimates.

    A loop with leak a is also a contraction: with A = diag(a), 0 < a <= 1, and c Lip(f) < 1, it
    shortens the weighted maximum by 1 - a (1 - c Lip(f)) at every neuron, and the Euclidean
    distance weighted by 1 / a. If f changes a difference d by u, \|d + u\| <= c Lip(f) \|d\|
    implies 2 d^T u <= -(1 - (c Lip(f))^2) d^T d - u^T u, so that (d + A u)^T A^-1 (d + A u) = d^T
    A^-1 d + 2 d^T u + u^T A u is less than d^T A^-1 d.

    Args:
        structure: The synapses.
        kind: "norm" or "perron".
        most: c, more than 0.
        types: [E] int64, the position of each synapse's weight if weights are shared.

    The derivative of r is that of the norm or the radius itself.

    Note:
        The last bound is kept with a copy of its weights, and computed again as soon as a weight
        differs from the copy. Any write to the weights is noticed, also through ``.data`` or by
        another thread. Calls with unchanged weights, such as those of inference, take O(E) time;
        the copy takes the memory of one more weight per synapse.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument has the wrong value or shape.

    Example:
        >>> import torch
        >>> from sparsebrain.equilibrium.bounds import Contraction
        >>> from sparsebrain.kernels import Structure
        >>> ring = Structure(torch.tensor([[0, 1], [1, 0]]), num_nodes=2)
        >>> Contraction(ring, "perron", 0.5)(torch.tensor([1.0, -1.0]))
        tensor([ 0.5000, -0.5000])
    """

    # The last bound; a layer that was pickled before this attribute existed has none.
    _kept: _Bounded | None = None

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
        """Return the weight for a free parameter of the same shape."""
        if free.is_meta:
            return free
        learns = torch.is_grad_enabled() and free.requires_grad
        size = self._size(free, vectors=learns)
        if learns:
            synapses, magnitude = self._per_synapse(free), self.kind == "perron"
            bound = _Bound.apply(synapses, size, self.structure.edge_index, magnitude)
        else:
            bound = size.bound.to(free.dtype)
        return free * (self.most / bound.clamp_min(self.most))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the free parameter for a weight; ValueError if the weight is too large."""
        if weight.is_meta:
            return weight
        scale = self.scale_of(weight)
        if not scale > 1 - _SLACK:
            raise ValueError(
                f"constraint={self.kind!r} bounds the size of the weights by {self.most:.4g}, but "
                f"it would be {self.most / scale:.4g}; pass {scale * (1 - _SLACK):.4g} * weight"
            )
        return weight

    def scale_of(self, weight: Tensor) -> float:
        """Return the factor, at most 1, that brings a weight within the constraint."""
        return float((self.most / self._size(weight, vectors=False).bound).clamp_max(1))

    def _per_synapse(self, weight: Tensor) -> Tensor:
        return weight if self.types is None else weight.index_select(0, self.types)

    def _size(self, weight: Tensor, *, vectors: bool) -> Size:
        """Return the bound of weights in the shape of the free parameter, or the kept one."""
        # These are not buffers, as in the layer; they are moved when the weights are used.
        self.structure = self.structure.to(weight.device)
        self.types = None if self.types is None else self.types.to(weight.device)
        structure, types, kept = self.structure, self.types, self._kept
        # A transform wraps its tensors, and they end with it.
        keeps = not is_transformed()
        # A version counter would not do: writes through ``.data`` do not change it.
        if (
            keeps
            and kept is not None
            and (kept.vectors or not vectors)
            and kept.serves(weight.detach(), structure, types)
        ):
            return kept.size
        # The bound is that of the copy, whatever another thread writes to the weights meanwhile.
        weight = weight.detach().clone()
        synapses = self._per_synapse(weight)
        if self.kind == "norm":
            size, vectors = norm_bound(structure, synapses), True
        else:
            size = perron_bound(structure, synapses, vectors=vectors)
        if keeps and type(weight) is Tensor:
            self._kept = _Bounded(weight, structure, types, vectors, size)
        return size

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the last bound, which a copy computes again."""
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}


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
        # A copy, because autograd writes to its output, and the bound may be kept.
        return size.bound.to(synapses.dtype, copy=True)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        slope, synapses = ctx.saved_tensors
        with torch.no_grad():
            found = grad * slope
        return differentiated_once(found, synapses, "use constraint=None"), None, None, None
