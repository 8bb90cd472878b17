"""Spiking networks, Gibbs chains and checkpoints on several processes next to one process."""

from pathlib import Path

import torch
from torch import distributed

from sparsebrain import kernels
from sparsebrain.distributed import (
    DistributedGibbs,
    DistributedGraphLayer,
    DistributedLIF,
    load_checkpoint,
    partition,
    save_checkpoint,
)
from sparsebrain.spiking import LIF, SpikeTrains
from tests.sparsebrain.distributed.layers import assignments, graph_of, make, typed
from tests.sparsebrain.distributed.pool import error_of


def network(data, delay, dtype=torch.float32, **options):
    """Neurons with values of their own and strong synapses, so that many spike."""
    generator = torch.Generator().manual_seed(2)
    data = data.clone()
    data.edge_weight = torch.randn(data.num_edges, generator=generator)
    size = data.num_nodes
    options = {
        "tau": 10 + 10 * torch.rand(size, generator=generator),
        "tau_synapse": 5.0,
        "threshold": 1 + torch.rand(size, generator=generator),
        "refractory": 2.0,
        "dt": 0.5,
        **options,
    }
    if delay == "own":
        delay = 0.5 * torch.randint(2, 9, (data.num_edges,), generator=generator)
    return LIF(data, delay=delay, dtype=dtype, **options), data


NETWORKS = {
    "long delay": ({"delay": 2.0}, "blocks"),
    "one step": ({"delay": 0.5}, "uneven"),
    "no delay": ({"delay": 0.0}, "blocks"),
    "delays of their own": ({"delay": "own", "tau_synapse": None}, "uneven"),
    "frozen v": ({"delay": 1.5, "refractory_holds": "v", "step": "euler"}, "empty"),
    "float64": ({"delay": "own", "dtype": torch.float64}, "rcm"),
}


def compare_spikes(group, name):
    """Whether spikes and recorded states are those of one process, and how many spikes."""
    options, kind = NETWORKS[name]
    lif, data = network(graph_of("coordinate"), **options)
    size = distributed.get_world_size(group)
    whole = partition(data, size, assignments(data.num_nodes, size)[kind])
    spread = DistributedLIF.from_lif(lif, whole, group=group)
    owned = spread.owned
    asked = torch.tensor([3, 40, 17])
    record = [("v", asked, 2.0)] + ([("g", asked, 1.0)] if lif.tau_synapse is not None else [])
    call = {
        "events": SpikeTrains(
            step=torch.tensor([0, 3, 3, 30]),
            neuron=torch.tensor([1, 2, 40, 5]),
            jump=torch.tensor([2.0, 3.0, 3.0, 2.0]),
        ),
        "poisson": ([0, 7, 20], 200.0, 3.0),
        "record": record,
        "samples": 2,
        "silence": [4, 30],
    }
    current = torch.linspace(0.5, 3.0, data.num_nodes)
    draws = [torch.Generator().manual_seed(1) for _ in range(2)]
    one = lif.simulate(60.0, current=current, generator=draws[0], **call)
    mine = spread.simulate(60.0, current=current[owned], generator=draws[1], **call)
    chosen = torch.isin(one.neuron, owned)
    same = all(
        torch.equal(getattr(mine, field), getattr(one, field)[chosen])
        for field in ("step", "neuron", "sample")
    )
    here = torch.isin(asked, owned)
    for trace, expected in zip(mine.states, one.states, strict=True):
        same = same and torch.equal(trace.neurons, asked[here])
        same = same and torch.equal(trace.step, expected.step)
        same = same and torch.equal(trace.values, expected.values[..., here])
    told = (mine.duration, mine.num_nodes, mine.samples)
    assert told == (one.duration, one.num_nodes, one.samples)
    return same, len(mine.step), spread.window, spread.overlaps


def from_parts(group, folder):
    """The spikes of a network that each process makes from its own file, as (step, neuron)."""
    from sparsebrain.distributed import Part

    part = Part.load(folder, distributed.get_rank(group))
    spread = DistributedLIF(part, group=group, delay=1.5, dt=0.5)
    found = spread.simulate(40.0, current=1.5)
    return torch.stack([found.step, found.neuron])


def machine(name):
    """A graph without self-loops, symmetric weights and biases."""
    data = graph_of(name)
    source, target = data.edge_index
    keep = source != target
    edges = data.edge_index[:, keep]
    data = type(data)(edge_index=edges, num_nodes=data.num_nodes)
    generator = torch.Generator().manual_seed(3)
    return (
        data,
        torch.randn(edges.shape[1], generator=generator),
        torch.randn(data.num_nodes, generator=generator),
    )


def compare_gibbs(group, name, kind):
    """Whether colors and chains are those of one process."""
    data, weight, bias = machine(name)
    structure = kernels.Structure(data.edge_index, data.num_nodes)
    colors = structure.colors()
    size, rank = distributed.get_world_size(group), distributed.get_rank(group)
    whole = partition(data, size, assignments(data.num_nodes, size)[kind])
    sampler = DistributedGibbs(whole.part(rank), group=group)
    owned, at = sampler.owned, sampler.part.synapse
    of_all = torch.empty(data.num_nodes, dtype=torch.int64)
    for number, members in enumerate(colors.classes()):
        of_all[members] = number
    state = (
        torch.rand(data.num_nodes, 40, generator=torch.Generator().manual_seed(4)) < 0.5
    ).byte()
    clamped = torch.arange(data.num_nodes) % 7 == 0
    found = [torch.equal(sampler.colors, of_all[owned])]
    for fixed in (None, clamped):
        one = kernels.gibbs(
            structure, weight, bias, state, colors, sweeps=5, seed=11, offset=2, clamped=fixed
        )
        mine = sampler.sample(
            weight[at],
            bias[owned],
            state[owned],
            sweeps=5,
            seed=11,
            offset=2,
            clamped=None if fixed is None else fixed[owned],
        )
        found.append(torch.equal(mine, one[owned]))
    return found


def trained(group, folder, steps, *, save, load):
    """Train with Adam from a checkpoint or from the start; return the weights by synapse."""
    data = typed()
    size = distributed.get_world_size(group)
    layer = make(data, torch.float64, bias=True, threshold="population", leak="neuron")
    uneven = assignments(data.num_nodes, size)["uneven"]
    spread = DistributedGraphLayer.from_layer(layer, partition(data, size, uneven), group=group)
    optimizer = torch.optim.Adam(spread.parameters(), lr=0.01)
    if load:
        load_checkpoint(folder, spread, optimizer)
    x = torch.randn(8, data.num_nodes, dtype=torch.float64, generator=torch.Generator())
    for _ in range(steps):
        optimizer.zero_grad()
        (spread(x[:, spread.owned]) - 1).square().sum().backward()
        optimizer.step()
    if save:
        save_checkpoint(Path(folder), spread, optimizer)
    return spread.part.synapse, spread.weight.detach(), spread.owned, spread.bias.detach()


def bad_networks(group):
    """The error of each wrong call of a network."""
    rank, size = distributed.get_rank(group), distributed.get_world_size(group)
    data = typed()
    bare = graph_of("grid")
    whole = partition(data, size)
    lif = LIF(data, delay=1.5)
    good = DistributedLIF.from_lif(lif, whole, group=group)
    poisson = ([0], 10.0, 1.0)

    def draw():
        return torch.Generator().manual_seed(rank)

    calls = {
        "no lif": lambda: DistributedLIF.from_lif(data, whole, group=group),
        "no partition": lambda: DistributedLIF.from_lif(lif, data, group=group),
        "another connectome": lambda: DistributedLIF.from_lif(
            lif, partition(graph_of("coordinate"), size), group=group
        ),
        "weights missing": lambda: DistributedLIF(partition(bare, size), group=group),
        "other dt": lambda: DistributedLIF(whole, group=group, dt=0.5 + 0.5 * rank),
        "one wrong duration": lambda: good.simulate(-1.0 if rank else 1.0),
        "other samples": lambda: good.simulate(1.0, samples=1 + rank),
        "other seeds": lambda: good.simulate(1.0, poisson=poisson, generator=draw()),
    }
    return {name: error_of(call) for name, call in calls.items()}


def bad_samplers(group):
    """The error of each wrong call of Gibbs sampling."""
    rank, size = distributed.get_rank(group), distributed.get_world_size(group)
    data, weight, bias = machine("grid")
    sampler = DistributedGibbs(partition(data, size), group=group)
    weight, bias = weight[sampler.part.synapse], bias[sampler.owned]
    state = torch.zeros(len(sampler.owned), 3, dtype=torch.uint8)
    calls = {
        "self-loops": lambda: DistributedGibbs(partition(graph_of("grid"), size), group=group),
        "one wrong state": lambda: sampler.sample(weight, bias, state + 2 * rank, sweeps=1, seed=0),
        "other seed": lambda: sampler.sample(weight, bias, state, sweeps=1, seed=rank),
        "other chains": lambda: sampler.sample(weight, bias, state[:, rank:], sweeps=1, seed=0),
        "weights": lambda: sampler.sample(weight[1:], bias, state, sweeps=1, seed=0),
    }
    return {name: error_of(call) for name, call in calls.items()}
