"""Gibbs sampling: all backends draw the same states from the same random numbers."""

import math

import pytest
import torch

from sparsebrain.kernels import Structure, gibbs, native_calls
from sparsebrain.kernels.coloring import Colors
from sparsebrain.kernels.counter import uniforms


def problem(nodes, pairs, dtype, generator):
    """Return a symmetric structure in mixed order, weights and biases."""
    i, j = torch.randint(0, nodes, (2, 3 * pairs), generator=generator)
    key = torch.unique(torch.minimum(i, j)[i != j] * nodes + torch.maximum(i, j)[i != j])[:pairs]
    i, j = key // nodes, key % nodes
    order = torch.randperm(2 * len(key), generator=generator)
    structure = Structure(torch.stack([torch.cat([i, j]), torch.cat([j, i])])[:, order], nodes)
    weight = torch.randn(len(key), generator=generator, dtype=dtype).repeat(2)[order]
    return structure, weight, torch.randn(nodes, generator=generator, dtype=dtype)


def first(weight, bias, structure, state, sweeps, seed, offset, clamped):
    """Update the neurons one by one, from the definition."""
    x = state.clone().to(weight.dtype)
    source, target = structure.edge_index
    for sweep in range(offset, offset + sweeps):
        u = uniforms(seed, sweep, torch.arange(len(x)), x.size(1)).to(weight.dtype)
        for neuron in structure.colors().neurons.tolist():
            if clamped is not None and clamped[neuron]:
                continue
            incoming = target == neuron
            field = weight[incoming] @ x[source[incoming]] + bias[neuron]
            x[neuron] = (u[neuron] < torch.sigmoid(field)).to(x.dtype)
    return x.to(torch.uint8)


@pytest.mark.parametrize("chains", [1, 5, 12, 13, 32, 33, 70])
def test_backends_agree_with_the_definition(backend, dtype, chains, generator):
    structure, weight, bias = problem(40, 90, dtype, generator)
    state = torch.randint(2, (40, chains), generator=generator, dtype=torch.uint8)
    clamped = torch.rand(40, generator=generator) < 0.2
    options = {"sweeps": 2, "seed": 7, "offset": 3, "clamped": clamped}
    found = gibbs(structure, weight, bias, state, structure.colors(), backend=backend, **options)
    expected = first(weight, bias, structure, state, **options)
    # A random number within rounding of a probability is a difference of one state in 10^6.
    assert torch.equal(found, expected)


@pytest.mark.parametrize("chains", [1, 3, 100])
def test_threads_change_nothing(chains, generator, dtype):
    structure, weight, bias = problem(30_000, 70_000, dtype, generator)
    state = torch.randint(2, (30_000, chains), generator=generator, dtype=torch.uint8)
    found = []
    threads = torch.get_num_threads()
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found.append(gibbs(structure, weight, bias, state, structure.colors(), 2, 1))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.skipif(native_calls.extension()[0] is None, reason="compiled kernels are missing")
@pytest.mark.parametrize("chains", [2, 40])
def test_instruction_sets_agree(chains, generator, dtype, monkeypatch):
    structure, weight, bias = problem(200, 900, dtype, generator)
    state = torch.randint(2, (200, chains), generator=generator, dtype=torch.uint8)
    found = []
    for name in native_calls.module().instruction_sets():
        monkeypatch.setattr(native_calls, "instruction_set", lambda name=name: name)
        found.append(gibbs(structure, weight, bias, state, structure.colors(), 5, 1))
    assert all(torch.equal(each, found[0]) for each in found)


def test_calls_continue_one_another(backend, generator):
    structure, weight, bias = problem(30, 60, torch.float32, generator)
    state = torch.zeros(30, 8, dtype=torch.uint8)
    colors, options = structure.colors(), {"seed": -1, "backend": backend}
    halves = gibbs(structure, weight, bias, state, colors, 2, **options)
    halves = gibbs(structure, weight, bias, halves, colors, 3, offset=2, **options)
    assert torch.equal(halves, gibbs(structure, weight, bias, state, colors, 5, **options))


def test_no_sweep_returns_a_copy(generator):
    structure, weight, bias = problem(10, 20, torch.float32, generator)
    state = torch.zeros(10, 3, dtype=torch.uint8)
    found = gibbs(structure, weight, bias, state, structure.colors(), 0, 0)
    assert torch.equal(found, state)
    assert found is not state


def test_colors_of_any_graph(structure):
    colors = structure.colors()
    assert sorted(colors.neurons.tolist()) == list(range(structure.num_nodes))
    color = torch.empty(structure.num_nodes, dtype=torch.int64)
    for number, members in enumerate(colors.classes()):
        color[members] = number
    source, target = structure.edge_index
    apart = source != target
    assert bool((color[source] != color[target])[apart].all())
    assert structure.colors() is colors


def test_uniforms_are_uniform_and_independent():
    u = uniforms(12345, 6, torch.arange(2000), 500).double()
    n = u.numel()
    assert float(u.min()) >= 0
    assert float(u.max()) < 1
    # Standard errors; five are exceeded with probability 6e-7.
    assert abs(float(u.mean()) - 0.5) < 5 / math.sqrt(12 * n)
    counts = torch.histc(u, 1000, 0, 1)
    # Chi-square with 999 degrees of freedom is above 1,230 with probability 6e-7.
    assert float(((counts - n / 1000) ** 2 / (n / 1000)).sum()) < 1230
    centered = (u - 0.5) * math.sqrt(12)
    later = (uniforms(12345, 7, torch.arange(2000), 500).double() - 0.5) * math.sqrt(12)
    other = (uniforms(12346, 6, torch.arange(2000), 500).double() - 0.5) * math.sqrt(12)
    for pair in (centered[1:] * centered[:-1], centered[:, 1:] * centered[:, :-1]):
        assert abs(float(pair.mean())) < 5 / math.sqrt(pair.numel())
    for pair in (centered * later, centered * other):
        assert abs(float(pair.mean())) < 5 / math.sqrt(n)


def test_uniforms_of_a_step_are_those_of_parts():
    whole = uniforms(3, 1, torch.arange(10), 6)
    assert torch.equal(uniforms(3, 1, torch.tensor([7, 2]), 4), whole[[7, 2], :4])


TRIANGLE = Structure(torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]]), 3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"weight": torch.ones(5)}, ValueError, "weight must be"),
        ({"weight": torch.full((6,), math.nan)}, ValueError, "weight must be finite"),
        ({"bias": torch.ones(3, dtype=torch.float64)}, TypeError, "bias must be a float32"),
        ({"state": torch.zeros(3, 2)}, TypeError, "state must be a uint8"),
        ({"state": torch.full((3, 2), 2, dtype=torch.uint8)}, ValueError, "state must be 0 or 1"),
        ({"clamped": torch.ones(3)}, TypeError, "clamped must be a bool"),
        ({"sweeps": -1}, ValueError, "sweeps must be"),
        ({"seed": 2**64}, ValueError, "seed must be"),
        ({"colors": None}, TypeError, r"colors must be a Colors.*structure.colors\(\)"),
        (
            {"colors": Colors(torch.tensor([0, 1, 2]).int(), torch.tensor([0, 3]).int())},
            ValueError,
            "colors must differ where neurons share a synapse",
        ),
        (
            {"colors": Colors(torch.tensor([0, 1, 9]).int(), torch.tensor([0, 1, 2, 3]).int())},
            ValueError,
            "colors must hold each of the 3 neurons once",
        ),
        (
            {"colors": Colors(torch.tensor([0, 1, 2]).int(), torch.tensor([0, 3, 2, 3]).int())},
            ValueError,
            "colors must hold each of the 3 neurons once",
        ),
    ],
)
def test_bad_arguments(change, error, message):
    arguments = {
        "structure": TRIANGLE,
        "weight": torch.ones(6),
        "bias": torch.ones(3),
        "state": torch.zeros(3, 2, dtype=torch.uint8),
        "colors": TRIANGLE.colors(),
        "sweeps": 1,
        "seed": 0,
    }
    with pytest.raises(error, match=message):
        gibbs(**arguments | change)


def test_self_loops_are_refused():
    loop = Structure(torch.tensor([[0, 1], [1, 1]]), 2)
    state = torch.zeros(2, 1, dtype=torch.uint8)
    with pytest.raises(ValueError, match="self-loop 1 -> 1"):
        gibbs(loop, torch.ones(2), torch.ones(2), state, loop.colors(), 1, 0)
