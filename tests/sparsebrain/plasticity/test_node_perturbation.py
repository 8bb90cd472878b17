"""Node perturbation follows the gradient of the expected reward."""

import math

import pytest
import torch

import graphs
from sparsebrain import GraphLayer
from sparsebrain.plasticity import Hebb, NodePerturbation, RewardHebb


def test_the_mean_update_is_the_gradient_of_the_expected_reward():
    """r = -(y - t)^2 of one neuron: E[(r - V) xi] / sigma^2 = -2 (y - t), here with x = 1.

    The mean of 200,000 samples, within 5 standard errors (false alarm 6e-7 each).
    """
    samples, target, sigma = 200_000, 0.8, 0.3
    neuron = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    torch.nn.init.constant_(neuron.weight, 0.2)
    rule = NodePerturbation(neuron, sigma)
    x = torch.ones(samples, 1, dtype=torch.float64)
    for prediction in (0.0, -0.45):
        y, noise = rule.perturb(x, torch.Generator().manual_seed(0))
        rewards = -((y - target) ** 2).squeeze(1)
        neuron.zero_grad()
        update = rule(x, noise, rewards - prediction)
        single = (rewards - prediction) * noise.squeeze(1) / sigma**2
        assert abs(float(update) + 2 * (0.2 - target)) < 5 * float(single.std()) / samples**0.5
        assert math.isclose(float(neuron.weight.grad), -float(update))


def test_the_mean_update_of_a_graph_layer_is_its_gradient():
    """r = -|y - t|^2 of a layer: -2 (y_t - t_t) x_s for each synapse, within 5 standard errors.

    The false-alarm rate is 6e-7 times the number of synapses.
    """
    samples, sigma = 100_000, 0.2
    data = graphs.small_world(6, 2, 0.3, seed=0)
    layer = GraphLayer(data, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    rule = NodePerturbation(layer, sigma)
    one = torch.rand(1, 6, generator=generator, dtype=torch.float64)
    target = torch.rand(6, generator=generator, dtype=torch.float64)
    x = one.expand(samples, 6).contiguous()
    y, noise = rule.perturb(x, generator)
    rewards = -((y - target) ** 2).sum(1)
    update = rule(x, noise, rewards - rewards.mean())
    layer.zero_grad()
    (-((layer(one) - target) ** 2).sum()).backward()
    of_neuron = ((rewards - rewards.mean()).unsqueeze(1) * noise / sigma**2).std(0)
    source, post = data.edge_index
    error = of_neuron[post] * one[0, source] / samples**0.5
    assert (update - layer.weight.grad).abs().lt(5 * error + 1e-9).all()


def test_updates_are_exact():
    data = graphs.grid_local((1, 3), 1, self_loops=False)
    layer = GraphLayer(data)
    x, noise = torch.tensor([[1.0, 2, 3], [4, 5, 6]]), torch.tensor([[1.0, 0, -1], [2, 1, 0]])
    error = torch.tensor([2.0, -1])
    update = NodePerturbation(layer, 0.5)(x, noise, error)
    source, target = data.edge_index
    expected = (error[:, None] * noise[:, target] * x[:, source]).mean(0) / 0.25
    assert torch.allclose(update, expected)
    assert torch.allclose(layer.weight.grad, -expected)


def test_the_hebbian_rule_takes_the_deviation_from_its_running_mean():
    linear = torch.nn.Linear(2, 1, bias=False)
    rule = RewardHebb(linear, alpha=0.5)
    x, error = torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([1.0, -2])
    # The mean of the first call is its own.
    assert rule(x, torch.tensor([[1.0], [5.0]]), error).tolist() == [[-1.0, -2.0]]
    assert rule.mean.tolist() == [3.0]
    assert rule(x, torch.tensor([[4.0], [6.0]]), error).tolist() == [[0.5, -3.0]]
    assert rule.mean.tolist() == [4.0]
    assert linear.weight.grad.tolist() == [[0.5, 5.0]]


def test_layers_that_compute_more_than_sums_are_refused():
    data = graphs.grid_local((2, 2), 1)
    for options in ({"loops": 2}, {"activation": "tanh"}, {"leak": 0.5}, {"threshold": 0.1}):
        for rule in (NodePerturbation, RewardHebb):
            with pytest.raises(ValueError, match="its noise belongs to the sum of one loop"):
                rule(GraphLayer(data, **options))
    with pytest.raises(TypeError, match="layer must be a GraphLayer or an nn.Linear"):
        NodePerturbation(Hebb(GraphLayer(data)))


def test_wrong_arguments_are_refused():
    linear = torch.nn.Linear(2, 1, bias=False)
    for sigma in (0, -1, math.nan):
        with pytest.raises(ValueError, match="sigma must be a finite number"):
            NodePerturbation(linear, sigma)
    rule, x = NodePerturbation(linear), torch.ones(3, 2)
    with pytest.raises(ValueError, match=r"noise must"):
        rule(x, torch.ones(3, 2), torch.ones(3))
    with pytest.raises(ValueError, match=r"error must"):
        rule(x, torch.ones(3, 1), torch.ones(2))
    with pytest.raises(ValueError, match="x must hold at least one sample"):
        rule(x[:0], torch.ones(0, 1), torch.ones(0))
    assert linear.weight.grad is None


def test_reward_hebb_continues_from_its_state():
    torch.manual_seed(0)
    rule, new = (RewardHebb(torch.nn.Linear(3, 2), alpha=0.5) for _ in "ab")
    x, y, error = torch.rand(4, 3), torch.rand(4, 2), torch.rand(4)
    rule(x, y, error)
    new(x + 1, y + 1, error)
    new.load_state_dict(rule.state_dict())
    assert torch.equal(new(x, y / 2, error), rule(x, y / 2, error))
    assert torch.equal(new.mean, rule.mean)
    new.load_state_dict(RewardHebb(torch.nn.Linear(3, 2)).state_dict())
    assert not new.started
