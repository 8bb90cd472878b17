"""The contract that every connectome satisfies: the fields of a `Data` and their format.

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
node_type          [N] int64, 0 to 10^7     population of the neuron
node_type_names    list of str              name of each population
node_sign          [N] float32 of -1, 0, 1  sign of all outgoing synapses of the neuron
names              list of N str            name of each neuron
shape              tuple of int             the lattice; its product is N
=================  =======================  ====================================================

All fields except the first two are optional. No two synapses have the same source, target and
edge_type. Generators and loaders return synapses sorted by (target, source, edge_type).

Where a synapse has a sign of -1 or +1, ``edge_weight`` may be the signed weight or its magnitude, a
count for example; :func:`signed_weights` reads both. A negative weight with the sign +1 is refused.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Batch, Data

from graphs import compiled, field_checks, memory
from graphs.ordering import canonical_order, has_parallel, survey

Index = NDArray[np.int64]


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
    """Make a `Data` in canonical order from synapses in any order, in O(N + E).

    Args:
        num_nodes: Number of neurons N.
        source: Source of each synapse [E].
        target: Target of each synapse [E].
        edge_type: Type of each synapse [E].
        edge_weight: Weight of each synapse [E].
        edge_sign: Sign of each synapse [E].
        **fields: Other fields. Arrays become tensors, floating-point ones float32 and all others
            int64. Fields that are None are left out. All others, such as ``names``, are stored
            unchanged.

    Returns:
        The connectome. Nothing is checked.
    """
    per_synapse = {"edge_type": edge_type, "edge_weight": edge_weight, "edge_sign": edge_sign}
    helpers = compiled.module()
    if helpers is not None and all(values is None for values in per_synapse.values()):
        # No field needs the permutation, which would double the memory.
        edges = helpers.sorted_edges(*compiled.plain(source, target), num_nodes)
    else:
        order = canonical_order(num_nodes, source, target, edge_type)
        edges = np.stack((source[order], target[order]))
        ordered = {name: each[order] for name, each in per_synapse.items() if each is not None}
        fields = {**ordered, **fields}
    return build_sorted(num_nodes, edges, **fields)


def build_sorted(num_nodes: int, edges: Index, **fields: Any) -> Data:
    """Make a `Data` from synapses that are already in canonical order, without a copy.

    Args:
        num_nodes: Number of neurons N.
        edges: Sources and targets [2, E].
        **fields: Other fields, as in :func:`build`.

    Returns:
        The connectome. Nothing is checked.
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
    """Return the sign of every synapse.

    Args:
        data: A connectome that keeps the contract.

    Returns:
        The ``edge_sign`` [E], or otherwise the ``node_sign`` of each source; 0 is unknown. None if
        the connectome has neither.
    """
    if "edge_sign" in data:
        sign: NDArray[np.float32] = data["edge_sign"].detach().cpu().numpy()
    elif "node_sign" in data:
        sign = data["node_sign"].detach().cpu().numpy()[data.edge_index[0].cpu().numpy()]
    else:
        return None
    return sign


def signed_weights(data: Data) -> NDArray[np.float32]:
    """Return the weight of every synapse with its sign.

    The weight is ``edge_weight``, or 1 if the connectome has none. A synapse of sign -1, by its
    ``edge_sign`` or otherwise by the ``node_sign`` of its source, has the weight -abs(edge_weight),
    so that counts of synapses with signs and signed weights give the same result. Where the sign
    is 0 (unknown) or absent, the weight is unchanged. Layers, neurons, matrices, the spectrum and
    :func:`graphs.collapse` use these weights. Takes O(N + E) time and memory.

    Args:
        data: A connectome.

    Returns:
        The weights [E] float32, in the order of ``edge_index``.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract.

    Example:
        >>> import graphs, torch
        >>> from torch_geometric.data import Data
        >>> data = Data(edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]]), num_nodes=3)
        >>> data.edge_weight = torch.tensor([5.0, 3.0, 2.0])
        >>> data.node_sign = torch.tensor([1.0, -1.0, 0.0])
        >>> graphs.signed_weights(data).tolist()
        [5.0, -3.0, 2.0]
    """
    return weights(validate(data))


def weights(data: Data) -> NDArray[np.float32]:
    """Return what :func:`signed_weights` does, of a connectome that keeps the contract.

    Args:
        data: A connectome that keeps the contract.

    Returns:
        The weights [E] float32, a copy.
    """
    if "edge_weight" in data:
        weight: NDArray[np.float32] = data["edge_weight"].detach().cpu().numpy().copy()
    else:
        weight = np.ones(data["edge_index"].shape[1], dtype=np.float32)
    sign = signs(data)
    if sign is not None:
        np.negative(weight, out=weight, where=(sign < 0) & (weight > 0))
    return weight


class CheckedEdges(NamedTuple):
    """The edges of a connectome that keeps the contract, with facts found while checking them.

    Attributes:
        num_nodes: Number of neurons.
        edges: Sources and targets [2, E] on the CPU.
        rising: Whether (target, source) rises from edge to edge, so that none are parallel.
        self_loops: Number of self-loops.
    """

    num_nodes: int
    edges: Index
    rising: bool
    self_loops: int


def validate(data: Data) -> Data:
    """Check that a connectome keeps the contract, and return it.

    Synapses may be in any order. Takes O(N + E) time and memory.

    Args:
        data: One connectome. It is not changed. Fields outside the contract are ignored.

    Returns:
        The same object, so that calls can be chained.

    Raises:
        TypeError: `data` is not a `Data`, or a field has another type or dtype.
        ValueError: A field has another shape, or values that are out of range or not finite; or two
            synapses have the same source, target and edge_type; or a weight is negative and its
            sign +1; or there are more neurons than fit into memory.

    Example:
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
set data.edge_weight = data.edge_weight.nan_to_num()
    """
    checked(data)
    return data


def validate_as(name: str, data: Data) -> Data:
    """Check a connectome as :func:`validate` does, in a function that takes several of them.

    Args:
        name: Name of the argument, which goes before the message of an error.
        data: One connectome.

    Returns:
        The same object.

    Raises:
        TypeError: As :func:`validate`.
        ValueError: As :func:`validate`.
    """
    try:
        return validate(data)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error


def checked(data: Data) -> CheckedEdges:
    """Check a connectome as :func:`validate` does, and return its edges."""
    if not isinstance(data, Data):
        raise TypeError(
            f"data: expected a torch_geometric.data.Data, got {type(data).__name__}; pass "
            "Data(edge_index=edge_index, num_nodes=N), or use a loader such as "
            "graphs.from_networkx(graph) or graphs.from_scipy(matrix)"
        )
    if isinstance(data, Batch):
        raise TypeError(
            f"data: expected one connectome, got a Batch of {data.num_graphs}; pass batch[0], or "
            "each of batch.to_data_list()"
        )
    fields = set(data.keys())
    num_nodes = field_checks.check_num_nodes(data)
    checked_edges = _check_edge_index(data, fields, num_nodes)
    field_checks.check_node_fields(data, fields, num_nodes)
    field_checks.check_edge_fields(data, fields)
    _check_weights_and_signs(data)
    if not checked_edges.rising:
        _check_duplicates(data, num_nodes, checked_edges.edges)
    return checked_edges


def _check_edge_index(data: Data, fields: set[str], neurons: int) -> CheckedEdges:
    if "edge_index" not in fields:
        raise ValueError(
            "edge_index is missing; set data.edge_index = torch.stack([source, target])"
        )
    edge_index = field_checks.check_tensor(data, "edge_index", torch.int64, (2, "E"))
    edges = edge_index.cpu().numpy()
    at, rising, self_loops = survey(edges[0], edges[1], neurons)
    if at is not None:
        source, target = edge_index[:, at].tolist()
        needed = max(source, target) + 1
        if min(source, target) < 0:
            fix = (
                "drop the negative ones: set data.edge_index = "
                "data.edge_index[:, (data.edge_index >= 0).all(dim=0)]"
            )
        elif memory.fits(needed):
            fix = f"set data.num_nodes = {needed} or more"
        else:
            fix = (
                "number the neurons from 0: set ids, data.edge_index = "
                "data.edge_index.unique(return_inverse=True) and data.num_nodes = len(ids)"
            )
        raise ValueError(
            f"edge_index must hold neurons in [0, {neurons}), got the synapse "
            f"{source} -> {target} at position {at}; {fix}"
        )
    return CheckedEdges(neurons, edges, rising, self_loops)


def _check_weights_and_signs(data: Data) -> None:
    if "edge_weight" not in data:
        return
    weight = data["edge_weight"].detach()
    if not bool((weight < 0).any()):
        return
    sign = signs(data)
    if sign is None:
        return
    at = np.flatnonzero((weight.cpu().numpy() < 0) & (sign > 0))
    if at.size:
        field = "edge_sign" if "edge_sign" in data else "node_sign"
        raise ValueError(
            f"edge_weight must not be negative where {field} is +1, got {weight[at[0]]:g} at "
            f"position {at[0]}; set data.edge_weight = data.edge_weight.abs() if the signs are "
            f"right, or del data.{field} if the weights are"
        )


def _check_duplicates(data: Data, num_nodes: int, edges: Index) -> None:
    source, target = edges
    # In the order of (source, target), in which PyG sorts, equal synapses are neighbors as well.
    if survey(target, source, num_nodes).rising or not has_parallel(source, target, num_nodes):
        return
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
            "set different data.edge_type for them"
            if "edge_type" in data
            else "set data.edge_type to tell them apart, or add them up with "
            "torch_geometric.transforms.RemoveDuplicatedEdges()(data)"
        )
        raise ValueError(
            "edge_index: no two synapses may have the same source, target and edge_type, got "
            f"{source[first]} -> {target[first]} at positions {first} and {second}; {fix}"
        )
