"""Blocks of synapses, and networks of blocks against their equations on full matrices."""

import pytest
import torch

import graphs
from sparsebrain import kernels
from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork
from sparsebrain.error_diffusion.bundles import Block, find_blocks

SAMPLES, CLASSES, SWEEPS = 6, 3, 7


def blocks_of(pairs):
    """The blocks of synapses given as (target, row), sorted."""
    target, read = torch.tensor(pairs).t()
    return find_blocks(read, target)


def test_targets_with_the_same_consecutive_rows_are_a_block():
    first = [(0, 0)]
    second = [(target, row) for target in (1, 2, 3) for row in (0, 1)]
    third = [(target, row) for target in (5, 6) for row in (0, 1)]
    fourth = [(7, 1), (7, 2)]
    assert blocks_of([*first, *second, *third, *fourth]) == (
        Block(0, range(1), range(1)),
        Block(1, range(1, 4), range(2)),
        Block(7, range(5, 7), range(2)),
        Block(11, range(7, 8), range(1, 3)),
    )


@pytest.mark.parametrize(
    "pairs",
    [
        [(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)],
        [(0, 0), (0, 0), (0, 2)],
        [(target, target) for target in range(9)],
    ],
    ids=["a row is missing", "parallel synapses", "too many"],
)
def test_other_synapses_are_sparse(pairs):
    assert blocks_of(pairs) == ()


def grid(side, features, dtype, **options):
    """A grid with inputs to all neurons: the output lies within the block of the inputs."""
    return ErrorDiffusionNetwork.around(
        graphs.grid_local((side, side), 2),
        features,
        networks=CLASSES,
        loops=SWEEPS,
        linear=True,
        init="degree",
        dtype=dtype,
        generator=torch.Generator().manual_seed(0),
        **options,
    )


def by_equations(network, x, y, reduction):
    """The scores [B, K] and the gradient [K, E], with full matrices and one sweep at a time."""
    source, target = network.edge_index
    held = torch.zeros(network.num_nodes, dtype=torch.bool)
    held[: network.output] = True
    value = torch.zeros(network.num_nodes, len(x), dtype=x.dtype)
    value[:2], value[2 : network.output] = network.bias_value, x.t().repeat_interleave(2, 0)
    scores, states = [], []
    for weight in network.weight.detach():
        matrix = torch.zeros(network.num_nodes, network.num_nodes, dtype=x.dtype)
        matrix.index_put_((target, source), weight, accumulate=True)
        state = torch.where(held[:, None], value, 0)
        for _ in range(network.loops):
            sums = matrix @ state
            state = torch.where(held[:, None], value, torch.sigmoid(sums * 2 / network.u0))
        scores.append(sums[network.output])
        states.append(state)
    scores = torch.stack(scores, 1)
    error = torch.nn.functional.one_hot(y, CLASSES) - scores.softmax(1)
    grads = []
    for state, of_class in zip(states, error.t(), strict=True):
        slope = state * (1 - state)
        slope[network.output] = 1
        amine = torch.where(
            network.types[:, None] > 0, of_class.clamp(min=0), -of_class.clamp(max=0)
        )
        grads.append(-(state[source] * amine[source] * slope[target]).sum(1))
    grad = torch.stack(grads)
    return scores, grad / len(x) if reduction == "mean" else grad


CASES = {
    "small": {"side": 4, "features": 5},
    "large": {"side": 12, "features": 60},
    "inputs to some": {"side": 12, "features": 200, "inputs": range(40, 90)},
    "no pairs": {"side": 12, "features": 120, "paired": False},
    "ternary": {"side": 12, "features": 60, "weights": "ternary"},
}


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("case", [case for case in CASES if case != "no pairs"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_step_with_blocks_is_that_of_the_equations(case, dtype, reduction, backend, monkeypatch):
    if backend == "torch":
        monkeypatch.setattr(kernels.BACKENDS["native"], "suits", lambda device: False)
    network = grid(dtype=dtype, **CASES[case])
    (stage,) = network.stages
    assert all(1 <= len(each.blocks) <= 8 for each in stage.feed)
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(SAMPLES, network.in_features, generator=generator, dtype=dtype)
    # A class without samples: no sample of its network has a positive error.
    y = torch.tensor([0, 1, 1, 0, 1, 1])
    expected, grad = by_equations(network, x, y, reduction)
    rule = ErrorDiffusion(network, reduction=reduction)
    loss = rule(x, y)
    torch.testing.assert_close(network(x).detach(), expected)
    torch.testing.assert_close(rule.predict(x), expected)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(expected, y))
    torch.testing.assert_close(network.strength.grad[network.places], grad)


@pytest.mark.parametrize("case", CASES)
def test_autograd_passes_through_blocks(case):
    network = grid(dtype=torch.float64, **CASES[case])
    x = torch.rand(2, network.in_features, dtype=torch.float64)
    with torch.no_grad():
        # The magnitude has no derivative at zero.
        network.strength += 1e-3
        expected = network(x)
    scores = network(x)
    torch.testing.assert_close(scores.detach(), expected)
    scores.sum().backward()
    grad, step = network.strength.grad, 1e-6
    rising = torch.randn(grad.shape, dtype=grad.dtype, generator=torch.Generator().manual_seed(2))
    if network.weights == "ternary":
        assert grad.isfinite().all()
        return
    with torch.no_grad():
        network.strength.add_(rising, alpha=step)
        above = network(x).sum()
        network.strength.sub_(rising, alpha=2 * step)
        below = network(x).sum()
    torch.testing.assert_close((above - below) / (2 * step), grad @ rising, rtol=1e-5, atol=1e-8)


def test_signs_and_zeros_of_the_gradient():
    """Magnitudes only grow, and those of sources without activity do not change."""
    network = grid(12, 60, torch.float32)
    x = torch.rand(SAMPLES, 60)
    x[:, 7] = 0
    ErrorDiffusion(network)(x, torch.tensor([0, 1, 2, 0, 1, 2]))
    grad = network.strength.grad[network.places]
    assert (grad <= 0).all()
    silent = torch.isin(network.edge_index[0], torch.tensor([2 + 2 * 7, 3 + 2 * 7]))
    assert not grad[:, silent].any()
    assert grad[:, ~silent].any(0).sum() > 0.9 * (~silent).sum()


def test_the_number_of_threads_does_not_change_a_step():
    """With sums of 785 and of 300 terms, which a library would split."""
    network = grid(16, 784, torch.float32)
    x = torch.rand(300, 784, generator=torch.Generator().manual_seed(1))
    y = torch.arange(300) % CLASSES
    rule, found, before = ErrorDiffusion(network), [], torch.get_num_threads()
    try:
        for number in (1, 2, 4):
            torch.set_num_threads(number)
            network.strength.grad = None
            rule(x, y)
            found.append((rule.predict(x[:64]), network.strength.grad))
    finally:
        torch.set_num_threads(before)
    for scores, grad in found[1:]:
        assert torch.equal(scores, found[0][0])
        for stage in network.stages:
            for bundle in stage.feed:
                assert torch.equal(bundle.part(grad), bundle.part(found[0][1]))
