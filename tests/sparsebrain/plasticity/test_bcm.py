"""BCM: neurons become selective, and the threshold must be faster than the weights."""

import pytest
import torch

from sparsebrain.plasticity import BCM
from tests.sparsebrain.plasticity.conftest import bipartite, pad, steps

# Three linearly independent patterns, with probabilities 1/2, 1/4 and 1/4.
PATTERNS = torch.tensor([[1.0, 0.2, 0.0], [0.3, 1.0, 0.1], [0.0, 0.4, 1.0]], dtype=torch.float64)
COUNTS = torch.tensor([2, 1, 1])
PROBABILITY = COUNTS.double() / COUNTS.sum()
BATCH = pad(PATTERNS.repeat_interleave(COUNTS, 0), 4)


def respond(responses):
    """A neuron with those responses to the three patterns."""
    layer = bipartite(3, 1)
    layer.assign_weight(torch.linalg.solve(PATTERNS, torch.as_tensor(responses).double()))
    return layer


def responses(layer):
    return PATTERNS @ layer.weight.detach()


@pytest.mark.parametrize("chosen", range(3))
def test_responding_to_one_pattern_is_a_stable_fixed_point(chosen):
    fixed = torch.zeros(3).double()
    fixed[chosen] = 1 / PROBABILITY[chosen]
    rule = BCM(respond(fixed))
    rule(BATCH)
    assert rule.layer.weight.grad.abs().max() < 1e-14
    assert torch.allclose(rule.theta[3], 1 / PROBABILITY[chosen], rtol=1e-14)

    layer = respond(fixed + torch.tensor([0.05, -0.04, 0.03]).double())
    rule = BCM(layer, theta_rate=0.8)
    steps(rule, rule.make_optimizer(0.1), BATCH, 300)
    assert torch.allclose(responses(layer), fixed, rtol=0, atol=1e-4)


@pytest.mark.parametrize("subset", [(0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_responding_to_several_patterns_is_an_unstable_fixed_point(subset):
    fixed = torch.zeros(3).double()
    fixed[list(subset)] = 1 / PROBABILITY[list(subset)].sum()
    rule = BCM(respond(fixed))
    rule(BATCH)
    assert rule.layer.weight.grad.abs().max() < 1e-14

    nudge = torch.zeros(3).double()
    nudge[list(subset)] = torch.tensor([1e-3, -1e-3, -1e-3]).double()[: len(subset)]
    layer = respond(fixed + nudge)
    rule = BCM(layer, theta_rate=0.8)
    steps(rule, rule.make_optimizer(0.1), BATCH, 600)
    found = responses(layer)
    (chosen,) = (found > 0.5).nonzero().flatten().tolist()
    assert chosen in subset
    expected = torch.zeros(3).double()
    expected[chosen] = 1 / PROBABILITY[chosen]
    assert torch.allclose(found, expected, rtol=0, atol=1e-3)


def test_the_threshold_starts_from_the_first_batch_and_moves_at_its_rate():
    rule = BCM(respond([1.0, 2.0, 3.0]), theta_rate=0.25)
    x = pad(PATTERNS, 4)
    first = torch.tensor([1.0, 4.0, 9.0]).double().mean()
    rule(x)
    assert abs(rule.theta[3] - first) < 1e-12
    rule(2 * x)
    assert abs(rule.theta[3] - (0.75 * first + 0.25 * 4 * first)) < 1e-12


def test_a_threshold_that_is_slower_than_the_weights_is_told():
    rule = BCM(respond([1.0, 2.0, 3.0]), theta_rate=1e-3)
    optimizer = rule.make_optimizer(2.0)
    with pytest.raises(ValueError, match="grown without bound; use a lower learning rate"):
        steps(rule, optimizer, BATCH, 200)


def test_random_patterns_make_selective_neurons():
    """Each of 20 neurons from random weights responds to one pattern alone, about as it should.

    In eight other seeds all neurons are within 12 % of 1 / p, and none responds to two patterns.
    """
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 20, bias=False, dtype=torch.float64)
    layer.weight.data.uniform_(0, 1)
    rule = BCM(layer, theta_rate=0.3)
    optimizer = rule.make_optimizer(0.1)
    for batch in torch.randint(len(BATCH), (1500, 64)):
        steps(rule, optimizer, BATCH[batch, :3], 1)
    found = PATTERNS @ layer.weight.detach().T
    best = found.max(0)
    assert torch.allclose(best.values, 1 / PROBABILITY[best.indices], rtol=0.2)
    assert ((found.abs() > 0.4).sum(0) == 1).all()


@pytest.mark.parametrize("wrong", [0, -0.1, 1.5, float("nan")])
def test_the_rate_of_the_threshold_is_a_share(wrong):
    with pytest.raises(ValueError, match="theta_rate must be a finite number"):
        BCM(respond([1.0, 2.0, 3.0]), theta_rate=wrong)
