"""Rules teach the same whatever torch wraps around them, or say that they cannot."""

import copy

import pytest
import torch
from torch import nn

from sparsebrain.learning import RULES, FeedbackAlignment, KolenPollack, WeightMirror
from tests.sparsebrain.learning.conftest import REFUSED, make, samples

ALIGNED = ["feedback-alignment", "sign-symmetry", "kolen-pollack", "weight-mirror"]
ALIGNED += ["direct-feedback-alignment"]


def fresh(name):
    return make(name, "layered" if (name, "grid") in REFUSED else "grid")


def gradients(rule):
    return {name: p.grad for name, p in rule.named_parameters() if p.grad is not None}


def taught(rule, call=None):
    """What it has learned of samples, with the same draws at every time."""
    torch.manual_seed(0)
    (rule if call is None else call)(*samples(16))
    return gradients(rule)


def test_gradients_accumulate(name):
    if name == "bcm":
        pytest.skip("its threshold moves with each batch, and the second update uses it")
    rule, parts = fresh(name), []
    for seed in range(2):
        single = fresh(name)
        torch.manual_seed(seed)
        single(*samples(16, seed=seed))
        parts.append(gradients(single))
        torch.manual_seed(seed)
        rule(*samples(16, seed=seed))
    wanted = {key: parts[0][key] + parts[1][key] for key in parts[0]}
    torch.testing.assert_close(gradients(rule), wanted)


def test_a_copy_learns_the_same_and_leaves_the_original_alone(name):
    rule = fresh(name)
    other = copy.deepcopy(rule)
    found = taught(other)
    assert not gradients(rule)
    torch.testing.assert_close(found, taught(rule))


# Of what torch.compile itself does while it looks at a model.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ALIGNED)
def test_a_compiled_rule_sends_back_what_it_should(name):
    wanted, rule = taught(fresh(name)), fresh(name)
    torch.testing.assert_close(taught(rule, torch.compile(rule, backend="eager")), wanted)


# Of what torch.compile itself does while it looks at a model.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ALIGNED)
def test_a_compiled_model_sends_back_what_it_should(name):
    """Its first call, without credit, is not taken for that of the step, nor the other way."""
    plain, rule = fresh(name), fresh(name)
    rule.model.compile(backend="eager")
    x, _ = samples(16)
    torch.testing.assert_close(rule.eval().predict(x), plain.eval().predict(x))
    torch.testing.assert_close(taught(rule.train()), taught(plain.train()))
    torch.testing.assert_close(rule.eval().predict(x), plain.eval().predict(x))


def test_small_errors_of_microcircuits_are_not_rounded_away():
    rule = fresh("dendritic-microcircuit")
    wanted = taught(fresh("dendritic-microcircuit"))
    with torch.autocast("cpu", torch.bfloat16):
        found = taught(rule)
    for key, value in wanted.items():
        assert (found[key] - value).norm() < 0.01 * value.norm()


def test_frozen_feedback_stays(name):
    rule = fresh(name)
    own = [p for key, p in rule.named_parameters() if not key.startswith("model.")]
    for parameter in own:
        parameter.requires_grad_(False)
    taught(rule)
    assert all(parameter.grad is None for parameter in own)


@pytest.mark.parametrize("name", ALIGNED)
def test_a_step_within_a_step_is_refused(name):
    """As by two threads that teach one model."""
    rule = fresh(name)
    hook = rule.model.register_forward_pre_hook(lambda *_: rule(*samples(4)))
    with pytest.raises(RuntimeError, match=r"replaced already.*copy\.deepcopy\(model\)"):
        rule(*samples(4))
    hook.remove()
    torch.testing.assert_close(taught(rule), taught(fresh(name)))


def test_what_other_software_has_replaced_is_not_lost():
    linear = nn.Linear(4, 3)
    linear.forward = replaced = lambda x: x @ linear.weight.T
    rule = FeedbackAlignment(nn.Sequential(linear))
    with pytest.raises(RuntimeError, match=r"forward of Linear.* is replaced already"):
        rule(torch.randn(2, 4), torch.tensor([0, 1]))
    assert linear.forward is replaced


def tied():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))
    model[2].weight = model[0].weight
    return model


def test_weights_of_two_layers_cannot_follow_two_ways_back():
    """W would take the steps of both, and neither B those of W."""
    with pytest.raises(ValueError, match=r"0 and 2 have the same weight.*WeightMirror"):
        KolenPollack(tied())
    WeightMirror(tied())
    once = nn.Linear(4, 4)
    KolenPollack(nn.Sequential(once, nn.Tanh(), once, nn.Tanh(), nn.Linear(4, 3)))


@pytest.mark.parametrize("name", [name for name in RULES if name not in ("backprop",)])
def test_a_model_that_was_changed_is_not_taught_by_halves(name):
    rule = fresh(name)
    if name in ("error-diffusion", "boltzmann"):
        rule.model = copy.deepcopy(rule.model)
    else:
        at = next(k for k, each in rule.model.named_children() if isinstance(each, nn.Linear))
        setattr(rule.model, at, copy.deepcopy(getattr(rule.model, at)))
    with pytest.raises(RuntimeError, match="other layers than when the rule was made"):
        rule(*samples(8))


def test_hooks_of_torch_see_the_inputs_and_outputs_of_a_step():
    """What they compute of them is computed as ever, and calls by name are taught as well."""

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x):
            return self.linear(input=x)

    torch.manual_seed(0)
    model = Named()
    rule, plain = FeedbackAlignment(model), copy.deepcopy(model)
    x, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    seen = []
    model.linear.register_forward_hook(
        lambda module, args, named, output: seen.append((named or args, output.detach())),
        with_kwargs=True,
    )
    rule(x, y)
    ((given, output),) = seen
    torch.testing.assert_close(torch.cat([given[0], given[0]]), torch.cat([x, x]))
    torch.testing.assert_close(output, plain(x))
    nn.functional.cross_entropy(plain(x), y).backward()
    torch.testing.assert_close(model.linear.weight.grad, plain.linear.weight.grad)
    torch.testing.assert_close(model.linear.bias.grad, plain.linear.bias.grad)
