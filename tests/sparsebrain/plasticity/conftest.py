"""Every plasticity rule, the layers that it is tried on, and what it takes."""

import inspect

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import GraphLayer
from sparsebrain.plasticity import PLASTICITY, RateRule, SpikeTimingRule
from sparsebrain.spiking import LIF

NEURONS = 20


def signed():
    """A small world whose sources are excitatory or inhibitory, and one of unknown sign."""
    data = graphs.small_world(NEURONS, 6, 0.2, seed=0)
    data.node_sign = torch.tensor([1.0, -1.0]).repeat(NEURONS // 2)
    data.node_sign[3] = 0
    return data


def typed():
    """A ring with two types of synapses."""
    source = torch.arange(NEURONS).repeat(2)
    target = (source + torch.arange(1, 3).repeat_interleave(NEURONS)) % NEURONS
    types = torch.arange(2).repeat_interleave(NEURONS)
    return Data(edge_index=torch.stack([source, target]), num_nodes=NEURONS, edge_type=types)


# Synapses in any order, several loops, Dale's law and shared weights.
LAYERS = {
    "small world": lambda: GraphLayer(graphs.small_world(NEURONS, 6, 0.2, seed=0)),
    "three loops": lambda: GraphLayer(
        graphs.small_world(NEURONS, 6, 0.2, seed=0), loops=3, activation="tanh", inject=True
    ),
    "dale": lambda dale=True: GraphLayer(signed(), loops=2, activation="relu", dale=dale),
    "shared": lambda: GraphLayer(typed(), loops=2, weight_sharing="type"),
    "dense": lambda: torch.nn.Linear(NEURONS, 5),
}


# Spiking neurons, with delays and with Dale's law.
NETWORKS = {
    "spikes": lambda: LIF(graphs.small_world(NEURONS, 6, 0.2, seed=0), delay=2.0, dt=0.5),
    "dale": lambda dale=True: LIF(signed(), dale=dale),
}

# What each kind of rule is tried on.
SUITED = {RateRule: LAYERS, SpikeTimingRule: NETWORKS}


def suited(name):
    """The layers that a rule is tried on."""
    (layers,) = (SUITED[kind] for kind in SUITED if issubclass(PLASTICITY[name], kind))
    return layers


RATE_RULES = [name for name in PLASTICITY if issubclass(PLASTICITY[name], RateRule)]


SPIKE_RULES = [name for name in PLASTICITY if issubclass(PLASTICITY[name], SpikeTimingRule)]


@pytest.fixture(params=PLASTICITY)
def name(request):
    """The name of every rule."""
    return request.param


@pytest.fixture(params=RATE_RULES)
def rate_name(request):
    """The name of every rule on rates."""
    return request.param


@pytest.fixture(params=SPIKE_RULES)
def spike_name(request):
    """The name of every rule on spikes."""
    return request.param


@pytest.fixture(
    params=[(name, layer) for name in PLASTICITY for layer in suited(name)], ids="-".join
)
def case(request):
    """The name of every rule, and each layer that it is tried on."""
    name, layer = request.param
    torch.manual_seed(0)
    return name, suited(name)[layer]()


STEPS = 25


def inputs(samples=8, seed=0):
    """What every rule on rates takes: rates [B, N]."""
    return torch.rand(samples, NEURONS, generator=torch.Generator().manual_seed(seed))


def given(name, samples=8, seed=0, scale=1.0):
    """What a rule takes: rates up to that scale, or spikes and a dopamine signal."""
    generator = torch.Generator().manual_seed(seed)
    spikes = torch.full((samples, STEPS, NEURONS), 0.2)
    makes = {
        "x": lambda: scale * inputs(samples, seed),
        "spikes": lambda: torch.bernoulli(spikes, generator=generator),
        "dopamine": lambda: torch.rand(samples, STEPS, generator=generator),
    }
    parameters = inspect.signature(PLASTICITY[name].forward).parameters.values()
    wanted = [each.name for each in parameters if each.default is each.empty]
    return [makes[each]() for each in wanted if each != "self"]


def trains(steps, *times):
    """Spikes [1, T, N] float64 with the times of each neuron, in steps."""
    spikes = torch.zeros(1, steps, len(times), dtype=torch.float64)
    for neuron, each in enumerate(times):
        spikes[0, list(each), neuron] = 1
    return spikes


def pair(**options):
    """Two neurons with a synapse from the first to the second, in float64."""
    edge = torch.tensor([[0], [1]])
    return LIF(Data(edge_index=edge, num_nodes=2), dtype=torch.float64, **options)


def with_moments(moments):
    """Samples [n, n] float64 whose mean of x x^T is exactly that matrix."""
    matrix = torch.tensor(moments, dtype=torch.float64)
    return len(matrix) ** 0.5 * torch.linalg.cholesky(matrix).T


def bipartite(inputs, outputs, **options):
    """Inputs that all have synapses onto all outputs, in float64."""
    return GraphLayer(graphs.layered([inputs, outputs]), dtype=torch.float64, **options)


def pad(x, width):
    """Append neurons that receive no input to samples [B, n]."""
    return torch.nn.functional.pad(x, (0, width - x.size(1)))


def steps(rule, optimizer, x, number):
    """Make steps with the same batch, a tensor or what a rule takes."""
    for _ in range(number):
        optimizer.zero_grad()
        rule(*([x] if isinstance(x, torch.Tensor) else x))
        optimizer.step()
