"""Checks of a layer's inputs: states of its shape and dtype, and PyG batches of its connectome."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor
from torch_geometric.data.data import BaseData

from graphs import tensors
from sparsebrain import kernels
from sparsebrain.kernels.eager import is_like
from sparsebrain.kernels.structure import Structure, plain_tensor


def admit(x: Tensor, name: str, weight: Tensor, num_nodes: int, *, node_first: bool) -> Tensor:
    """Return x for a layer, under autocast converted to the dtype of the weights.

    Args:
        x: What the caller passed.
        name: The name of the argument, for messages.
        weight: The weights of the layer, which determine the dtype and device.
        num_nodes: N.
        node_first: Whether the shape must be [B * N, C] instead of [..., N].

    Raises:
        TypeError: If x is not a dense tensor of the dtype of the weights.
        ValueError: If its shape or device is wrong, or the weights have no values.
    """
    dtype, device = weight.dtype, weight.device
    # Almost every call passes such an x.
    if type(x) is Tensor and not node_first and dtype in kernels.DTYPES and not x.is_meta:
        sizes = x.shape
        if sizes and sizes[-1] == num_nodes and is_like(x, sizes, dtype, device):
            return x
    if isinstance(x, BaseData):
        raise TypeError(
            f"{name} must be a tensor, got {type(x).__name__}; call "
            "layer(batch.x, batch.edge_index)"
        )
    if weight.is_meta:
        raise ValueError(
            "the layer's weights are on 'meta' and have no values; load them, or call "
            "layer.to_empty(device='cpu') and layer.reset_parameters()"
        )
    if dtype not in kernels.DTYPES:
        raise TypeError(
            f"the layer's weights must be float32 or float64 for {name}, got {dtype}; call "
            "layer.float(), and the model under torch.autocast for narrower other layers"
        )
    narrow = isinstance(x, Tensor) and x.dtype in (torch.float16, torch.bfloat16) and not x.is_meta
    if narrow and torch.is_autocast_enabled(x.device.type):
        # Tied weights amplify rounding errors over the loops, so a half-width state is too coarse.
        x = x.to(dtype)
    if node_first:
        shape: tensors.Shape = (f"B * {num_nodes}", "C")
        fix = "pass x.unsqueeze(-1) for one value a neuron, or call layer(x) for x [..., N]"
    else:
        shape = (..., num_nodes)
        fix = "pass one value for each neuron, or call layer(x, edge_index) for a batch of PyG"
    return tensors.tensor(name, x, shape, dtypes=(dtype,), device=device, fix=fix)


def check_start(state: Tensor, x: Tensor, *, inject: bool) -> None:
    """Raise ValueError unless loops that are driven by ``x`` can start from ``state``."""
    if not inject or state.shape != x.shape:
        raise ValueError(
            f"state needs inject=True and the shape of x {list(x.shape)}, got inject={inject} and "
            f"{list(state.shape)}; pass inject=True to the layer, or the state as x"
        )


class BatchedEdges:
    """Checks that an edge_index consists of B copies of a connectome's synapses, in its order.

    Weights are assigned to synapses by position, so another order would silently assign them to
    other synapses. The first copy is compared at every call, all copies once per tensor.
    """

    def __init__(self) -> None:
        self._known: tuple[weakref.ref[Tensor], int] | None = None

    def __getstate__(self) -> dict[str, None]:
        # A weak reference cannot be pickled and has no meaning in another process.
        return {"_known": None}

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def check(self, edge_index: Tensor, structure: Structure, rows: int) -> None:
        """Check that ``edge_index`` consists of ``rows / N`` copies of the structure's synapses.

        Raises:
            TypeError: If it is not a dense int64 tensor.
            ValueError: If it has another shape, device or content.
        """
        num_nodes, num_edges = structure.num_nodes, structure.num_edges
        tensors.tensor("edge_index", edge_index, (2, "E"), dtypes=(torch.int64,))
        if num_nodes == 0 or rows % num_nodes:
            raise ValueError(
                f"with edge_index, x must have B * {num_nodes} rows, one for each neuron of each "
                f"of B graphs, got {rows}; call layer(x) for states [..., {num_nodes}]"
            )
        copies = rows // num_nodes
        edge_index = tensors.tensor(
            "edge_index",
            edge_index,
            (2, copies * num_edges),
            dtypes=(torch.int64,),
            device=structure.device,
            fix=f"pass the batch.edge_index of {copies} copies of the layer's connectome",
        )
        if edge_index is structure.edge_index or not copies:
            return
        plain, own = plain_tensor(edge_index), structure.edge_index
        same = torch.equal(plain[:, :num_edges], own)
        if same and copies > 1 and not self._is_known(edge_index):
            offset = torch.arange(copies, device=own.device).mul_(num_nodes).view(1, -1, 1)
            same = torch.equal(plain.reshape(2, copies, num_edges), own.unsqueeze(1) + offset)
        if not same:
            raise ValueError(
                "edge_index is not that of the layer's connectome in the same order, so synapses "
                "would get other weights; batch the Data that the layer was made with, or call "
                "layer(x)"
            )
        # Inference tensors have no version counter, so later changes would go unnoticed.
        if not edge_index.is_inference():
            self._known = (weakref.ref(edge_index), edge_index._version)

    def _is_known(self, edge_index: Tensor) -> bool:
        if self._known is None or edge_index.is_inference():
            return False
        reference, version = self._known
        return reference() is edge_index and version == edge_index._version
