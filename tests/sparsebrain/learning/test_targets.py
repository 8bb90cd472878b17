"""Rules that learn targets of a regression, and those that learn labels alone."""

import pytest
import torch
from torch import nn

import graphs
from sparsebrain.learning import RULES, Backprop, FeedbackAlignment
from tests.sparsebrain.learning.conftest import FEATURES, connectome_for

LABELS_ALONE = {
    "error-diffusion": "each class has a network of its own",
    "local-errors": "each of its layers predicts classes",
    "forward-forward": "the label is a part of its input",
    "dendritic-microcircuit": "its output is nudged towards one class",
    "boltzmann": "labels are binary neurons",
}
X = torch.rand(10, FEATURES, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randn(10, 3, generator=torch.Generator().manual_seed(1))


def made(name, **options):
    torch.manual_seed(0)
    data = None if name in LABELS_ALONE else connectome_for(name, graphs.grid_local((4, 4), 1))
    kind = RULES[name]
    return kind(kind.build(data, FEATURES, 3, loops=2), **options)


def test_every_rule_learns_targets_or_says_why_not(name):
    if name in LABELS_ALONE:
        with pytest.raises(TypeError, match=f"y must be .*{LABELS_ALONE[name]}"):
            made(name)(X, TARGETS)
        return
    with pytest.raises(TypeError, match=r"y must be .*make \w+ with loss='mse'"):
        made(name)(X, TARGETS)
    rule = made(name, loss="mse").eval()
    loss = rule(X, TARGETS)
    assert float(loss) == pytest.approx(
        rule.predict(X).detach().sub(TARGETS).square().mean().item()
    )
    # The gradients at the last layer do not depend on the rule.
    last = [each for each in rule.model.modules() if isinstance(each, nn.Linear)][-1]
    error = 2 * (rule.predict(X) - TARGETS) / TARGETS.numel()
    torch.testing.assert_close(last.bias.grad, error.sum(0).detach(), rtol=1e-3, atol=1e-5)


def test_a_step_on_targets_is_that_of_autograd():
    rule = made("backprop", loss="mse")
    rule(X, TARGETS)
    expected = torch.autograd.grad(
        nn.functional.mse_loss(rule.model(X), TARGETS), [*rule.model.parameters()]
    )
    for parameter, grad in zip(rule.model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, grad)


@pytest.mark.parametrize(
    ("y", "error", "told"),
    [
        (torch.zeros(10, dtype=torch.int64), TypeError, "y must be a float32.*pass"),
        (TARGETS[:, 0], ValueError, r"y must .*\[B, outputs\].*y\[:, None\]"),
        (TARGETS[:, :1], ValueError, r"y must have the shape \[10, 3\].*got \[10, 1\]; pass"),
        (TARGETS[:9], ValueError, r"shape \[10, 3\].*got \[9, 3\]; pass"),
        (TARGETS.double(), TypeError, r"dtype torch.float32 .*pass y.to\(torch.float32\)"),
        (TARGETS / 0, ValueError, "y must be finite"),
        (TARGETS[:0], ValueError, "y must hold at least one"),
    ],
)
def test_bad_targets(y, error, told):
    with pytest.raises(error, match=told):
        made("backprop", loss="mse")(X, y)


def test_unknown_losses():
    with pytest.raises(ValueError, match="loss must be one of 'cross-entropy', 'quadratic', 'mse'"):
        Backprop(nn.Linear(2, 2), loss="mean")
    with pytest.raises(ValueError, match="loss must be one of 'cross-entropy', 'quadratic', got"):
        made("error-diffusion", loss="mse")


def linear_task(generator):
    """The linear task of Lillicrap et al. (2016): 30 inputs, 20 hidden and 10 output neurons."""

    def uniform(rows, columns, bound):
        return (2 * torch.rand(rows, columns, generator=generator) - 1) * bound

    task = uniform(10, 30, 1.0)
    hidden, output = nn.Linear(30, 20, bias=False), nn.Linear(20, 10, bias=False)
    hidden.weight.data, output.weight.data = uniform(20, 30, 0.01), uniform(10, 20, 0.01)
    rule = FeedbackAlignment(nn.Sequential(hidden, output), loss="mse", generator=generator)
    rule.feedback[1].data = uniform(10, 20, 0.5)
    return task, rule


def error_of(rule, task, generator):
    """The squared error on new samples, divided by that of the mean (NSE)."""
    x = torch.randn(500, 30, generator=generator)
    y = x @ task.T
    off = rule.predict(x).detach() - y
    return float(off.square().sum() / (y - y.mean(0)).square().sum())


def test_feedback_alignment_learns_the_linear_task_as_published():
    generator = torch.Generator().manual_seed(0)
    task, rule = linear_task(generator)
    hidden, output = rule.model
    x = torch.randn(1, 30, generator=generator)
    y = x @ task.T
    rule(x, y)
    # The published updates: e h^T for the output, and (B e) x^T for the hidden neurons.
    with torch.no_grad():
        e = 2 * (rule.model(x) - y) / 10
        torch.testing.assert_close(output.weight.grad, e.T @ hidden(x))
        torch.testing.assert_close(hidden.weight.grad, (e @ rule.feedback[1]).T @ x)
    begin = error_of(rule, task, generator)
    angle = rule.alignment(*_batch(task, generator))["1"]
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.2)
    for _ in range(400):
        x = torch.randn(8, 30, generator=generator)
        optimizer.zero_grad()
        rule(x, x @ task.T)
        optimizer.step()
    # 20 hidden neurons suffice for all 10 outputs, so that the error vanishes.
    assert begin > 0.99
    assert error_of(rule, task, generator) < 0.01
    assert 80 < angle < 100
    assert rule.alignment(*_batch(task, generator))["1"] < 60


def _batch(task, generator):
    x = torch.randn(50, 30, generator=generator)
    return x, x @ task.T
