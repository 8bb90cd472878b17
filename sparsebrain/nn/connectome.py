"""The fields that a layer reads from a connectome, a PyG ``Data`` that keeps the contract."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphs.contract import signs, validate, weights
from sparsebrain.kernels import Structure

_TYPES_FOR_EACH = 16
_FEW = 2**16


def read_structure(connectome: Data) -> Structure:
    """Return the synapses of a connectome, after checking it with :func:`graphs.validate`.

    Raises:
        TypeError: If ``connectome`` is not a ``Data``, or a field has another type or dtype.
        ValueError: If a field breaks the contract.
    """
    if not isinstance(connectome, Data):
        raise TypeError(
            f"connectome must be a torch_geometric.data.Data, got {type(connectome).__name__}; "
            "pass Data(edge_index=edge_index, num_nodes=N), or what a function of graphs returns"
        )
    validate(connectome)
    return Structure(connectome.edge_index, int(connectome.num_nodes))


def read_shared_types(connectome: Data, option: str) -> Tensor:
    """Return ``edge_type`` [E] int64 for ``option``; ValueError if it is missing."""
    types = _read(connectome, "edge_type")
    if types is None:
        raise ValueError(
            f"{option}='type' needs connectome.edge_type [E], which is missing; set it, or pass "
            f"{option}='synapse'"
        )
    _refuse_gaps(types, "edge_type")
    return types


def read_node_types(connectome: Data, option: str) -> Tensor:
    """Return ``node_type`` [N] int64 for ``option``; ValueError if it is missing."""
    populations = _read(connectome, "node_type")
    if populations is None:
        raise ValueError(
            f"{option} needs connectome.node_type [N], the population of every neuron, which is "
            "missing; set connectome.node_type to an int64 tensor [N]"
        )
    _refuse_gaps(populations, "node_type")
    return populations


def read_weights(connectome: Data, dtype: torch.dtype, *, for_gain: bool) -> Tensor:
    """Return ``edge_weight`` with its signs [E] in ``dtype``; ValueError if it is missing.

    These are the weights of :func:`graphs.signed_weights`.
    """
    missing = "edge_weight" not in connectome
    if missing and for_gain:
        raise ValueError(
            "gain needs connectome.edge_weight, the strengths that it multiplies, which is "
            "missing; set connectome.edge_weight to a float tensor [E], of ones if none are known"
        )
    if missing:
        raise ValueError(
            "init='edge_weight' needs connectome.edge_weight, which is missing; "
            "set connectome.edge_weight to a float tensor [E], or pass init='variance'"
        )
    return torch.from_numpy(weights(connectome)).to(connectome.edge_index.device, dtype)


def read_signs(connectome: Data) -> Tensor:
    """Return the sign of every synapse [E]: -1, 0 for unknown, or +1; ValueError without signs."""
    sign = signs(connectome)
    if sign is None:
        raise ValueError(
            "dale=True needs connectome.edge_sign [E] or connectome.node_sign [N] of -1, 0 and "
            "+1; set one of them, or pass dale=False"
        )
    return torch.from_numpy(sign.copy()).to(connectome.edge_index.device)


def fingerprint(
    structure: Structure, types: Tensor | None, sign: Tensor | None, **fixed: Tensor | None
) -> Tensor:
    """Hash the synapses in their order, the shared types and the fixed signs: SHA-256, [32] uint8.

    Args:
        structure: The synapses.
        types: [E] int64, the position of each synapse's weight, or None.
        sign: The fixed signs, or None.
        fixed: Further tensors that are never learned, by name; those that are None are skipped.
    """
    digest = hashlib.sha256(str(structure.num_nodes).encode())
    signs = None if sign is None else sign.to(torch.int8)
    for part in (structure.edge_index, types, signs):
        digest.update(b"," if part is None else part.cpu().numpy().tobytes())
    for name, part in fixed.items():
        if part is not None:
            digest.update(name.encode() + part.cpu().numpy().tobytes())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


def _read(connectome: Data, name: str) -> Tensor | None:
    # A copy, so that later changes of the connectome do not change the layer.
    return connectome[name].detach().clone() if name in connectome else None


def _refuse_gaps(types: Tensor, name: str) -> None:
    if len(types) and int(types.max()) >= max(_TYPES_FOR_EACH * len(types), _FEW):
        raise ValueError(
            f"{name} goes up to {int(types.max())}, and every type up to it would have its own "
            f"value; set connectome.{name} = connectome.{name}.unique(return_inverse=True)[1]"
        )
