"""The counter noise: its definition, every backend, and its distribution."""

import math

import pytest
import torch
from scipy import special, stats

import graphs
from sparsebrain import kernels
from sparsebrain.kernels import Structure, native_calls
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.noise import CounterNoise

KEY = 0x1234_5678_9ABC_DEF0
COMPILED = kernels.available()["native"] is None
needs_compiled = pytest.mark.skipif(not COMPILED, reason="no compiled kernels")


def noise(key=KEY, std=1.0, first=0):
    return CounterNoise(torch.tensor(key), std, first)


def by_hand(key, loop, neuron, sample):
    """The definition, in Python's integers."""
    low, golden = 2**64 - 1, 0x9E3779B97F4A7C15

    def mix(z):
        z &= low
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & low
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & low
        return z ^ (z >> 31)

    r = mix(mix(mix(key) + golden * (loop + 1)) + golden * (neuron + 1))
    h = (r + sample * 0x9E3779B9) % 2**32
    h = (h ^ (h >> 16)) * 0x21F0AAAD % 2**32
    h = (h ^ (h >> 15) ^ (r >> 32)) * 0xD35A2D97 % 2**32
    h ^= h >> 15
    k = h - 2**32 if h >> 31 else h
    x = (2 * k + 1) / 2**32
    # The same as sqrt(2) erfinv(x), without the rounding of x near 1.
    return math.copysign(special.ndtri((1 - abs(x)) / 2), x)


def drawn(backend, of, loops, neurons, batch, dtype):
    """The noise of loops on neurons without synapses, whose states are the noise alone."""
    structure = Structure(torch.zeros(2, 0, dtype=torch.int64), neurons)
    state, weight = torch.zeros(neurons, batch, dtype=dtype), torch.zeros(0, dtype=dtype)
    return torch.stack(
        kernels.loop(structure, weight, state, loops=loops, noise=of, keep=True, backend=backend)
    )


@pytest.mark.parametrize("key", [0, 1, KEY, 2**63 - 1, -1])
def test_values_are_the_hash_of_key_loop_neuron_and_sample(key):
    expected = [
        [[by_hand(key, loop, neuron, sample) for sample in range(40)] for neuron in range(3)]
        for loop in (2, 3)
    ]
    like = torch.zeros(3, 40, dtype=torch.float64)
    found = torch.stack([noise(key, first=2).values(number, like) for number in range(2)])
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8, 16, 31, 32, 64, 100, 130])
def test_every_backend_draws_the_same_numbers(backend, dtype, batch):
    found = drawn(backend, noise(std=0.7), 3, 33, batch, dtype)
    like = torch.zeros(33, batch, dtype=torch.float64)
    expected = torch.stack([noise(std=0.7).values(number, like) for number in range(3)])
    error = {torch.float32: 1e-6, torch.float64: 1e-14}[dtype]
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=error)


@needs_compiled
def test_every_instruction_set_draws_the_same_numbers_in_the_tails_too(monkeypatch, dtype):
    """A million values reach 4.9 standard deviations and all branches."""
    like = torch.zeros(100, 10_000, dtype=torch.float64)
    expected = noise().values(0, like)
    assert expected.abs().max() > 4
    for name in native_calls.module().instruction_sets():
        monkeypatch.setattr(native_calls, "instruction_set", lambda name=name: name)
        (found,) = drawn("native", noise(), 1, 100, 10_000, dtype).double()
        error = {torch.float32: 2e-6, torch.float64: 1e-13}[dtype]
        torch.testing.assert_close(found, expected, rtol=0, atol=error, msg=name)


@needs_compiled
def test_the_numbers_do_not_depend_on_the_threads():
    data = graphs.grid_local((30, 30), 1)
    structure = Structure(data.edge_index, data.num_nodes)
    weight, state = torch.full((data.num_edges,), 0.1), torch.zeros(900, 300)
    threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found += kernels.loop(structure, weight, state, loops=3, noise=noise())
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("activation", [*ACTIVATIONS, pytest.param(torch.sin, id="sin")])
@pytest.mark.parametrize(
    "options", [{}, {"leak": True}, {"checkpoint": True, "keep": True}], ids=str
)
def test_fused_noise_is_noise_added_loop_by_loop(small, backend, activation, options):
    """States and gradients, the states differentiated too, against autograd on single loops."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)

    weight, state, drive, bias = draw(9), draw(5, 4), draw(5, 4), draw(5)
    leaves = [weight, state, drive, bias]
    given = {"drive": drive, "bias": bias, "activation": activation, "backend": backend}
    options = dict(options)
    if options.pop("leak", False):
        given["leak"] = bias.detach().sigmoid().requires_grad_()
        leaves.append(given["leak"])
    counter = noise(std=0.5)
    expected, current = [], state
    for number in range(5):
        (current,) = kernels.loop(small, weight, current, loops=1, **given)
        current = current + counter.values(number, state)
        expected.append(current)
    found = kernels.loop(small, weight, state, loops=5, noise=counter, **given, **options)
    expected = expected if options.get("keep") else expected[-1:]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(sum(each.cos().sum() for each in found), leaves),
        torch.autograd.grad(sum(each.cos().sum() for each in expected), leaves),
    )


@pytest.mark.parametrize("activation", ["tanh", "gelu", "hardtanh"])
def test_gradients_through_noise_are_those_of_finite_differences(small, backend, activation):
    torch.manual_seed(0)
    given = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in (9, (5, 2))]

    def function(weight, state):
        options = {"loops": 3, "activation": activation, "backend": backend, "keep": True}
        return tuple(kernels.loop(small, weight, state, noise=noise(std=0.3), **options))

    assert torch.autograd.gradcheck(function, given)
    if activation != "hardtanh":
        assert torch.autograd.gradgradcheck(function, given)


def test_transforms_and_operators_see_the_same_noise(small):
    weight, state = torch.randn(9, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)

    def run(weight, state, key=None):
        of = noise() if key is None else CounterNoise(key, 1.0)
        return kernels.loop(small, weight, state, loops=3, activation="tanh", noise=of)[0]

    expected = run(weight, state)
    torch.testing.assert_close(torch.func.vmap(run)(weight[None], state[None])[0], expected)
    keys = torch.tensor([KEY, 5])
    both = torch.func.vmap(run, in_dims=(None, None, 0))(weight, state, keys)
    torch.testing.assert_close(both, torch.stack([run(weight, state, key) for key in keys]))
    for create_graph in (False, True):
        leaf = weight.clone().requires_grad_()
        (found,) = torch.autograd.grad(run(leaf, state).sum(), leaf, create_graph=create_graph)
        wanted = torch.func.grad(lambda weight: run(weight, state).sum())(weight)
        torch.testing.assert_close(found, wanted)
    torch.compiler.reset()
    compiled = torch.compile(run, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(weight, state, torch.tensor(KEY)), expected)


@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        (CounterNoise(5, 1.0), TypeError, "noise.key must be a"),
        (CounterNoise(torch.tensor(5.0), 1.0), TypeError, "noise.key must be a"),
        (CounterNoise(torch.tensor([5]), 1.0), ValueError, "noise.key must be a"),
        (CounterNoise(torch.tensor(5), -1.0), ValueError, "noise.std must be"),
        (CounterNoise(torch.tensor(5), "1"), TypeError, "noise.std must be"),
    ],
)
def test_bad_noise_is_refused(small, bad, error, match):
    with pytest.raises(error, match=match):
        kernels.loop(small, torch.zeros(9), torch.zeros(5, 2), loops=1, noise=bad)


# The distribution. Each bound is passed by mistake with a probability of 1e-6 at most.

SIGMAS = 4.9


@pytest.fixture(scope="module")
def many():
    """20 loops, 100 neurons and 1000 samples: two million values."""
    like = torch.zeros(100, 1000, dtype=torch.float32)
    return torch.stack([noise().values(number, like) for number in range(20)]).double()


def test_moments_are_those_of_a_normal_distribution(many):
    error = many.numel() ** -0.5
    assert abs(float(many.mean())) < SIGMAS * error
    assert abs(float(many.square().mean()) - 1) < SIGMAS * math.sqrt(2) * error
    assert abs(float((many**3).mean())) < SIGMAS * math.sqrt(15) * error
    assert abs(float((many**4).mean()) - 3) < SIGMAS * math.sqrt(96) * error


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1)], ids=str)
def test_all_values_and_those_of_one_loop_neuron_or_sample_are_normal(many, axes):
    """Kolmogorov and Smirnov's test: of all values, and of the first five along each axis."""
    assert stats.kstest(many.flatten().numpy(), "norm").pvalue > 1e-6
    for values in many.permute(axes)[:5]:
        assert stats.kstest(values.flatten().numpy(), "norm").pvalue > 2e-7


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["loops", "neurons", "samples"])
@pytest.mark.parametrize("distance", [1, 2, 3, 8, 16])
@pytest.mark.parametrize("power", [1, 2])
def test_values_side_by_side_are_uncorrelated(many, axis, distance, power):
    """So are their squares: a product of two has mean zero and a known variance."""
    values = many if power == 1 else (many.square() - 1) / math.sqrt(2)
    size = values.size(axis) - distance
    one, other = values.narrow(axis, 0, size), values.narrow(axis, distance, size)
    assert abs(float((one * other).mean())) < SIGMAS * one.numel() ** -0.5


@pytest.mark.parametrize("other", [KEY + 1, KEY ^ (1 << 40), KEY + 0x9E3779B97F4A7C15 - 2**64])
def test_keys_that_differ_little_give_independent_noise(many, other):
    """Not even a key that is one step of the counter further on."""
    like = torch.zeros(100, 1000, dtype=torch.float32)
    again = torch.stack([noise(other).values(number, like) for number in range(20)]).double()
    assert abs(float((many * again).mean())) < SIGMAS * many.numel() ** -0.5
    assert not (many == again).any(-1).any(-1).all()


def test_pairs_of_samples_fill_the_plane_evenly(many):
    """Samples 2 b and 2 b + 1 in 16 by 16 cells of equal probability, by a chi-squared test."""
    cells = (torch.special.ndtr(many) * 16).long().clamp_(0, 15).reshape(-1, 2)
    counts = torch.bincount(cells[:, 0] * 16 + cells[:, 1], minlength=256)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-6
