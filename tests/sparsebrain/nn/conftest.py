"""The topologies that the layer is tried on."""

import pytest
import torch

import graphs

TOPOLOGIES = {
    "grid d=1": lambda seed: graphs.grid_local((28, 28), 1),
    "grid d=2": lambda seed: graphs.grid_local((28, 28), 2),
    "coordinate-random": lambda seed: graphs.coordinate_random(2000, (20, 10), 0.8, seed=seed),
    "small world": lambda seed: graphs.small_world(784, 22, 0.1, seed=seed),
    "small world, undirected": lambda seed: graphs.small_world(
        500, 10, 0.3, directed=False, seed=seed
    ),
    "small world, with shortcuts added": lambda seed: graphs.small_world(
        400, 8, 0.2, method="newman-watts", self_loops=True, seed=seed
    ),
}


@pytest.fixture(params=TOPOLOGIES, ids=str)
def topology(request):
    return TOPOLOGIES[request.param]


@pytest.fixture
def grid():
    """5 x 6 neurons, window 3 x 3."""
    return graphs.grid_local((5, 6), 1)


@pytest.fixture
def random_graph():
    """40 neurons, coordinate-random, given to the layer in shuffled order."""
    data = graphs.coordinate_random(40, (4, 3), 1.5, self_loops=True, seed=1)
    shuffled = torch.randperm(data.num_edges, generator=torch.Generator().manual_seed(0))
    data.edge_index = data.edge_index[:, shuffled]
    return data


@pytest.fixture
def populated(random_graph):
    """The same with three populations, types, counts and signs."""
    draw = torch.Generator().manual_seed(2)
    random_graph.node_type = torch.randint(3, (40,), generator=draw)
    random_graph.node_sign = torch.where(random_graph.node_type == 1, -1.0, 1.0)
    random_graph.edge_type = torch.randint(4, (random_graph.num_edges,), generator=draw)
    random_graph.edge_weight = torch.randint(
        1, 9, (random_graph.num_edges,), generator=draw
    ).float()
    return random_graph


@pytest.fixture
def x():
    """Six samples for it, in float64."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 40, generator=generator, dtype=torch.float64)
