"""Noise through a layer tells its weights: the mean of the product is sigma^2 W^T."""

import math

import pytest
import torch
from torch import nn

import graphs
from sparsebrain import GraphLayer
from sparsebrain.learning import WeightMirror
from tests.sparsebrain.learning.feedback import GRID, make


def product(rule, samples):
    """The mean of noise times what becomes of it, out of the gradient."""
    rule.zero_grad()
    rule.mirror(samples)
    return [rule.decay * each.detach() - each.grad for each in rule.feedback]


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_the_mean_of_the_product_is_the_transpose(sigma):
    """xi_s y_t has the variance sigma^4 (|W_t|^2 + W_ts^2). Of its means over 20,000 samples 300
    entries, dense and sparse, all lie within 6 deviations: a false alarm in 10^6."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 10), GraphLayer(graphs.small_world(24, 6, 0.3, seed=0)))
    rule = WeightMirror(model.double(), noise=sigma)
    dense, sparse = product(rule, 20000)
    source, target = model[1].edge_index
    weight = torch.zeros(24, 24).double()
    weight[target, source] = model[1].weight.detach()
    for found, wanted, of_target in (
        (dense, model[0].weight.detach(), model[0].weight.detach().square().sum(1, keepdim=True)),
        (sparse, model[1].weight.detach(), weight.square().sum(1)[target]),
    ):
        deviation = sigma**2 * ((of_target + wanted**2) / 20000).sqrt()
        assert ((found - sigma**2 * wanted).abs() < 6 * deviation).all()


def test_shared_weights_are_told_by_all_their_synapses():
    """As above, over 70 synapses or fewer of each of 9 types; they err together, so that a mean
    is no worse than a single synapse."""
    torch.manual_seed(0)
    layer = GraphLayer(graphs.grid_local((6, 6), 1), weight_sharing="type").double()
    (found,) = product(WeightMirror(layer), 20000)
    weight = layer.weight.detach()
    deviation = ((weight.square().sum() + weight**2) / 20000).sqrt()
    assert ((found - weight).abs() < 6 * deviation).all()


def test_the_step_decays_what_there_is():
    """Of a layer of zeros noise tells nothing, and B shrinks by 1 - eta lambda a step."""
    layer = nn.Linear(4, 3).double()
    nn.init.zeros_(layer.weight)
    rule = WeightMirror(layer, decay=0.5)
    nn.init.ones_(rule.feedback[0])
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        rule.mirror(8)
        optimizer.step()
    torch.testing.assert_close(rule.feedback[0].data, torch.full((3, 4), 0.95**3).double())
    assert layer.weight.grad is None


@pytest.mark.parametrize("name", ["dense", "grid", "convolution", "dale", "equilibrium"])
def test_the_angle_falls_in_the_mirror_phase(name):
    model, x, y = make(name)
    rule = WeightMirror(model)
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.05)
    angles = [rule.alignment(x, y)]
    for _ in range(3):
        for _ in range(40):
            optimizer.zero_grad()
            rule.mirror(64)
            optimizer.step()
        angles.append(rule.alignment(x, y))
    for layer in angles[0]:
        assert angles[0][layer] > 2 * angles[1][layer] > angles[3][layer]
        assert angles[3][layer] < 20
    assert all(p.grad is None for p in model.parameters())


def test_noise_comes_from_the_generator():
    products = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        layer = GraphLayer(GRID)
        nn.init.ones_(layer.weight)
        products += product(WeightMirror(layer, generator=generator), 5)
    assert torch.equal(*products)


def test_bad_options_are_told():
    for options in ({"noise": 0.0}, {"decay": -1.0}, {"decay": math.inf}, {"noise": math.nan}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} must be a finite number > 0"):
            WeightMirror(nn.Linear(2, 2), **options)
    with pytest.raises(ValueError, match="samples must be an integer >= 1"):
        WeightMirror(nn.Linear(2, 2)).mirror(0)
