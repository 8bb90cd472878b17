"""Wrong calls in one or all of the processes of a group, and the errors that they raise."""

import torch
from torch import distributed

from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.distributed import DistributedGraphLayer, Part, partition
from tests.sparsebrain.distributed.layers import graph_of, make
from tests.sparsebrain.distributed.pool import error_of


def refusals(group, folder):
    """The error of each wrong call, by a name; every process makes all of them."""
    rank, size = distributed.get_rank(group), distributed.get_world_size(group)
    data = graph_of("grid")
    whole = partition(data, size)
    part = whole.part(rank)
    other = partition(graph_of("coordinate"), size).part(rank)

    def layer(given=whole, **options):
        return DistributedGraphLayer(given, **{"group": group, **options})

    def seeded():
        torch.manual_seed(rank)
        return layer()

    torch.manual_seed(0)
    good = layer(bias=True, noise=0.1)
    x = torch.randn(2, good.num_nodes)
    single = GraphLayer(data)
    with_gain = GraphLayer(typed_data := _weighted(data), gain="synapse")
    backends = ["torch", "reference"]
    calls = {
        "other graph": lambda: layer(other if rank else part),
        "other part": lambda: layer(whole.part(0)),
        "other number": lambda: layer(partition(data, size + 1)),
        "no part": lambda: layer(data),
        "part missing": lambda: DistributedGraphLayer.load(folder, group=group),
        "other backend": lambda: layer(backend=backends[min(rank, 1)]),
        "other dtype": lambda: layer(dtype=torch.float64 if rank else torch.float32),
        "other options": lambda: layer(loops=1 + rank),
        "other seeds": seeded,
        "one wrong option": lambda: layer(loops=-min(rank, 1) or 1),
        "one wrong type": lambda: layer(loops="many" if rank else 1),
        "other batch": lambda: good(x[: 1 + min(rank, 1)]),
        "one wrong x": lambda: good(x[:, rank:]),
        "one gradient": lambda: good(x.clone().requires_grad_(rank > 0)),
        "other noise": lambda: good(x, generator=torch.Generator().manual_seed(rank)),
        "other activation": lambda: _changed(layer(), rank)(x),
        "wrong activation": lambda: setattr(good, "activation", "tan"),
        "pairs": lambda: layer(weight_sharing="pair"),
        "identity": lambda: layer(init="identity"),
        "constraint": lambda: layer(loops=Equilibrium(constraint="norm")),
        "dale and sources": lambda: layer(
            partition(_signed(data), size), dale=True, weight_sharing="source"
        ),
        "no layer": lambda: DistributedGraphLayer.from_layer(data, whole, group=group),
        "no partition": lambda: DistributedGraphLayer.from_layer(single, data, group=group),
        "another connectome": lambda: DistributedGraphLayer.from_layer(
            make(graph_of("coordinate"), torch.float32), whole, group=group
        ),
        "gain": lambda: DistributedGraphLayer.from_layer(
            with_gain, partition(typed_data, size), group=group
        ),
        "max": lambda: DistributedGraphLayer.from_layer(
            GraphLayer(data, aggr="max"), whole, group=group
        ),
        "checkpoint": lambda: DistributedGraphLayer.from_layer(
            GraphLayer(data, checkpoint=True), whole, group=group
        ),
        "narrow": lambda: DistributedGraphLayer.from_layer(
            GraphLayer(data, state_dtype=torch.bfloat16), whole, group=group
        ),
        "no group": lambda: layer(group="all"),
        "twice": lambda: _second_derivative(layer(), x),
    }
    found = {}
    for name, call in calls.items():
        # A call that fails in one process alone draws no noise there.
        torch.manual_seed(0)
        found[name] = error_of(call)
    # After all these errors the processes still understand each other.
    found["afterwards"] = str(list(good(x).shape) == [2, good.num_nodes])
    return found


def _changed(layer, rank):
    layer.activation = "relu" if rank else "tanh"
    return layer


def _second_derivative(layer, x):
    x = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    grad.sum().backward()


def _weighted(data):
    data = data.clone()
    data.edge_weight = torch.ones(data.num_edges)
    return data


def _signed(data):
    data = data.clone()
    data.edge_sign = torch.ones(data.num_edges)
    return data


def damaged_parts(group):
    """The errors of a part whose owners are wrong in one process."""
    rank, size = distributed.get_rank(group), distributed.get_world_size(group)
    part = partition(graph_of("grid"), size).part(rank)
    if rank == 0:
        owner = torch.where(part.is_owned, part.owner, size - 1)
        part = Part(
            rank,
            size,
            part.nodes,
            owner,
            part.data,
            part.synapse,
            num_nodes=part.num_nodes,
            num_edges=part.num_edges,
            graph=part.graph,
        )
    return error_of(lambda: DistributedGraphLayer(part, group=group))
