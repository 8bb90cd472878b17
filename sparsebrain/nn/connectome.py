"""What the layer reads of a connectome: any PyG ``Data`` with an ``edge_index``, from wherever."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from sparsebrain.kernels import Structure
from sparsebrain.options import check_count

_TYPES_FOR_EACH = 16
_FEW = 2**16


def read_structure(connectome: Any) -> Structure:
    """The synapses of ``connectome``, checked.

    Raises:
        TypeError: ``connectome`` is no ``Data``, or its edge_index holds no integers.
        ValueError: it has no edge_index or a wrong one, or two synapses are the same.
    """
    edge_index = getattr(connectome, "edge_index", None)
    if isinstance(connectome, Tensor) or not hasattr(connectome, "num_nodes"):
        raise TypeError(
            f"connectome must be a torch_geometric.data.Data, got {type(connectome).__name__}; "
            "pass Data(edge_index=edge_index, num_nodes=num_nodes)."
        )
    if edge_index is None:
        raise ValueError(
            "connectome has no edge_index; pass Data(edge_index=edge_index, num_nodes=num_nodes)."
        )
    num_nodes = check_count("connectome.num_nodes", connectome.num_nodes, least=0)
    structure = Structure(edge_index, num_nodes)
    _refuse_duplicates(structure, read_types(connectome, structure.num_edges))
    return structure


def read_types(connectome: Any, num_edges: int) -> Tensor | None:
    """``edge_type`` [E] int64, or None where there is none."""
    return _read(connectome, "edge_type", num_edges, integer=True)


def read_shared_types(connectome: Any, num_edges: int, option: str) -> Tensor:
    """``edge_type`` [E] int64; ValueError, which names the ``option``, where it is absent."""
    types = read_types(connectome, num_edges)
    if types is None:
        raise ValueError(
            f"{option}='type' needs connectome.edge_type [E], which is absent; "
            f"set it, or use {option}='synapse'."
        )
    _refuse_gaps(types, "edge_type")
    return types


def read_node_types(connectome: Any, num_nodes: int, option: str) -> Tensor:
    """``node_type`` [N] int64; ValueError, which names the ``option``, where it is absent."""
    populations = _read(connectome, "node_type", num_nodes, integer=True)
    if populations is None:
        raise ValueError(
            f"{option} needs connectome.node_type [N], the population of every neuron, which is "
            "absent; set it."
        )
    _refuse_gaps(populations, "node_type")
    return populations


def read_weights(connectome: Any, num_edges: int, dtype: torch.dtype, *, for_gain: bool) -> Tensor:
    """``edge_weight`` [E] in ``dtype``; ValueError where it is absent, NaN or infinite."""
    weight = _read(connectome, "edge_weight", num_edges)
    if weight is None and for_gain:
        raise ValueError(
            "gain= needs connectome.edge_weight, the strengths that it multiplies, which is "
            "absent; set connectome.edge_weight to a float tensor [E], of ones if none are known."
        )
    if weight is None:
        raise ValueError(
            "init='edge_weight' needs connectome.edge_weight, which is absent; "
            "set connectome.edge_weight to a float tensor [E], or use init='variance'."
        )
    weight = weight.to(dtype)
    if not bool(torch.isfinite(weight).all()):
        raise ValueError(f"connectome.edge_weight is too large for {dtype}; scale it down.")
    return weight


def read_signs(connectome: Any, structure: Structure) -> Tensor:
    """The sign of every synapse [E], of ``edge_sign`` or else of its source's ``node_sign``."""
    sign = _read(connectome, "edge_sign", structure.num_edges)
    if sign is None:
        of_neuron = _read(connectome, "node_sign", structure.num_nodes)
        if of_neuron is None:
            raise ValueError(
                "dale=True needs connectome.edge_sign [E] or connectome.node_sign [N] of -1 and "
                "+1; set one of them, or use dale=False."
            )
        sign = of_neuron[structure.edge_index[0]]
    if not bool((sign.abs() == 1).all()):
        raise ValueError("edge_sign and node_sign must hold -1 and +1 only.")
    return sign


def fingerprint(
    structure: Structure, types: Tensor | None, sign: Tensor | None, **fixed: Tensor | None
) -> Tensor:
    """SHA-256 of the synapses, in their order, of shared types and fixed signs: [32] uint8.

    ``fixed`` is what else is never learned and must be the same, where there is such.
    """
    digest = hashlib.sha256(str(structure.num_nodes).encode())
    positive = None if sign is None else (sign > 0).to(torch.uint8)
    for part in (structure.edge_index, types, positive):
        digest.update(b"," if part is None else part.cpu().numpy().tobytes())
    for name, part in fixed.items():
        if part is not None:
            digest.update(name.encode() + part.cpu().numpy().tobytes())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


def _read(connectome: Any, name: str, length: int, *, integer: bool = False) -> Tensor | None:
    value = getattr(connectome, name, None)
    if value is None:
        return None
    # A copy of our own, so that changing the connectome later does not change the layer.
    value = value.detach().clone() if isinstance(value, Tensor) else torch.tensor(value)
    if value.shape != (length,):
        raise ValueError(
            f"connectome.{name} must have shape [{length}], got {list(value.shape)}; "
            "a column needs .squeeze(-1)."
        )
    if value.is_complex() or value.dtype == torch.bool or (integer and value.is_floating_point()):
        kind = "integers" if integer else "real numbers"
        raise TypeError(f"connectome.{name} must hold {kind}, got {value.dtype}.")
    if integer:
        if length and int(value.min()) < 0:
            raise ValueError(f"connectome.{name} must not be negative, got {int(value.min())}.")
        return value.long()
    if not bool(torch.isfinite(value).all()):
        raise ValueError(f"connectome.{name} holds NaN or infinite values; remove those synapses.")
    return value


def _refuse_gaps(types: Tensor, name: str) -> None:
    if len(types) and int(types.max()) >= max(_TYPES_FOR_EACH * len(types), _FEW):
        raise ValueError(
            f"{name} goes up to {int(types.max())}, and every type up to that would have a value "
            f"of its own; number them anew: {name}.unique(return_inverse=True)[1]."
        )


def _refuse_duplicates(structure: Structure, types: Tensor | None) -> None:
    if not structure.num_edges:
        return
    rows = structure.by_target
    source, target = rows.neuron.long(), torch.repeat_interleave(rows.pointer.long().diff())
    new_pair = (source[1:] != source[:-1]) | (target[1:] != target[:-1])
    pair = torch.nn.functional.pad(new_pair.long().cumsum(0), (1, 0))
    if types is None:
        key, place = pair, torch.arange(len(pair), device=pair.device)
    else:
        # Types may be any large integers; numbered anew they leave room for the pairs.
        kind = rows.arrange(types.unique(return_inverse=True)[1])
        key, place = (pair * (int(kind.max()) + 1) + kind).sort()
    same = key[1:] == key[:-1]
    if bool(same.any()):
        first = place[int(same.nonzero()[0])]
        raise ValueError(
            f"connectome holds the synapse {int(source[first])} -> {int(target[first])} more "
            f"than once{'' if types is None else ' with one edge_type'}; "
            "merge them with torch_geometric.utils.coalesce, or tell them apart by edge_type."
        )
