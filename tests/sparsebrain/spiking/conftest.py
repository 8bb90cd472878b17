"""A small network with every feature."""

import pytest
import torch

import graphs
from sparsebrain.spiking import LIF


def network(**options):
    """A random network of 12 neurons in float64, whose neurons spike often."""
    data = graphs.erdos_renyi(12, 0.3, self_loops=True, seed=1)
    torch.manual_seed(0)
    lif = LIF(data, **{"tau": 5.0, "dtype": torch.float64, **options})
    lif.assign_weight(lif.weight * 0.7 * (1 if options.get("tau_synapse") is None else 3))
    return lif


@pytest.fixture
def current():
    """Strong enough that neurons spike, in both directions: [3, 15, 12]."""
    generator = torch.Generator().manual_seed(3)
    return 3 * torch.rand(3, 15, 12, dtype=torch.float64, generator=generator)
