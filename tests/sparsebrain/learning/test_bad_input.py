"""Every rule of the table refuses wrong samples and labels, names them, and says what to pass."""

import inspect
import re
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import graphs
import sparsebrain
from sparsebrain.learning import RULES, Backprop, FeedbackAlignment, Rule
from tests.sparsebrain.learning.conftest import CLASSES, FEATURES, make, samples

HOMES = tuple(str(Path(package.__file__).parent) for package in (graphs, sparsebrain))
REMEDY = re.compile(r"\b(pass|use|call|make|return|skip)\b")
X, Y = samples(8)
NOT_FINITE = {"nan": float("nan"), "inf": float("inf"), "-inf": -float("inf")}

# Each with the error that it is to raise.
WRONG_X = {
    "width": (torch.rand(8, FEATURES + 1), ValueError),
    "one sample": (X[0], ValueError),
    "number": (X[0, 0], ValueError),
    "sequence": (X.unsqueeze(1).repeat(1, 2, 1), ValueError),
    "float64": (X.double(), TypeError),
    "float16": (X.half(), TypeError),
    "bfloat16": (X.bfloat16(), TypeError),
    "int64": (X.long(), TypeError),
    "uint8": (X.byte(), TypeError),
    "bool": (X > 0.5, TypeError),
    "complex": (X.to(torch.complex64), TypeError),
    "coo": (X.to_sparse(), TypeError),
    "meta": (X.to("meta"), ValueError),
    "numpy": (X.numpy(), TypeError),
    "list": (X.tolist(), TypeError),
    "string": ("x", TypeError),
    "none": (None, TypeError),
    **{
        name: (X.index_fill(1, torch.tensor(2), value), ValueError)
        for name, value in NOT_FINITE.items()
    },
}
WRONG_Y = {
    "one-hot": (functional.one_hot(Y, CLASSES), ValueError),
    "short": (Y[:4], ValueError),
    "number": (Y[0], ValueError),
    "negative": (Y - 1, ValueError),
    "large": (Y + 1, ValueError),
    "huge": (Y + 2**62, ValueError),
    "meta": (Y.to("meta"), ValueError),
    "float32": (Y.float(), TypeError),
    "nan": (Y * float("nan"), TypeError),
    "int32": (Y.int(), TypeError),
    "bool": (Y > 0, TypeError),
    "complex": (Y.to(torch.complex64), TypeError),
    "coo": (Y.to_sparse(), TypeError),
    "numpy": (Y.numpy(), TypeError),
    "list": (Y.tolist(), TypeError),
    "string": ("y", TypeError),
    "none": (None, TypeError),
}


def refused(call, kind, name):
    """The message of the error that a call raises: of that kind, from here, with a remedy."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    message = str(caught.value)
    assert caught.type is kind, message
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert frame.filename.startswith(HOMES), frame
    assert re.search(rf"\b{name}\b", message), message
    assert REMEDY.search(message), message
    assert "mat1" not in message
    return message


def state(rule):
    """Everything that a step may change."""
    tensors = [*rule.parameters(), *rule.buffers()]
    return [(each.detach().clone(), each.grad) for each in tensors]


def unchanged(rule, before):
    return all(
        torch.equal(now, then) and grad is None is old
        for (now, grad), (then, old) in zip(state(rule), before, strict=True)
    )


@pytest.mark.parametrize("case", WRONG_X)
def test_wrong_samples_are_refused(name, case):
    x, kind = WRONG_X[case]
    rule = make(name, "layered")
    before = state(rule)
    refused(lambda: rule(x, Y), kind, "x")
    refused(lambda: rule.eval().predict(x), kind, "x")
    first = next(iter(rule.model.children()), None)
    if case not in ("one sample", "sequence") or not isinstance(first, nn.Linear):
        assert unchanged(rule, before)


@pytest.mark.parametrize("case", WRONG_Y)
def test_wrong_labels_are_refused(name, case):
    y, kind = WRONG_Y[case]
    refused(lambda: make(name, "layered")(X, y), kind, "y")


def test_samples_and_labels_come_in_equal_numbers(name):
    message = refused(lambda: make(name, "layered")(X[:4], Y), ValueError, "y")
    assert "8 labels y and scores [4, 3]" in message


def test_an_empty_batch_teaches_nothing_and_is_refused(name):
    """The mean over no samples is NaN, and one optimizer step would spread it."""
    rule = make(name, "layered")
    before = state(rule)
    message = refused(lambda: rule(X[:0], Y[:0]), ValueError, "y")
    assert "an empty batch" in message
    assert unchanged(rule, before)
    assert rule.eval().predict(X[:0]).shape == (0, CLASSES)


def test_other_methods_that_run_the_model_check_it_too(name):
    rule = make(name, "layered")
    for method in ("alignment", "losses", "potentials"):
        if hasattr(rule, method):
            call = getattr(rule, method)
            refused(lambda call=call: call(X[:, 1:], Y), ValueError, "x")
            refused(lambda call=call: call(X.tolist(), Y), TypeError, "x")
            refused(lambda call=call: call(X, Y.float()), TypeError, "y")
            refused(lambda call=call: call(X, Y + CLASSES), ValueError, "y")


def test_batch_normalization_needs_two_samples():
    model = nn.Sequential(nn.Linear(FEATURES, 4), nn.BatchNorm1d(4), nn.Linear(4, CLASSES))
    rule = FeedbackAlignment(model)
    refused(lambda: make("backprop", "layered")(X[:1], Y[:1]), ValueError, "x")
    message = refused(lambda: rule(X[:1], Y[:1]), ValueError, "x")
    assert "needs at least two samples while training, got one" in message
    assert "rule.eval()" in message


def test_images_are_to_be_flattened():
    rule = FeedbackAlignment(nn.Sequential(nn.Linear(FEATURES, CLASSES)))
    message = refused(lambda: rule(X.view(8, 3, 4), Y), ValueError, "x")
    assert "takes [..., 12], got [8, 3, 4]" in message
    assert "pass x.flatten(1)" in message


def test_a_module_of_torch_that_refuses_samples_is_named():
    rule = Backprop(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)))
    message = refused(lambda: rule(torch.rand(8, 3, 4, 4), Y), ValueError, "x")
    assert "in which Conv2d '0' was given [8, 3, 4, 4] of torch.float32 on cpu" in message


def test_errors_of_a_models_own_pass_unchanged():
    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Backprop(Broken())(X, Y)


def test_models_of_any_kind_decide_what_samples_are():
    """An embedding takes integers, and a model may take any object."""

    class First(nn.Linear):
        def forward(self, pair):
            return super().forward(pair[0])

    rule = Backprop(nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(8, CLASSES)))
    assert rule(torch.randint(5, (8, 2)), Y).isfinite()
    assert Backprop(First(FEATURES, CLASSES))((X, None), Y).isfinite()


class Own(Backprop):
    """A rule of a user's own, which returns what it is told."""

    def __init__(self, *, loss, scores):
        super().__init__(nn.Linear(FEATURES, CLASSES))
        self.returned, self.scores = loss, scores

    def forward(self, x, y):
        return self.returned

    def predict(self, x):
        """Scores."""
        return self.scores


@pytest.mark.parametrize(
    ("loss", "kind", "told"),
    [
        (None, TypeError, r"Own\.forward\(x, y\) must return the loss .* got NoneType"),
        (0.5, TypeError, r"must return the loss as a floating-point tensor, got float"),
        (torch.tensor(1), TypeError, r"got torch\.int64"),
        (torch.ones(3), ValueError, r"must return one number as the loss, got \[3\]"),
    ],
)
def test_what_a_rule_returns_as_the_loss_is_checked(loss, kind, told):
    message = refused(lambda: Own(loss=loss, scores=None)(X, Y), kind, "forward")
    assert re.search(told, message)


def test_a_loss_keeps_no_gradient():
    loss = torch.ones((), requires_grad=True)
    assert not Own(loss=loss, scores=None)(X, Y).requires_grad


@pytest.mark.parametrize(
    ("scores", "kind", "told"),
    [
        (None, TypeError, r"Own\.predict\(x\) must return scores .* got NoneType"),
        ([0.5], TypeError, r"as a tensor, got list"),
        (torch.ones(3), ValueError, r"must return scores \[B, classes\], got \[3\]"),
        (torch.ones(2, 3, 4), ValueError, r"got \[2, 3, 4\] for x \[8, 12\]"),
    ],
)
def test_what_a_rule_predicts_is_checked(scores, kind, told):
    message = refused(lambda: Own(loss=None, scores=scores).predict(X), kind, "predict")
    assert re.search(told, message)


def test_the_checks_leave_the_name_and_the_text_of_predict():
    assert Own.predict.__doc__ == "Scores."
    assert Own.predict.__qualname__ == "Own.predict"
    assert Rule.predict.__doc__.startswith("Return the class scores")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_microcircuits_refuse_narrow_weights(dtype):
    kind = RULES["dendritic-microcircuit"]
    with pytest.raises(ValueError, match=r"narrower than float32 round away; call model\.float"):
        kind(kind.build(None, FEATURES, CLASSES).to(dtype))
    rule = make("dendritic-microcircuit", "layered").to(dtype)
    with pytest.raises(TypeError, match=rf"weights are {dtype}.*call model\.float"):
        rule(X.to(dtype), Y)


@pytest.mark.parametrize("topology", ["layered", "grid"])
def test_every_rule_learns_under_autocast(name, topology):
    """Loops keep the dtype of their weights between layers that are narrow."""
    if (name, topology) == ("dendritic-microcircuit", "grid"):
        pytest.skip("refused on loops")
    rule, plain = make(name, topology), make(name, topology)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = rule(X, Y)
        scores = rule.eval().predict(X)
    torch.manual_seed(0)
    torch.testing.assert_close(loss.float(), plain(X, Y), rtol=0.05, atol=0.05)
    assert scores.shape == (8, CLASSES)
    assert all(p.grad.dtype == p.dtype for p in rule.parameters() if p.grad is not None)


OWN = ["kolen-pollack", "weight-mirror", "local-errors", "dendritic-microcircuit"]


@pytest.mark.parametrize("own", OWN)
def test_an_optimizer_without_the_rules_own_parameters_is_told_of(own):
    rule = make(own, "layered")
    optimizer = torch.optim.SGD(rule.model.parameters(), lr=0.1)
    rule(X, Y)
    rule(X, Y)  # Gradients add up without a warning.
    optimizer.step()
    with pytest.warns(UserWarning, match=rf"{type(rule).__name__} itself.*rule\.parameters\(\)"):
        rule(X, Y)
    optimizer.step()
    rule(X, Y)  # Once is enough.


def test_an_optimizer_of_all_parameters_is_not(name):
    rule = make(name, "layered")
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        rule(X, Y)
        optimizer.step()


NO_COUNT = [0, -1, 1.5, True, "3", None, 10**20, 2**63, [3], torch.ones(2), float("nan")]
BUILD = {
    "in_features": NO_COUNT,
    "num_classes": NO_COUNT,
    "loops": NO_COUNT,
    "hidden": [each for each in NO_COUNT if each is not None],
    "connectome": [3, "grid", [0, 1], torch.ones(2, 2), {}],
}


@pytest.mark.parametrize("argument", BUILD)
def test_wrong_arguments_of_build_are_refused(name, argument):
    right = {"connectome": None, "in_features": 4, "num_classes": 3, "loops": 1, "hidden": 5}
    for wrong in BUILD[argument]:
        with pytest.raises((TypeError, ValueError), match=argument) as caught:
            RULES[name].build(**{**right, argument: wrong})
        assert REMEDY.search(str(caught.value)), caught.value


def test_models_that_do_not_fit_into_memory_are_refused_before_they_are_made(name):
    for sizes in ({"hidden": 2**40}, {"num_classes": 2**40}, {"in_features": 2**40}):
        with pytest.raises(ValueError, match=next(iter(sizes))):
            RULES[name].build(None, **{"in_features": 4, "num_classes": 3, **sizes})


NO_SHARE = [0, 1, 1.5, -0.1, "0.1", None, True, float("nan"), torch.ones(2)]
NO_FLAG = [0, 1, "yes", None, torch.ones(2)]
NO_GENERATOR = [0, "seed", np.random.default_rng(0), torch]
NO_OPTION = ["misspelt", "", 0, None, ["both"], torch.ones(2), np.ones(2)]
DRAWING = [
    "feedback-alignment",
    "sign-symmetry",
    "kolen-pollack",
    "weight-mirror",
    "direct-feedback-alignment",
    "forward-forward",
    "dendritic-microcircuit",
    "equilibrium-propagation",
    "boltzmann",
]
WITHOUT_LABELS = ["random-features", "hebb", "oja", "bcm"]
LOSING = [*DRAWING[:5], "backprop", "error-diffusion", "equilibrium-propagation", *WITHOUT_LABELS]
OPTIONS = [
    *((each, "generator", NO_GENERATOR) for each in DRAWING),
    *((each, "loss", NO_OPTION) for each in LOSING),
    ("sign-symmetry", "uniform", NO_FLAG),
    ("weight-mirror", "noise", [0, -1, "1", None, True, float("inf"), float("nan")]),
    ("weight-mirror", "decay", [0, -1, "1", True, float("inf"), float("nan")]),
    ("direct-feedback-alignment", "num_classes", [0, -1, 1.5, "3", True, 2**40, 10**20]),
    ("error-diffusion", "reduction", NO_OPTION),
    ("local-errors", "kind", NO_OPTION),
    ("local-errors", "share", [-0.1, 1.5, "1", None, True, float("nan")]),
    ("local-errors", "num_classes", [0, 1, 1.5, "3", True, 2**40, 10**20]),
    ("forward-forward", "predict_by", NO_OPTION),
    ("forward-forward", "negatives", NO_OPTION),
    ("forward-forward", "peer", [-1, "1", None, True, float("inf"), float("nan")]),
    ("forward-forward", "groups", [torch.zeros(48, dtype=torch.int64)]),
    ("equilibrium-propagation", "beta", [*NO_SHARE[:1], *NO_SHARE[2:], 1e-6]),
    ("equilibrium-propagation", "nudge", NO_OPTION),
    ("boltzmann", "k", [0, -1, 1.5, "3", True, None, 10**20]),
    ("boltzmann", "chains", [0, -1, 1.5, "3", True, None, 10**20]),
    ("boltzmann", "persistent", [*NO_FLAG, True]),
    ("boltzmann", "inputs", NO_OPTION),
    ("dendritic-microcircuit", "output_nudge", NO_SHARE),
    ("dendritic-microcircuit", "interneuron_nudge", NO_SHARE),
    ("dendritic-microcircuit", "apical_share", NO_SHARE),
    ("dendritic-microcircuit", "self_predicting", NO_FLAG),
    ("dendritic-microcircuit", "plastic_inhibition", NO_FLAG),
    ("dendritic-microcircuit", "rescale", NO_FLAG),
]


def test_every_option_of_every_rule_is_tried():
    tried = {(rule, option) for rule, option, _ in OPTIONS}
    for each in RULES:
        options = set(inspect.signature(RULES[each]).parameters) - {"model"}
        assert {option for rule, option in tried if rule == each} == options


@pytest.mark.parametrize(("own", "option", "values"), OPTIONS)
def test_wrong_options_of_rules_are_refused(own, option, values):
    model = make(own, "layered").model
    for wrong in values:
        with pytest.raises((TypeError, ValueError), match=rf"\b{option}\b") as caught:
            RULES[own](model, **{option: wrong})
        assert REMEDY.search(str(caught.value)), caught.value


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf"), "0.1", True, torch.ones(2)])
def test_wrong_learning_rates_are_refused(name, rate):
    with pytest.raises((TypeError, ValueError), match="learning_rate must be a finite number"):
        make(name, "layered").make_optimizer(rate)


@pytest.mark.parametrize("model", [None, 3, "model", nn.Linear, lambda x: x, np.ones(2), X])
def test_only_modules_are_taught(name, model):
    message = refused(lambda: RULES[name](model), TypeError, "model")
    assert "sparsebrain.models.classifier(connectome, num_classes=10)" in message
