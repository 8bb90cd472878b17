import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from torch.optim import SGD, Adam, AdamW

from sparsebrain.models import NeuronClassifier, decay_weights


def filled(kind, features=5, seed=0):
    """A neuron with random float64 parameters, and samples with labels of both classes."""
    draw = torch.Generator().manual_seed(seed)
    neuron = NeuronClassifier(features, kind, dtype=torch.float64)
    with torch.no_grad():
        for parameter in neuron.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
    x = torch.randn(40, features, generator=draw, dtype=torch.float64)
    return neuron, x, torch.randint(0, 2, (40,), generator=draw)


def test_the_logistic_gradient_is_that_of_the_formula():
    neuron, x, y = filled("logistic")
    neuron.loss(x, y).backward()
    p = 1 / (1 + torch.exp(-(x @ neuron.weight + neuron.bias))).detach()
    torch.testing.assert_close(neuron(x), p)
    torch.testing.assert_close(neuron.weight.grad, ((p - y).unsqueeze(1) * x).mean(0))
    torch.testing.assert_close(neuron.bias.grad, (p - y).mean())


def test_the_hinge_gradient_is_that_of_the_formula():
    neuron, x, y = filled("hinge")
    neuron.loss(x, y).backward()
    f, side = (x @ neuron.weight + neuron.bias).detach(), 2.0 * y - 1
    torch.testing.assert_close(neuron(x), f)
    wrong = side * f < 1
    assert 0 < int(wrong.sum()) < 40
    per_sample = torch.where(wrong, -side, 0.0).unsqueeze(1) * x
    torch.testing.assert_close(neuron.weight.grad, per_sample.mean(0))


@pytest.mark.parametrize("label", [0, 1])
def test_at_the_margin_the_hinge_learns_nothing(label):
    """At y f = 1 the formula's strict inequality does not hold."""
    neuron = NeuronClassifier(1, "hinge", bias=False)
    with torch.no_grad():
        neuron.weight.fill_(2.0 * label - 1)
    neuron.loss(torch.ones(1, 1), torch.tensor([label])).backward()
    assert neuron.weight.grad.tolist() == [0]
    neuron.weight.grad = None
    neuron.loss(torch.full((1, 1), 0.5), torch.tensor([label])).backward()
    assert neuron.weight.grad.tolist() == [-0.5 * (2 * label - 1)]


@pytest.mark.parametrize("kind", ["logistic", "hinge"])
def test_gradients_are_those_of_finite_differences(kind):
    neuron, x, y = filled(kind, seed=1)

    def loss(weight, bias):
        return torch.func.functional_call(
            _Loss(neuron), {"neuron.weight": weight, "neuron.bias": bias}, (x, y)
        )

    assert torch.autograd.gradcheck(loss, (neuron.weight, neuron.bias))


class _Loss(torch.nn.Module):
    def __init__(self, neuron):
        super().__init__()
        self.neuron = neuron

    def forward(self, x, y):
        return self.neuron.loss(x, y)


def test_far_outputs_neither_overflow_nor_lose_their_gradient():
    neuron = NeuronClassifier(1, bias=False)
    with torch.no_grad():
        neuron.weight.fill_(1e4)
    loss = neuron.loss(torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 0]))
    loss.backward()
    assert float(loss.detach()) == 5e3
    assert neuron.weight.grad.tolist() == [0.5]


def neuron_of(start):
    neuron = NeuronClassifier(len(start), bias=False, dtype=torch.float64)
    with torch.no_grad():
        neuron.weight.copy_(torch.tensor(start, dtype=torch.float64))
    return neuron


@pytest.mark.parametrize("optimizer", [SGD, AdamW])
def test_forgetting_is_exact_to_the_last_bit(optimizer):
    """Powers of 7/8 have 53 bits up to the 17th, so no step rounds."""
    neuron = neuron_of([1.0, -2.0, 0.5])
    decay = optimizer(neuron.parameters(), lr=0.5, weight_decay=0.25)
    for t in range(1, 18):
        decay_weights(decay)
        assert neuron.weight.tolist() == [w * 0.875**t for w in (1.0, -2.0, 0.5)]


@pytest.mark.parametrize("optimizer", [SGD, AdamW])
def test_forgetting_follows_the_formula_for_long(optimizer):
    neuron = neuron_of([3.0, -0.1])
    decay_weights(optimizer(neuron.parameters(), lr=0.1, weight_decay=0.03), steps=2000)
    wanted = torch.tensor([3.0, -0.1], dtype=torch.float64) * (1 - 0.003) ** 2000
    torch.testing.assert_close(neuron.weight.detach(), wanted, rtol=1e-11, atol=0)


def test_adam_with_l2_breaks_the_formula():
    """It moves weights of any size by the learning rate, whatever the decay."""
    for decay in (0.01, 0.1):
        neuron = neuron_of([3.0, -0.3])
        decay_weights(Adam(neuron.parameters(), lr=0.001, weight_decay=decay), steps=10)
        moved = neuron.weight.detach() - torch.tensor([3.0, -0.3], dtype=torch.float64)
        torch.testing.assert_close(moved, torch.tensor([-0.01, 0.01]).double(), rtol=0.01, atol=0)
        by_formula = 3.0 * ((1 - 0.001 * decay) ** 10 - 1)
        assert float(moved[0]) < 3 * by_formula < 0


def test_momentum_breaks_the_formula():
    neuron = neuron_of([1.0])
    decay_weights(SGD(neuron.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1), steps=20)
    assert float(neuron.weight.detach()) < 0.9 * 0.99**20


def test_absent_gradients_forget_nothing_and_are_absent_again_afterwards():
    neuron = neuron_of([1.0])
    decay = SGD(neuron.parameters(), lr=0.5, weight_decay=0.5)
    assert neuron.weight.grad is None
    decay.step()
    assert neuron.weight.tolist() == [1.0]
    decay_weights(decay)
    assert neuron.weight.tolist() == [0.75]
    assert neuron.weight.grad is None
    kept = neuron.weight.grad = torch.ones(1, dtype=torch.float64)
    decay_weights(decay)
    assert neuron.weight.grad is kept
    assert kept.tolist() == [1.0]


def test_frozen_parameters_do_not_fade():
    neuron = neuron_of([1.0])
    neuron.weight.grad = torch.ones(1, dtype=torch.float64)
    neuron.weight.requires_grad_(False)
    decay_weights(SGD(neuron.parameters(), lr=0.5, weight_decay=0.5))
    assert neuron.weight.tolist() == [1.0]
    assert neuron.weight.grad.tolist() == [1.0]


def test_groups_fade_at_their_own_rate():
    neuron = NeuronClassifier(1, dtype=torch.float64)
    with torch.no_grad():
        for parameter in neuron.parameters():
            parameter.fill_(1.0)
    groups = [{"params": [neuron.weight]}, {"params": [neuron.bias], "weight_decay": 0.0}]
    decay_weights(SGD(groups, lr=0.5, weight_decay=0.5), steps=3)
    assert neuron.weight.tolist() == [0.75**3]
    assert neuron.bias.tolist() == 1.0


def trained(kind, x, y, *, steps, lr):
    neuron = NeuronClassifier(x.size(1), kind, dtype=x.dtype)
    optimizer = SGD(neuron.parameters(), lr=lr, weight_decay=1e-4)
    for _ in range(steps):
        optimizer.zero_grad()
        neuron.loss(x, y).backward()
        optimizer.step()
    return neuron


@pytest.mark.parametrize("kind", ["logistic", "hinge"])
def test_a_separable_set_is_separated(kind):
    """Two clouds on either side of a plane, with a margin of 0.2 around it."""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(400, 3, generator=draw) * 2 - 1
    normal = torch.tensor([1.0, -2.0, 2.0]) / 3
    x = x[((x @ normal - 0.1).abs() > 0.1)]
    y = (x @ normal > 0.1).long()
    neuron = trained(kind, x, y, steps=1500, lr=2.0 if kind == "logistic" else 0.5)
    assert bool((neuron.predict(x) == y).all())


def standardised(x, train):
    x = torch.from_numpy(x).float()
    return (x - x[train].mean(0)) / (x[train].std(0) + 1e-6)


@pytest.mark.parametrize("kind", ["logistic", "hinge"])
def test_it_tells_tumours_and_digits(kind):
    """Half to train and half to test: at least 95 % of tumours, 97 % of 4 against 9."""
    tumours, digits = load_breast_cancer(), load_digits()
    pair = (digits.target == 4) | (digits.target == 9)
    cases = [
        (tumours.data, tumours.target, 0.95),
        (digits.data[pair], digits.target[pair] == 9, 0.97),
    ]
    for values, target, least in cases:
        train = torch.arange(len(values)) % 2 == 0
        x, y = standardised(values, train), torch.from_numpy(target).long()
        neuron = trained(kind, x[train], y[train], steps=300, lr=0.1)
        right = (neuron.predict(x[~train]) == y[~train]).float().mean()
        assert float(right) >= least


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: NeuronClassifier(2, "square"), ValueError, "kind must be one of 'logistic'"),
        (lambda: NeuronClassifier(0), ValueError, "in_features must be an integer >= 1"),
        (lambda: NeuronClassifier(2, bias=1), TypeError, "bias must be True or False"),
        (lambda: NeuronClassifier(2)(torch.ones(3)), ValueError, r"x must be .* \[..., 2\], got"),
        (
            lambda: NeuronClassifier(2).loss(torch.ones(3, 2), torch.ones(3, 1)),
            ValueError,
            r"y must be .* \[3\], got \[3, 1\]; pass y.flatten",
        ),
        (
            lambda: NeuronClassifier(2, "hinge").loss(torch.ones(1, 2), -torch.ones(1)),
            ValueError,
            "y must be 0 or 1, also with the hinge loss",
        ),
        (
            lambda: decay_weights(SGD(NeuronClassifier(1).parameters()), -1),
            ValueError,
            "steps must be an integer >= 0",
        ),
    ],
)
def test_bad_input_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_shapes_and_text():
    neuron = NeuronClassifier(3, "hinge", bias=False)
    assert repr(neuron) == "NeuronClassifier(3, kind='hinge', bias=False)"
    x = torch.randn(2, 4, 3)
    assert neuron(x).shape == neuron.predict(x).shape == (2, 4)
    assert neuron.predict(x).dtype == torch.int64
    assert neuron(x[0, 0]).shape == ()
    assert float(neuron.loss(x, torch.ones(2, 4, dtype=torch.bool)).detach()) == 1
    with torch.no_grad():
        neuron.weight.fill_(1.0)
    neuron.reset_parameters()
    assert neuron.weight.tolist() == [0, 0, 0]
