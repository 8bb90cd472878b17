"""Every rule, and the models that it is held against."""

import pytest
import torch
from torch import nn

import graphs
from sparsebrain.learning import RULES
from tests import groups

CLASSES = 3
FEATURES = 12

# What a rule is tried on: a connectome or none, and how many loops.
MODELS = {
    "layered": (lambda: None, 1),
    "grid": (lambda: graphs.grid_local((5, 5), 1), 3),
    "small world": (lambda: graphs.small_world(30, 6, 0.2, seed=0), 3),
    "C. elegans": (graphs.c_elegans, 3),
}

# The models that a rule refuses, by its name and theirs, and what it says.
REFUSED: dict[tuple[str, str], str] = {
    ("dendritic-microcircuit", looped): "on a loop a neuron is above and below itself"
    for looped in ("grid", "small world", "C. elegans")
}


@pytest.fixture(params=RULES)
def name(request):
    """The name of every rule."""
    return request.param


@pytest.fixture(scope="session")
def folder_of_both(tmp_path_factory):
    """The folder in which two processes meet, and save what they find."""
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="session")
def both(folder_of_both):
    """What each of two processes found; they are started once for all modules."""
    from tests.sparsebrain.learning import processes, wrappers

    return groups.run((*processes.CHECKS, *wrappers.CHECKS), folder_of_both, 2)


def connectome_for(name, data):
    """The connectome, in its symmetric form if the rule needs one."""
    if data is None or not RULES[name].needs_symmetric or graphs.reciprocity(data) == 1:
        return data
    return graphs.symmetrize(data)


def make(name, topology, seed=0, **options):
    """A rule around a model of its own."""
    connectome, loops = MODELS[topology]
    data = connectome_for(name, connectome())
    torch.manual_seed(seed)
    kind = RULES[name]
    return kind(kind.build(data, FEATURES, CLASSES, loops=loops), **options)


def samples(number=96, seed=0):
    """Points [n, 12] in 0..1 around a center for each of three classes, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    centers = torch.rand(CLASSES, FEATURES, generator=torch.Generator().manual_seed(1))
    y = torch.arange(number) % CLASSES
    x = centers[y] + 0.15 * torch.randn(number, FEATURES, generator=generator)
    return x.clamp(0, 1), y


def step(rule, optimizer, x, y):
    """One step of learning; returns the loss."""
    optimizer.zero_grad()
    loss = rule(x, y)
    optimizer.step()
    return loss


class Strange(nn.Module):
    """Weights that no rule but backpropagation knows."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(CLASSES, FEATURES))

    def forward(self, x):
        return x @ self.weight.T
