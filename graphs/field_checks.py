"""Checks of the fields of a connectome, one function per kind of field.

Messages name the field and end with the assignment to ``data`` that fixes it.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments, memory, tensors

# Lists of names and arrays of counts are as long as the largest number of a population.
_MOST_POPULATIONS = 10_000_000

_SHAPE_FIXES = {
    "edge_index": "set data.edge_index = torch.stack([source, target])",
    "pos": "give every neuron 1, 2 or 3 coordinates: set data.pos = torch.stack([x, y], dim=1)",
    "edge_weight": "give one weight per synapse: set data.edge_weight = data.edge_weight.flatten()",
    "edge_type": "give one type per synapse: set data.edge_type = data.edge_type.flatten()",
    "edge_sign": "give one sign per synapse: set data.edge_sign = data.edge_sign.flatten()",
    "node_type": "give one type per neuron: set data.node_type = data.node_type.flatten()",
    "node_sign": "give one sign per neuron: set data.node_sign = data.node_sign.flatten()",
}


def check_num_nodes(data: Data) -> int:
    """Return the number of neurons.

    Args:
        data: A connectome; if it has no ``num_nodes``, the length of ``pos`` or ``x`` is used.

    Returns:
        The number of neurons N.

    Raises:
        TypeError: ``num_nodes`` is not an int.
        ValueError: ``num_nodes`` is missing, negative or too large for the memory of the machine.
    """
    neurons = data.get("num_nodes")
    if neurons is None:
        neurons = _length_of_node_field(data)
    if isinstance(neurons, bool) or not isinstance(neurons, int):
        raise TypeError(
            f"num_nodes must be an int, got {arguments.described(neurons)}; "
            "set data.num_nodes = int(N)"
        )
    if neurons < 0:
        raise ValueError(f"num_nodes must be >= 0, got {neurons}; set data.num_nodes = N")
    memory.check("num_nodes", "set data.num_nodes = N, the number of neurons", neurons=neurons)
    return neurons


def _length_of_node_field(data: Data) -> int:
    # PyG would guess from edge_index, and silently lose isolated neurons with the last numbers.
    fields = [name for name in ("pos", "x") if name in data]
    if not fields:
        raise ValueError("num_nodes is missing; set data.num_nodes = N, the number of neurons")
    for name in fields:
        value = data[name]
        if not isinstance(value, Tensor) or value.dim() == 0:
            raise TypeError(
                f"{name} must be a tensor [N, ...] if num_nodes is missing, got "
                f"{arguments.described(value)}; set data.num_nodes = N, the number of neurons"
            )
    return int(data.num_nodes)


def check_tensor(data: Data, name: str, dtype: torch.dtype, size: tensors.Shape) -> Tensor:
    """Return a field that is a dense tensor of a given dtype and shape.

    Args:
        data: A connectome that has the field.
        name: Name of the field.
        dtype: The dtype of the contract.
        size: The shape of the contract; a str means any size.

    Returns:
        The tensor, detached.

    Raises:
        TypeError: The field is not a dense tensor of this dtype, or has no values.
        ValueError: The field has another shape.
    """
    value = tensors.tensor(
        f"data.{name}", data[name], size, dtypes=(dtype,), fix=_SHAPE_FIXES[name]
    )
    return value.detach()


def _first(bad: Tensor) -> int | None:
    """Return the position of the first True, or None."""
    return int(bad.nonzero()[0]) if bad.any() else None


def check_edge_fields(data: Data, fields: set[str]) -> None:
    """Check the fields that have a value for each synapse.

    Args:
        data: A connectome whose ``edge_index`` keeps the contract.
        fields: Names of the fields of `data`.

    Raises:
        TypeError: A field has another type or dtype.
        ValueError: A field has another shape, or values that are out of range or not finite.
    """
    synapses = data["edge_index"].shape[1]
    if "edge_weight" in fields:
        weight = check_tensor(data, "edge_weight", torch.float32, (synapses,))
        _check_finite("edge_weight", weight)
    if "edge_type" in fields:
        _check_types("edge_type", check_tensor(data, "edge_type", torch.int64, (synapses,)))
    if "edge_sign" in fields:
        _check_signs("edge_sign", check_tensor(data, "edge_sign", torch.float32, (synapses,)))
    if "edge_type_names" in fields:
        _check_type_names(data, fields, "edge_type", "types of synapses")


def check_node_fields(data: Data, fields: set[str], neurons: int) -> None:
    """Check the fields that have a value for each neuron, and the lattice shape.

    Args:
        data: A connectome.
        fields: Names of the fields of `data`.
        neurons: Number of neurons N.

    Raises:
        TypeError: A field has another type or dtype.
        ValueError: A field has another shape, or values that are out of range or not finite.
    """
    if "pos" in fields:
        pos = check_tensor(data, "pos", torch.float32, (neurons, "D"))
        if pos.shape[1] not in (1, 2, 3):
            raise ValueError(
                f"pos must have 1, 2 or 3 coordinates, got {pos.shape[1]}; "
                "set data.pos = data.pos[:, :3], a projection"
            )
        _check_finite("pos", pos)
    if "node_sign" in fields:
        _check_signs("node_sign", check_tensor(data, "node_sign", torch.float32, (neurons,)))
    if "node_type" in fields:
        node_type = check_tensor(data, "node_type", torch.int64, (neurons,))
        _check_types("node_type", node_type, _MOST_POPULATIONS)
    if "node_type_names" in fields:
        _check_type_names(data, fields, "node_type", "populations")
    if "names" in fields:
        names = _check_strings("names", data["names"])
        if len(names) != neurons:
            raise ValueError(
                f"names must have one str for each of the {neurons} neurons, got {len(names)}; "
                "set data.names = [str(neuron) for neuron in range(data.num_nodes)]"
            )
    if "shape" in fields:
        _check_shape(data["shape"], neurons)


def _check_finite(name: str, values: Tensor) -> None:
    # Fast path: a finite sum means that all values are finite; finite values may still overflow.
    if math.isfinite(values.sum()):
        return
    at = _first(~values.isfinite().reshape(len(values), -1).all(1))
    if at is not None:
        raise ValueError(
            f"{name} must be finite, got {values[at].tolist()} at position {at}; "
            f"set data.{name} = data.{name}.nan_to_num()"
        )


def _check_signs(name: str, values: Tensor) -> None:
    at = _first((values != 1) & (values != -1) & (values != 0))
    if at is not None:
        raise ValueError(
            f"{name} must be -1, 0 (unknown) or +1, got {values[at].item()} at position {at}; "
            f"set data.{name} = data.{name}.nan_to_num().sign()"
        )


def _check_types(name: str, values: Tensor, most: float = math.inf) -> None:
    at = _first((values < 0) | (values > most))
    if at is not None:
        expected = ">= 0" if most == math.inf else f"from 0 to {most}"
        raise ValueError(
            f"{name} must be {expected}, got {values[at].item()} at position {at}; "
            f"set data.{name} = data.{name}.unique(return_inverse=True)[1]"
        )


def _check_type_names(data: Data, fields: set[str], field: str, what: str) -> None:
    names = _check_strings(f"{field}_names", data[f"{field}_names"])
    if field not in fields:
        raise ValueError(
            f"{field}_names needs {field}; set data.{field}, or call del data.{field}_names"
        )
    used = int(data[field].max()) + 1 if data[field].numel() else 0
    if len(names) < used:
        own = f"data.{field}"
        fix = f"{own}_names = [str(kind) for kind in range({used})]"
        if used > _MOST_POPULATIONS:
            fix = f"{own} = {own}.unique(return_inverse=True)[1], which has no gaps"
        raise ValueError(f"{field}_names must name all {used} {what}, got {len(names)}; set {fix}")


def _check_strings(name: str, value: Any) -> list[str]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    got, fix = arguments.described(value), f"{name} = ['a', 'b', ...]"
    if isinstance(value, list):
        odd = next(each for each in value if not isinstance(each, str))
        got = f"a list that holds {arguments.described(odd)}"
    if arguments.is_list(value):
        fix = f"{name} = [str(each) for each in data.{name}]"
    raise TypeError(f"{name} must be a list of str, got {got}; set data.{fix}")


def _check_shape(shape: Any, neurons: int) -> None:
    # PyG's clone() and to() turn tuples into lists.
    if not isinstance(shape, tuple | list) or not all(type(side) is int for side in shape):
        raise TypeError(
            f"shape must be a tuple of int, got {arguments.described(shape)}; "
            "set data.shape = tuple(int(side) for side in data.shape)"
        )
    product = math.prod(shape)
    if any(side < 0 for side in shape) or product != neurons:
        raise ValueError(
            f"shape must have the product num_nodes = {neurons}, got "
            f"{arguments.shortened(tuple(shape))} with the product "
            f"{arguments.shortened(product)}; call del data.shape, or set the lattice's shape"
        )
