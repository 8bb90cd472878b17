"""A step of error diffusion in one call, against the same stage by stage."""

import math

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import kernels
from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork, step
from sparsebrain.error_diffusion.buffer import Buffer
from sparsebrain.error_diffusion.step import CompiledStep

compiled = pytest.mark.skipif(
    kernels.available()["native"] is not None, reason="no compiled kernels; .ci/run asserts them"
)
FEATURES = 37
WIDTHS = [9, 6, 5]


def layers(**options):
    data = graphs.layered(WIDTHS)
    inputs, outputs = range(WIDTHS[0]), range(sum(WIDTHS[:-1]), sum(WIDTHS))
    return ErrorDiffusionNetwork.around(data, FEATURES, inputs=inputs, outputs=outputs, **options)


def some(**options):
    """A third of the synapses in all layers, of every cell at least one."""
    network = layers(**options)
    drawn = torch.rand(network.edge_index.size(1), generator=torch.Generator().manual_seed(1))
    kept = (network.edge_index.sum(0) % 4 == 0) | (drawn < 0.1)
    data = Data(edge_index=network.edge_index[:, kept], num_nodes=network.num_nodes)
    return ErrorDiffusionNetwork(
        data,
        network.types,
        inputs=range(2, network.output),
        bias=range(2),
        output=network.output,
        loops=4,
        **options,
    )


def bare(**options):
    """Two cells in a pair of inputs, no bias, and a cell that nobody hears behind the output."""
    edges = torch.tensor([[0, 1, 0, 2, 4, 3], [2, 2, 4, 3, 3, 5]])
    types = torch.tensor([1.0, -1, -1, 1, 1, 1])
    return ErrorDiffusionNetwork(
        Data(edge_index=edges, num_nodes=6), types, inputs=range(2), output=3, **options
    )


NETWORKS = {
    "full": layers,
    "single inputs": lambda **options: layers(paired=False, types="random", **options),
    "few inputs": lambda **options: layers(density=0.2, **options),
    "few of all": some,
    "no bias": bare,
}
LEARNS = {
    "one": {"networks": 1},
    "quadratic": {"networks": 3},
    "free signs": {"networks": 2, "keep_signs": False},
    "cross-entropy": {"networks": 3, "linear": True},
}
ALL = [
    (name, learns)
    for name in NETWORKS
    for learns in LEARNS
    if (name, learns) != ("no bias", "cross-entropy")
]


def make(name, learns, dtype=torch.float64, reduction="mean"):
    torch.manual_seed(0)
    network = NETWORKS[name](dtype=dtype, init=0.7, **LEARNS[learns])
    loss = "cross-entropy" if learns == "cross-entropy" else "quadratic"
    rule = ErrorDiffusion(network, loss=loss, reduction=reduction)
    with torch.no_grad():
        # As an optimizer may leave them.
        network.strength[::3] *= -1
    return rule


def samples(rule, batch, seed=0):
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(batch, rule.model.in_features, generator=draw, dtype=torch.float64)
    y = torch.randint(max(rule.model.networks, 2), (batch,), generator=draw)
    return x.to(rule.model.strength.dtype), y


def learn(rule, x, y, *, at_once):
    """Loss, gradient and what became of the strengths, which are then put back."""
    strength, call = rule.model.strength, rule.model.compiled
    before = strength.detach().clone()
    if at_once:
        assert takes(rule, x, y)
        strength.data.copy_(before)
    else:
        rule.model.compiled = None
    found = [rule(x, y), strength.grad, strength.detach().clone()]
    rule.model.compiled, strength.grad = call, None
    strength.data.copy_(before)
    return found


def takes(rule, x, y):
    """Whether the compiled step takes the samples."""
    model = rule.model
    options = {
        "slope": 2 / model.u0,
        "bias_value": model.bias_value,
        "linear": model.linear,
        "fold": model.keep_signs,
        "entropy": rule.loss == "cross-entropy",
        "mean": rule.reduction == "mean",
        "buffer": Buffer(),
    }
    return model.compiled(x, y, model.strength, **options) is not None


@compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("name", "learns"), ALL)
def test_every_instruction_set_agrees_with_the_stages(name, learns, dtype, monkeypatch):
    """To 1e-12 in double precision, to 2e-5 in single."""
    exact, rule = make(name, learns), make(name, learns, dtype)
    rule.model.strength.data = exact.model.strength.data.to(dtype)
    x, y = samples(exact, 83)
    expected = learn(exact, x, y, at_once=False)
    near = 2e-5 if dtype == torch.float32 else 1e-12
    module, _ = step.load_kernel()
    for each in module.instruction_sets():
        monkeypatch.setattr(step, "load_kernel", lambda each=each: (module, each))
        found = learn(rule, x.to(dtype), y, at_once=True)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=near, atol=near)


@compiled
@pytest.mark.parametrize("batch", [1, 2, 5, 15, 31, 64, 130])
@pytest.mark.parametrize("name", ["full", "few of all"])
def test_any_batch_is_cut_into_tiles(name, batch):
    for reduction in ("mean", "sum"):
        rule = make(name, "cross-entropy", reduction=reduction)
        given = samples(rule, batch)
        for one, other in zip(
            learn(rule, *given, at_once=True), learn(rule, *given, at_once=False), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


@compiled
@pytest.mark.parametrize("name", ["full", "few of all"])
def test_the_number_of_threads_changes_no_bit(name):
    rule = make(name, "quadratic", torch.float32)
    given = samples(rule, 400)
    before, found = torch.get_num_threads(), []
    assert rule.model.strength.numel() * 400 > 200_000
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(learn(rule, *given, at_once=True))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


@compiled
def test_the_rule_takes_the_call_and_adds_gradients_up():
    rule = make("few inputs", "quadratic")
    given = samples(rule, 7)
    _, grad, _ = learn(rule, *given, at_once=True)
    version = rule.model.strength._version
    for times in (1, 2):
        rule(*given)
        torch.testing.assert_close(rule.model.strength.grad, times * grad, rtol=1e-12, atol=0)
    assert rule.model.strength._version > version
    rule.model.strength.grad = None
    x = given[0].t().contiguous().t()
    assert torch.equal(learn(rule, x, given[1], at_once=True)[1], grad)


@compiled
@pytest.mark.parametrize("value", [-1e-3, math.nan])
@pytest.mark.parametrize("feature", [0, 20, FEATURES - 1])
@pytest.mark.parametrize("sample", [0, 66])
def test_wrong_inputs_and_labels_are_left_to_the_stages(sample, feature, value):
    rule = make("full", "one", torch.float32)
    x, y = samples(rule, 67)
    assert takes(rule, x, y)
    x[sample, feature] = value
    assert not takes(rule, x, y)
    with pytest.raises(ValueError, match="x must (not be negative|be finite)"):
        rule(x, y)
    x[sample, feature], y[sample] = 0.0, -1 if feature else 2
    assert not takes(rule, x, y)
    with pytest.raises(ValueError, match=r"y must lie in 0\.\.1"):
        rule(x, y)
    assert rule.model.strength.grad is None


def test_what_the_kernel_does_not_take_goes_by_stages():
    rule = make("full", "one")
    x, y = samples(rule, 4)
    assert not takes(rule, x[:0], y[:0])
    assert not takes(rule, x[:, 1:], y)
    assert not takes(rule, x.float(), y)
    assert not takes(rule, x, y.int())
    assert not takes(rule, x, y[:3])
    rule.model.strength.requires_grad_(False)
    rule(x, y)
    assert rule.model.strength.grad is None
    loops = ErrorDiffusionNetwork.around(graphs.small_world(6, 2, 0.1, seed=0), 3, loops=4)
    assert loops.compiled is None


def test_without_compiled_kernels_the_rule_is_the_same(monkeypatch):
    rule = make("few inputs", "cross-entropy")
    given = samples(rule, 9)
    expected = rule(*given), rule.model.strength.grad
    rule.model.strength.grad = None
    monkeypatch.setattr(step, "load_kernel", lambda: None)
    assert not takes(rule, *given)
    found = rule(*given), rule.model.strength.grad
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_wide_indices_are_left_to_the_stages(monkeypatch):
    network = layers(density=0.2)
    sizes = {"networks": 1, "in_features": FEATURES, "bias": True}
    again = CompiledStep.of(network.stages, network.output, **sizes)
    assert torch.equal(again.table, network.compiled.table)
    structure = network.stages[0].feed[0].structure
    view = structure.by_target
    monkeypatch.setattr(structure, "by_target", view._replace(pointer=view.pointer.long()))
    assert CompiledStep.of(network.stages, network.output, **sizes) is None


@compiled
def test_strengths_of_another_number_are_not_taken():
    """Assigned to a rule that was made for another network, the kernel would read past the end."""
    rule, other = make("full", "one"), make("few inputs", "one")
    x, y = samples(rule, 4)
    rule.model.compiled = other.model.compiled
    assert not takes(rule, x, y)
