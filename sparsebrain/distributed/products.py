"""The product W x of a graph that is spread over processes, and its transpose."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

from sparsebrain import kernels
from sparsebrain.distributed.agreement import answering
from sparsebrain.distributed.links import Links
from sparsebrain.distributed.parts import Part
from sparsebrain.kernels import Structure


class PartProduct:
    """The synapses of a part as two matrices, so that most work needs no other process.

    Interior neurons have no source in the halo; their sums are computed while the halo travels.
    Boundary neurons have one, and are computed after it has arrived. Every sum runs over sources in
    the ascending order of their global numbers, as in the whole graph.

    Args:
        part: The part of this process.
        links: The exchange of its halo.
        device: The device of the index arrays.

    Attributes:
        interior_synapses: The synapses onto interior neurons, [ei] int64.
        boundary_synapses: The synapses onto boundary neurons, [eb] int64.
        interior_share: The share of the synapses that is computed while the halo travels.
    """

    def __init__(self, part: Part, links: Links, device: torch.device) -> None:
        source, target = part.data.edge_index
        own = part.is_owned
        row = own.cumsum(0) - 1
        is_boundary = torch.zeros(len(own), dtype=torch.bool)
        is_boundary[target[~own[source]]] = True
        late = is_boundary[target]
        interior, boundary = (~late).nonzero().squeeze(1), late.nonzero().squeeze(1)
        self.interior_synapses, self.boundary_synapses = interior.to(device), boundary.to(device)
        self.interior_share = len(interior) / max(len(source), 1)
        edges = row[part.data.edge_index[:, interior]]
        self.interior = Structure(edges, len(part.owned)).to(device)
        # Only neurons at an end of a boundary synapse, still in ascending order.
        used = part.data.edge_index[:, boundary].unique()
        edges = torch.searchsorted(used, part.data.edge_index[:, boundary])
        self.boundary = Structure(edges, len(used)).to(device)
        mine = own[used]
        # Where owned rows go, where the halo goes, and which results belong to boundary neurons.
        self.own_place = mine.nonzero().squeeze(1).to(device)
        self.own_row = row[used[mine]].to(device)
        self.halo_place = (~mine).nonzero().squeeze(1).to(device)
        self.late_place = is_boundary[used].nonzero().squeeze(1).to(device)
        self.late_row = row[used[is_boundary[used]]].to(device)
        self.links = links.to(device)

    def __call__(self, x: Tensor, weight: Tensor, backend: str) -> Tensor:
        """Return W x [n, B] for a state x [n, B] and weights [e] of the owned neurons.

        All processes call this together, forward and backward. It can be differentiated once.
        """
        result: Tensor = _Product.apply(x, weight, self, backend)
        return result

    def gathered(self, x: Tensor, halo: Tensor) -> Tensor:
        """Return the rows of all neurons that boundary synapses read."""
        rows = x.new_zeros((self.boundary.num_nodes, *x.shape[1:]))
        rows[self.own_place] = x.index_select(0, self.own_row)
        rows[self.halo_place] = halo
        return rows


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, product: PartProduct, backend: str) -> Tensor:
        x = x.contiguous()
        traveling = product.links.start(x)
        early = weight.index_select(0, product.interior_synapses)
        y = kernels.propagate(product.interior, early, x, backend=backend)
        halo = traveling.wait()
        late = weight.index_select(0, product.boundary_synapses)
        found = kernels.propagate(
            product.boundary, late, product.gathered(x, halo), backend=backend
        )
        y[product.late_row] = found.index_select(0, product.late_place)
        ctx.save_for_backward(x, weight, halo)
        ctx.product, ctx.backend = product, backend
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight, halo = ctx.saved_tensors
        product, backend = ctx.product, ctx.backend
        grad = grad.contiguous()
        of_late = grad.new_zeros((product.boundary.num_nodes, grad.size(1)))
        of_late[product.late_place] = grad.index_select(0, product.late_row)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            late = weight.index_select(0, product.boundary_synapses)
            back = kernels.backpropagate(product.boundary, late, of_late, backend=backend)
            traveling = product.links.start_back(back.index_select(0, product.halo_place))
            early = weight.index_select(0, product.interior_synapses)
            grad_x = kernels.backpropagate(product.interior, early, grad, backend=backend)
            grad_x.index_add_(0, product.own_row, back.index_select(0, product.own_place))
        if ctx.needs_input_grad[1]:
            grad_weight = torch.empty_like(weight)
            grad_weight[product.interior_synapses] = kernels.correlate(
                product.interior, grad, x, backend=backend
            )
            read = product.gathered(x, halo)
            grad_weight[product.boundary_synapses] = kernels.correlate(
                product.boundary, of_late, read, backend=backend
            )
        if grad_x is not None:
            grad_x.index_add_(0, product.links.send, traveling.wait())
        return grad_x, grad_weight, None, None


class _Fetched(torch.autograd.Function):
    """The values of halo neurons, [n] to [h]; the gradient returns to their owners."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, links: Links) -> Tensor:
        ctx.links, ctx.count = links, len(values)
        return links.exchange(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        back = ctx.links.start_back(grad).wait()
        return grad.new_zeros(ctx.count).index_add_(0, ctx.links.send, back), None


def fetch(values: Tensor, links: Links) -> Tensor:
    """Return values of the halo neurons [h], for values [n] of the owned ones of each process."""
    fetched: Tensor = _Fetched.apply(values, links)
    return fetched


class _Replicated(torch.autograd.Function):
    """The identity; the gradient is the sum over all processes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, group: distributed.ProcessGroup) -> Tensor:
        ctx.group = group
        return values.view_as(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad = grad.clone(memory_format=torch.contiguous_format)
        with answering():
            distributed.all_reduce(grad, group=ctx.group)
        return grad, None


def replicated(values: Tensor, group: distributed.ProcessGroup) -> Tensor:
    """Return values that every process holds a copy of; their gradients are summed."""
    same: Tensor = _Replicated.apply(values, group)
    return same
