"""Layers that give values to a subset of the neurons, and that read one."""

from __future__ import annotations

from torch import Tensor

from sparsebrain.nn.fixed import Fixed


class PlaceNeurons(Fixed):
    """Assigns values [..., K] to K of N neurons and zero to the others: [..., N]."""

    def __init__(self, neurons: Tensor, num_nodes: int) -> None:
        super().__init__(neurons)
        self.num_nodes = num_nodes

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of all neurons."""
        return x.new_zeros(*x.shape[:-1], self.num_nodes).index_copy(-1, self.value, x)

    def extra_repr(self) -> str:
        """Return K and N, for ``__repr__``."""
        return f"{len(self.value)} of {self.num_nodes} neurons"


class ReadNeurons(Fixed):
    """Reads K of N neurons: [..., N] -> [..., K]."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of the K neurons."""
        return x.index_select(-1, self.value)

    def extra_repr(self) -> str:
        """Return K, for ``__repr__``."""
        return f"{len(self.value)} neurons"
