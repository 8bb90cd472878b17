"""Layers on several processes next to one layer, as the processes of the pool compute them."""

import inspect

import torch
from torch import distributed

from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.distributed import DistributedGraphLayer, partition
from tests.graphs.cases import CASES

LOOPS, BATCH = 3, 3

# The largest real connectomes of the table take seconds, and add nothing here.
TOPOLOGIES = [name for name in CASES if name not in ("fly-visual-system", "mouse-regions")]

# Options of a layer, on a graph with types, populations and signs.
OPTIONS = {
    "neurons": {"bias": True, "threshold": "neuron", "leak": "neuron", "activation": "tanh"},
    "populations": {"bias": "population", "threshold": 0.1, "leak": "population"},
    "injected": {"inject": True, "activation": "relu", "leak": 0.5},
    "noisy": {"noise": 0.3, "activation": "tanh"},
    "voltage": {"form": "voltage", "activation": "softplus", "inject": True, "leak": "neuron"},
    "function": {"activation": torch.sin},
    "types": {"weight_sharing": "type"},
    "projections": {"weight_sharing": "projection"},
    "sources": {"weight_sharing": "source", "activation": "tanh"},
    "targets": {"weight_sharing": "target"},
    "dale": {"dale": True, "activation": "tanh"},
    "dale and types": {"dale": True, "weight_sharing": "projection"},
    "measured": {"init": "edge_weight"},
    "equilibrium": {"loops": Equilibrium(tol=1e-12, max_loops=200), "activation": "tanh"},
    "anderson": {
        "loops": Equilibrium(tol=1e-12, max_loops=200, solver="anderson"),
        "activation": "tanh",
        "leak": 0.9,
    },
    "unrolled": {
        "loops": Equilibrium(tol=1e-10, max_loops=60, gradient="unrolled"),
        "activation": "tanh",
    },
    "jacobian-free": {"loops": Equilibrium(tol=1e-12, gradient="jacobian-free")},
}


def assignments(neurons, parts):
    """The methods of a partition: uneven, random and empty parts among them."""
    generator = torch.Generator().manual_seed(parts)
    uneven = (torch.rand(neurons, generator=generator) ** 3 * parts).long().clamp_max(parts - 1)
    empty = torch.full((neurons,), parts - 1)
    return {"blocks": "blocks", "rcm": "rcm", "uneven": uneven, "empty": empty}


def graph_of(name):
    """The graph of a line in the table of generators, the same in every process."""
    case = CASES[name]
    seed = {"seed": 0} if "seed" in inspect.signature(case.make).parameters else {}
    return case.make(**case.arguments | seed)


def typed():
    """A grid with populations, signs and weights."""
    data = graph_of("grid")
    generator = torch.Generator().manual_seed(1)
    data.node_type = torch.arange(data.num_nodes) % 3
    data.node_sign = torch.tensor([1.0, -1.0, 0.0])[data.node_type]
    sign = data.node_sign[data.edge_index[0]]
    size = torch.rand(data.num_edges, generator=generator)
    data.edge_weight = torch.where(sign < 0, -size, size)
    # Shuffled: weights belong to synapses in the order of the connectome.
    order = torch.randperm(data.num_edges, generator=generator)
    for name in ("edge_index", "edge_type", "edge_weight"):
        data[name] = data[name][..., order]
    return data


def differences(group, layer, spread, dtype, **call):
    """The largest differences of output, input gradient and parameters' gradients."""
    owned = spread.owned
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH, layer.num_nodes)
    x = torch.randn(shape, generator=generator, dtype=dtype, requires_grad=True)
    g = torch.randn(shape, generator=generator, dtype=dtype)
    torch.manual_seed(5)
    y = layer(x)
    (y * g).sum().backward()
    own = x.detach()[:, owned].requires_grad_()
    torch.manual_seed(5)
    z = spread(own, **call)
    assert z.shape == (BATCH, len(owned))
    (z * g[:, owned]).sum().backward()
    pairs = {"output": (z, y[:, owned]), "input": (own.grad, x.grad[:, owned])}
    at = {"synapse": spread.part.synapse, "source": owned, "target": owned}
    for name, parameter in spread.named_parameters():
        whole = dict(layer.named_parameters())[name].grad
        if "weight" in name:
            chosen = at.get(spread.weight_sharing)
            whole = whole if chosen is None else whole[chosen]
        elif "population" not in layer.learned_per.values():
            whole = None if whole is None else whole[owned]
        if whole is None or parameter.grad is None:
            assert whole is None
            assert parameter.grad is None
            continue
        pairs[name] = (parameter.grad, whole)
    return {name: _difference(one.detach(), other.detach()) for name, (one, other) in pairs.items()}


def _difference(one, other):
    """The largest difference, relative to the largest value if that is above 1."""
    assert one.shape == other.shape
    if not one.numel():
        return 0.0
    return float((one - other).abs().max() / other.abs().max().clamp_min(1))


def make(data, dtype, **options):
    torch.manual_seed(0)
    options = {"loops": LOOPS, **options}
    layer = GraphLayer(data, dtype=dtype, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            if parameter.dim() == 1 and not bool(parameter.any()):
                parameter.uniform_(0.1, 0.9)
    return layer


def compare_topologies(group, names, kinds, dtype):
    """Compare layers on graphs of the table of generators, for some kinds of partitions."""
    found = {}
    for name in names:
        data = graph_of(name)
        layer = make(data, dtype, activation="tanh", bias=True)
        size = distributed.get_world_size(group)
        methods = assignments(data.num_nodes, size)
        for kind in kinds:
            spread = DistributedGraphLayer.from_layer(
                layer, partition(data, size, methods[kind]), group=group
            )
            layer.zero_grad()
            found[name, kind] = max(differences(group, layer, spread, dtype).values())
    return found


def compare_options(group, dtype):
    """Compare layers with each of OPTIONS."""
    data, found = typed(), {}
    size = distributed.get_world_size(group)
    uneven = assignments(data.num_nodes, size)["uneven"]
    for name, options in OPTIONS.items():
        layer = make(data, dtype, **options)
        spread = DistributedGraphLayer.from_layer(layer, partition(data, size, uneven), group=group)
        found[name] = differences(group, layer, spread, dtype)
    return found


def compare_calls(group, dtype):
    """States, initial states and evaluation with noise, without gradients."""
    data = graph_of("grid")
    size, rank = distributed.get_world_size(group), distributed.get_rank(group)
    layer = make(data, dtype, activation="tanh", inject=True, noise=0.2)
    whole = partition(data, size)
    spread = DistributedGraphLayer.from_layer(layer, whole, group=group)
    owned = whole.owned(rank)
    x = torch.randn(2, 4, data.num_nodes, dtype=dtype, generator=torch.Generator().manual_seed(1))
    own = x[..., owned]
    found = {}
    torch.manual_seed(5)
    last, states = layer(x, return_states=True)
    torch.manual_seed(5)
    mine = spread(own, return_states=True)
    found["last"] = (mine[0], last[..., owned])
    found["states"] = (mine[1], states[..., owned])
    draw = [torch.Generator().manual_seed(9) for _ in range(2)]
    output, state = layer(x, state=x, generator=draw[0])
    mine = spread(own, state=own, generator=draw[1])
    found["output"], found["state"] = (mine[0], output[..., owned]), (mine[1], state[..., owned])
    found["evaluated"] = (spread.eval()(own), layer.eval()(x)[..., owned])
    with torch.no_grad():
        found["no gradient"] = (spread(own), layer(x)[..., owned])
    return {name: _difference(one.detach(), other.detach()) for name, (one, other) in found.items()}


def drawn(group, options):
    """Weights of layers that are made without one layer, by the synapse or group, and outputs."""
    data = typed()
    size, rank = distributed.get_world_size(group), distributed.get_rank(group)
    whole = partition(data, size, assignments(data.num_nodes, size)["uneven"])
    torch.manual_seed(3)
    layer = DistributedGraphLayer(whole.part(rank), group=group, dtype=torch.float64, **options)
    x = torch.randn(500, data.num_nodes, dtype=torch.float64, generator=torch.Generator())
    with torch.no_grad():
        y = layer(x[:, layer.owned])
    return layer.part.synapse, layer.weight.detach(), layer.owned, y, repr(layer), layer.report


def train(group, steps):
    """The losses of some steps of a distributed layer and of one layer, with Adam."""
    data = typed()
    size = distributed.get_world_size(group)
    layer = make(data, torch.float64, bias="population", dale=True, weight_sharing="projection")
    spread = DistributedGraphLayer.from_layer(layer, partition(data, size, "rcm"), group=group)
    x = torch.randn(8, data.num_nodes, dtype=torch.float64, generator=torch.Generator())
    losses = []
    for each in (layer, spread):
        optimizer = torch.optim.Adam(each.parameters(), lr=0.01)
        own = x if each is layer else x[:, spread.owned]
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (each(own) - 1).square().sum()
            loss.backward()
            optimizer.step()
        losses.append(loss.detach())
    distributed.all_reduce(losses[1], group=group)
    return losses, [each.detach() for each in spread.parameters()]
