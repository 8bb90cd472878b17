"""What holds for every rule in the table, on every model that it accepts."""

import pytest
import torch

import graphs
from sparsebrain import Equilibrium
from sparsebrain.learning import RULES
from tests.sparsebrain.learning.conftest import (
    CLASSES,
    MODELS,
    REFUSED,
    Strange,
    make,
    samples,
    step,
)


@pytest.fixture(params=MODELS)
def rule(name, request):
    if (name, request.param) in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name, request.param]):
            make(name, request.param)
        pytest.skip("refused, with the reason")
    return make(name, request.param)


def test_it_fills_gradients_and_returns_the_loss(rule):
    x, y = samples(8)
    loss = rule(x, y)
    assert loss.shape == ()
    assert loss.isfinite()
    assert not loss.requires_grad
    filled = [p for p in rule.parameters() if p.grad is not None]
    assert filled
    assert all(p.grad.isfinite().all() for p in filled)
    assert any(p.grad.abs().sum() > 0 for p in filled)
    assert all(p.grad is None for p in rule.parameters() if not p.requires_grad)


def test_scores_have_a_column_for_each_class(rule):
    x, _ = samples(8)
    assert rule.eval().predict(x).shape == (8, CLASSES)


def test_what_is_frozen_is_not_taught(rule):
    first = next(p for p in rule.model.parameters() if p.requires_grad)
    first.requires_grad_(False)
    rule(*samples(8))
    assert first.grad is None


def test_the_same_seed_is_the_same_run(name):
    runs = []
    for _ in range(2):
        rule = make(name, "layered" if (name, "grid") in REFUSED else "grid", seed=3)
        optimizer = torch.optim.SGD(rule.parameters(), lr=0.05)
        torch.manual_seed(5)
        for _ in range(3):
            step(rule, optimizer, *samples(16))
        runs.append([p.detach().clone() for p in rule.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_it_learns_far_better_than_chance(name, rule):
    """Three clouds of points: chance is 1/3, and a linear classifier has them all."""
    torch.manual_seed(0)
    optimizer = rule.make_optimizer(max(rule.learning_rate, 0.01))
    for epoch in range(40):
        step(rule, optimizer, *samples(96, seed=epoch))
    x, y = samples(300, seed=99)
    assert (rule.eval().predict(x).argmax(1) == y).float().mean() > 0.8


@pytest.mark.parametrize("name", [name for name in RULES if name != "backprop"])
def test_a_model_that_it_cannot_teach_is_refused(name):
    with pytest.raises(ValueError, match=r"cannot train this model: .{20}"):
        RULES[name](Strange())


@pytest.mark.parametrize("name", ["error-diffusion", "forward-forward", "boltzmann"])
def test_sweeps_have_no_equilibrium(name):
    with pytest.raises(ValueError, match="no sweeps to count; use loops=8"):
        RULES[name].build(graphs.small_world(12, 4, 0.3, seed=0), 6, 3, loops=Equilibrium())


def test_only_modules_are_taught(name):
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        RULES[name](lambda x: x)


def test_wrong_labels_are_refused(name):
    rule = make(name, "layered")
    x, y = samples(8)
    with pytest.raises(TypeError, match="y must be an int64 tensor"):
        rule(x, y.float())
    with pytest.raises(ValueError, match="y must lie in"):
        rule(x, y + CLASSES)
    with pytest.raises(ValueError, match="y must hold one label for each sample"):
        rule(x, y[:4])


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("wrong", [{"in_features": 0}, {"num_classes": 0}, {"hidden": 0}], ids=str)
def test_sizes_that_cannot_be_are_refused(name, wrong):
    sizes = {"in_features": 4, "num_classes": 3, "hidden": 5, **wrong}
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be an integer >= 1, got 0"):
        RULES[name].build(None, **sizes)
