"""The contract that every connectome keeps: which fields a `Data` carries, and in what form.

=================  =======================  ====================================================
field              shape, dtype             meaning
=================  =======================  ====================================================
edge_index         [2, E] int64             row 0 source, row 1 target of each synapse
num_nodes          int                      number of neurons N, set explicitly
pos                [N, D] float32           coordinates, D = 1, 2, 3
edge_weight        [E] float32              measured or initial strength
edge_type          [E] int64, >= 0          synapses of one type may share a weight
edge_type_names    list of str              name of each type of synapse
edge_sign          [E] float32 of -1, 0, 1  inhibitory, unknown or excitatory synapse
node_type          [N] int64, >= 0          population of the neuron
node_type_names    list of str              name of each population
node_sign          [N] float32 of -1, 0, 1  sign of all synapses that the neuron sends
names              list of N str            name of each neuron
shape              tuple of int             the lattice; its product is N
=================  =======================  ====================================================

All but the first two are optional. No two synapses share source, target and edge_type.
Generators and loaders return synapses sorted by (target, source, edge_type).
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch, Data

from graphs import arguments, compiled
from graphs.ordering import canonical_order, survey

Index = NDArray[np.int64]

_SIGNS = "data.{name} = data.{name}.nan_to_num().sign()"


def build(
    num_nodes: int,
    source: Index,
    target: Index,
    *,
    edge_type: Index | None = None,
    edge_weight: NDArray[np.float32] | None = None,
    edge_sign: NDArray[np.float32] | None = None,
    **fields: Any,
) -> Data:
    """Fill a `Data` in canonical order from synapses in any order, in O(N + E).

    Arrays among `fields` become tensors (floating ones float32), fields that are None are left
    out, the rest (names, shape) is stored as it is.
    """
    per_synapse = {"edge_type": edge_type, "edge_weight": edge_weight, "edge_sign": edge_sign}
    helpers = compiled.module()
    if helpers is not None and all(values is None for values in per_synapse.values()):
        # Without a permutation, which would take as much memory again, and nobody else needs it.
        edges = helpers.sorted_edges(*compiled.plain(source, target), num_nodes)
    else:
        order = canonical_order(num_nodes, source, target, edge_type)
        edges = np.stack((source[order], target[order]))
        ordered = {name: each[order] for name, each in per_synapse.items() if each is not None}
        fields = {**ordered, **fields}
    return build_sorted(num_nodes, edges, **fields)


def build_sorted(num_nodes: int, edges: Index, **fields: Any) -> Data:
    """Fill a `Data` from synapses [2, E] that stand in canonical order already, without a copy.

    `fields` are those of :func:`build`.
    """
    data = Data(edge_index=torch.from_numpy(edges), num_nodes=num_nodes)
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            dtype = np.float32 if np.issubdtype(value.dtype, np.floating) else np.int64
            data[name] = torch.from_numpy(np.ascontiguousarray(value, dtype=dtype))
        elif value is not None:
            data[name] = value
    return data


def signs(data: Data) -> NDArray[np.float32] | None:
    """Return the sign of every synapse [E]: its `edge_sign`, or else the `node_sign` of its source.

    0 is unknown. None where a connectome that keeps the contract has neither.
    """
    if "edge_sign" in data:
        sign: NDArray[np.float32] = data["edge_sign"].detach().cpu().numpy()
    elif "node_sign" in data:
        sign = data["node_sign"].detach().cpu().numpy()[data.edge_index[0].cpu().numpy()]
    else:
        return None
    return sign


class CheckedEdges(NamedTuple):
    """The edges of a connectome that keeps the contract, with facts found while checking them.

    Attributes:
        num_nodes: The number of neurons.
        edges: Sources and targets [2, E] on the CPU.
        rising: Whether (target, source) rises from edge to edge, so that none are parallel.
        self_loops: The number of self-loops.
    """

    num_nodes: int
    edges: Index
    rising: bool
    self_loops: int


def validate(data: Data) -> Data:
    """Check that a connectome keeps the contract, and return it.

    Parameters
    ----------
    data : torch_geometric.data.Data
        One connectome. It is read, never changed; fields outside the contract are ignored.

    Returns
    -------
    torch_geometric.data.Data
        The same object, so that calls chain.

    Raises
    ------
    TypeError
        If `data` is no `Data`, or a field has another type or dtype.
    ValueError
        If a field has another shape, or values out of range, infinite or NaN, or if two synapses
        have the same source, target and edge_type.

    Notes
    -----
    Synapses may stand in any order. O(N + E) time and memory.

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.data import Batch, Data
    >>> import graphs
    >>> data = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
    >>> graphs.validate(data) is data
    True
    >>> data.edge_weight = torch.tensor([1.0, float("nan")])
    >>> graphs.validate(data)
    Traceback (most recent call last):
        ...
    ValueError: edge_weight must be finite, got nan at position 1; \
data.edge_weight = data.edge_weight.nan_to_num()
    """
    checked(data)
    return data


def checked(data: Data) -> CheckedEdges:
    """Check a connectome as :func:`validate` does, and return its edges."""
    if not isinstance(data, Data):
        raise TypeError(
            f"expected a torch_geometric.data.Data, got {type(data).__name__}; pass "
            "Data(edge_index=edge_index, num_nodes=N), or use a loader such as "
            "graphs.from_networkx(graph) or graphs.from_scipy(matrix)"
        )
    if isinstance(data, Batch):
        raise TypeError(
            f"expected one connectome, got a Batch of {data.num_graphs}; pass batch[0], or each of "
            "batch.to_data_list()"
        )
    fields = set(data.keys())
    num_nodes = _check_num_nodes(data, fields)
    checked_edges = _check_edge_index(data, fields, num_nodes)
    _check_node_fields(data, fields, num_nodes)
    _check_edge_fields(data, fields)
    if not checked_edges.rising:
        _check_duplicates(data, num_nodes, checked_edges.edges)
    return checked_edges


def _check_num_nodes(data: Data, fields: set[str]) -> int:
    # Without it PyG guesses from edge_index, and silently loses isolated neurons at the end.
    if fields.isdisjoint(("num_nodes", "pos", "x")):
        raise ValueError("num_nodes is missing; set data.num_nodes = N, the number of neurons")
    # The property would add up a bool to an int.
    stored = data.get("num_nodes")
    neurons = data.num_nodes if stored is None else stored
    if isinstance(neurons, bool) or not isinstance(neurons, int):
        raise TypeError(
            f"num_nodes must be an int, got {neurons!r} of type {type(neurons).__name__}; "
            "set data.num_nodes = int(N)"
        )
    if neurons < 0:
        raise ValueError(f"num_nodes must be >= 0, got {neurons}; set data.num_nodes = N")
    if neurons > arguments.MOST:
        raise ValueError(
            f"num_nodes must be at most {arguments.MOST}, got {neurons}; set data.num_nodes = N"
        )
    return neurons


def _check_tensor(data: Data, name: str, dtype: torch.dtype, size: tuple[int | str, ...]) -> Tensor:
    value = data[name]
    wanted = f"{name} must be a {str(dtype).removeprefix('torch.')} tensor of shape {_text(size)}"
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{wanted}, got {type(value).__name__}; data.{name} = torch.as_tensor(data.{name})"
        )
    if value.layout != torch.strided:
        raise TypeError(f"{wanted}, got the layout {value.layout}; pass a dense tensor")
    fits = value.dim() == len(size) and all(
        isinstance(want, str) or got == want for got, want in zip(value.shape, size, strict=True)
    )
    if not fits:
        raise ValueError(f"{wanted}, got {_text(tuple(value.shape))}; {_SHAPE_FIXES[name]}")
    if value.dtype != dtype:
        cast = "long" if dtype == torch.int64 else "float"
        raise TypeError(f"{wanted}, got {value.dtype}; data.{name} = data.{name}.{cast}()")
    return value.detach()


_SHAPE_FIXES = {
    "edge_index": "pass torch.stack([source, target])",
    "pos": "give every neuron 1, 2 or 3 coordinates, torch.stack([x, y], dim=1)",
    "edge_weight": "give one weight per synapse, data.edge_weight.flatten()",
    "edge_type": "give one type per synapse, data.edge_type.flatten()",
    "edge_sign": "give one sign per synapse, data.edge_sign.flatten()",
    "node_type": "give one type per neuron, data.node_type.flatten()",
    "node_sign": "give one sign per neuron, data.node_sign.flatten()",
}


def _text(size: tuple[int | str, ...]) -> str:
    return f"[{', '.join(map(str, size))}]"


def _first(bad: Tensor) -> int | None:
    """Position of the first True, or None."""
    return int(bad.nonzero()[0]) if bad.any() else None


def _check_edge_index(data: Data, fields: set[str], neurons: int) -> CheckedEdges:
    if "edge_index" not in fields:
        raise ValueError(
            "edge_index is missing; set data.edge_index = torch.stack([source, target])"
        )
    edge_index = _check_tensor(data, "edge_index", torch.int64, (2, "E"))
    edges = edge_index.cpu().numpy()
    at, rising, self_loops = survey(edges[0], edges[1], neurons)
    if at is not None:
        source, target = edge_index[:, at].tolist()
        fix = (
            "drop negative ones, data.edge_index[:, (data.edge_index >= 0).all(dim=0)]"
            if min(source, target) < 0
            else f"set data.num_nodes = {max(source, target) + 1} or more"
        )
        raise ValueError(
            f"edge_index must hold neurons in [0, {neurons}), got the synapse "
            f"{source} -> {target} at position {at}; {fix}"
        )
    return CheckedEdges(neurons, edges, rising, self_loops)


def _check_finite(name: str, values: Tensor) -> None:
    # A sum of finite ones may still overflow, one of others is never finite.
    if math.isfinite(values.sum()):
        return
    finite = values.isfinite()
    if not finite.all():
        at = _first(~finite.reshape(len(values), -1).all(1))
        value = values[at].tolist()
        raise ValueError(
            f"{name} must be finite, got {value} at position {at}; "
            f"data.{name} = data.{name}.nan_to_num()"
        )


def _check_signs(name: str, values: Tensor) -> None:
    at = _first((values != 1) & (values != -1) & (values != 0))
    if at is not None:
        raise ValueError(
            f"{name} must be -1, 0 (unknown) or +1, got {values[at].item()} at position {at}; "
            + _SIGNS.format(name=name)
        )


def _check_types(name: str, values: Tensor) -> None:
    at = _first(values < 0)
    if at is not None:
        raise ValueError(
            f"{name} must be >= 0, got {values[at].item()} at position {at}; "
            f"data.{name} = data.{name}.unique(return_inverse=True)[1]"
        )


def _check_edge_fields(data: Data, fields: set[str]) -> None:
    synapses = data.edge_index.shape[1]
    if "edge_weight" in fields:
        weight = _check_tensor(data, "edge_weight", torch.float32, (synapses,))
        _check_finite("edge_weight", weight)
    if "edge_type" in fields:
        _check_types("edge_type", _check_tensor(data, "edge_type", torch.int64, (synapses,)))
    if "edge_sign" in fields:
        _check_signs("edge_sign", _check_tensor(data, "edge_sign", torch.float32, (synapses,)))
    if "edge_type_names" in fields:
        _check_type_names(data, fields, "edge_type", "types of synapses")


def _check_node_fields(data: Data, fields: set[str], neurons: int) -> None:
    if "pos" in fields:
        pos = _check_tensor(data, "pos", torch.float32, (neurons, "D"))
        if pos.shape[1] not in (1, 2, 3):
            raise ValueError(
                f"pos must have 1, 2 or 3 coordinates, got {pos.shape[1]}; "
                "project it, data.pos = data.pos[:, :3]"
            )
        _check_finite("pos", pos)
    if "node_sign" in fields:
        _check_signs("node_sign", _check_tensor(data, "node_sign", torch.float32, (neurons,)))
    if "node_type" in fields:
        _check_types("node_type", _check_tensor(data, "node_type", torch.int64, (neurons,)))
    if "node_type_names" in fields:
        _check_type_names(data, fields, "node_type", "populations")
    if "names" in fields:
        names = _check_strings("names", data["names"])
        if len(names) != neurons:
            raise ValueError(
                f"names must have one str for each of the {neurons} neurons, got {len(names)}; "
                "data.names = [str(neuron) for neuron in range(data.num_nodes)]"
            )
    if "shape" in fields:
        _check_shape(data["shape"], neurons)


def _check_type_names(data: Data, fields: set[str], field: str, what: str) -> None:
    names = _check_strings(f"{field}_names", data[f"{field}_names"])
    if field not in fields:
        raise ValueError(
            f"{field}_names needs {field}; set data.{field}, or del data.{field}_names"
        )
    used = int(data[field].max()) + 1 if data[field].numel() else 0
    if len(names) < used:
        raise ValueError(
            f"{field}_names must name all {used} {what}, got {len(names)}; "
            f"data.{field}_names = [str(kind) for kind in range({used})]"
        )


def _check_strings(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        got = type(value).__name__
        if isinstance(value, list):
            odd = next(each for each in value if not isinstance(each, str))
            got = f"a list that holds {odd!r} of type {type(odd).__name__}"
        raise TypeError(
            f"{name} must be a list of str, got {got}; "
            f"data.{name} = [str(each) for each in data.{name}]"
        )
    return value


def _check_shape(shape: Any, neurons: int) -> None:
    # PyG's clone() and to() turn tuples into lists.
    if not isinstance(shape, tuple | list) or not all(type(side) is int for side in shape):
        raise TypeError(
            f"shape must be a tuple of int, got {shape!r} of type {type(shape).__name__}; "
            "data.shape = tuple(int(side) for side in data.shape)"
        )
    if any(side < 0 for side in shape) or math.prod(shape) != neurons:
        raise ValueError(
            f"shape must have the product num_nodes = {neurons}, got {tuple(shape)} with the "
            f"product {math.prod(shape)}; del data.shape, or set the lattice's shape"
        )


def _check_duplicates(data: Data, num_nodes: int, edges: Index) -> None:
    source, target = edges
    keys = [source, target]
    if "edge_type" in data:
        keys.append(data["edge_type"].detach().cpu().numpy())
    order = canonical_order(num_nodes, *keys)
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for key in keys:
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    at = np.flatnonzero(same)
    if at.size:
        first, second = sorted((int(order[at[0]]), int(order[at[0] + 1])))
        fix = (
            "give them different edge_type"
            if "edge_type" in data
            else "tell them apart by edge_type, or add them up with "
            "torch_geometric.transforms.RemoveDuplicatedEdges()(data)"
        )
        raise ValueError(
            f"no two synapses may have the same source, target and edge_type, got "
            f"{source[first]} -> {target[first]} at positions {first} and {second}; {fix}"
        )
