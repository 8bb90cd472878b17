"""What only the compiled kernels have: instruction sets, tiles, threads, two widths of indices."""

import math
import sys
import threading
import types

import pytest
import torch

import graphs
from sparsebrain import kernels
from sparsebrain.kernels import Structure, native_calls
from sparsebrain.kernels.activations import ACTIVATIONS

pytestmark = pytest.mark.skipif(
    kernels.available()["native"] is not None, reason="no compiled kernels; .ci/run asserts them"
)


@pytest.fixture
def sets():
    return native_calls.module().instruction_sets()


@pytest.fixture
def grid():
    data = graphs.grid_local((9, 8), 1)
    return Structure(data.edge_index, data.num_nodes)


def learn(structure, weight, state, drive, bias, backend, **options):
    """Last state and all gradients; the leak follows from the bias."""
    given = [each.clone().requires_grad_() for each in (weight, state, drive, bias, bias.sigmoid())]
    names = ("drive", "bias", "leak")
    (last,) = kernels.loop(
        structure,
        *given[:2],
        **dict(zip(names, given[2:], strict=True)),
        backend=backend,
        **options,
    )
    last.backward(torch.cos(last.detach()))
    return [last.detach(), *(each.grad for each in given)]


def problem(structure, batch, dtype, seed=0):
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(structure.num_edges, generator=draw, dtype=torch.float64) / 3
    state, drive = torch.randn(2, structure.num_nodes, batch, generator=draw, dtype=torch.float64)
    bias = torch.randn(structure.num_nodes, generator=draw, dtype=torch.float64)
    return [each.to(dtype) for each in (weight, state, drive / 10, bias)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_instruction_set_agrees_with_the_reference(
    grid, sets, activation, dtype, monkeypatch
):
    given = problem(grid, 77, dtype)
    exact = learn(
        grid, *(each.double() for each in given), "reference", loops=4, activation=activation
    )
    assert sets[0] == "baseline"
    for name in sets:
        monkeypatch.setattr(native_calls, "instruction_set", lambda name=name: name)
        found = learn(grid, *given, "native", loops=4, activation=activation)
        for one, other in zip(found, exact, strict=True):
            error = (one.double() - other).abs().max() / other.abs().max()
            assert float(error) < 50 * torch.finfo(dtype).eps, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_right_to_a_few_units_in_the_last_place(
    sets, activation, dtype, monkeypatch
):
    """One neuron with a self-loop of weight 1 shows f itself."""
    lone = Structure(torch.tensor([[0], [0]]), 1)
    x = torch.linspace(-30, 30, 20_001, dtype=dtype)
    x = torch.cat([x, x / 1000, torch.tensor([0.0, -0.0, 1e30, -1e30], dtype=dtype)])
    exact = ACTIVATIONS[activation].function(x.double())
    places = 4 if activation in ("tanh", "sigmoid") else 8
    if activation == "gelu" and dtype == torch.float64:
        # Of torch's erfc the argument is rounded, which its lower tail magnifies.
        places = 1000
    for name in sets:
        monkeypatch.setattr(native_calls, "instruction_set", lambda name=name: name)
        (y,) = kernels.loop(
            lone,
            torch.ones(1, dtype=dtype),
            x.unsqueeze(0),
            loops=1,
            activation=activation,
            backend="native",
        )
        # Below the smallest normal number there are fewer places.
        unit = torch.finfo(dtype).eps * exact.abs() + 30 * torch.finfo(dtype).tiny
        assert float(((y[0].double() - exact).abs() / unit).max()) < places, name
        assert activation not in ("tanh", "sigmoid") or float(y.abs().max()) <= 1


def test_compiled_names_and_numbers_are_those_of_the_table():
    assert native_calls.module().activations() == {
        name: each.number for name, each in ACTIVATIONS.items()
    }


def test_kernels_of_another_version_are_an_obstacle(monkeypatch):
    table = {"none": 0, "tanh": 1, "swish": 2}
    other = types.SimpleNamespace(activations=lambda: table)
    monkeypatch.setitem(sys.modules, "sparsebrain.kernels._native", other)
    module, obstacle = native_calls.extension.__wrapped__()
    assert module is None
    assert "'swish': 2" in obstacle
    assert obstacle.endswith("call pip install . to build them again")


def test_an_unknown_number_is_no_activation():
    with pytest.raises(ValueError, match="no activation of number 99"):
        native_calls.module().response(99, False, (0, 0, 0), 0, 0, 0, 0, 0.0, False)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_is_no_number_stays_none(activation):
    lone = Structure(torch.tensor([[0], [0]]), 1)
    for width in (1, 4, 8, 64):
        (y,) = kernels.loop(
            lone,
            torch.ones(1),
            torch.full((1, width), math.nan),
            loops=1,
            activation=activation,
            backend="native",
        )
        assert bool(y.isnan().all())


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7, 8, 15, 31, 64, 65, 100, 127, 129, 200])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_any_batch_is_cut_into_tiles(grid, batch, dtype):
    given = problem(grid, batch, dtype)
    found = learn(grid, *given, "native", loops=3, activation="tanh")
    exact = learn(grid, *(each.double() for each in given), "reference", loops=3, activation="tanh")
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


def test_a_sample_does_not_depend_on_those_beside_it(grid):
    weight, state, _, _ = problem(grid, 130, torch.float32)
    options = {"loops": 5, "activation": "tanh", "backend": "native"}
    (together,) = kernels.loop(grid, weight, state, **options)
    for sample in (0, 63, 64, 128, 129):
        (alone,) = kernels.loop(grid, weight, state[:, [sample]], **options)
        torch.testing.assert_close(alone[:, 0], together[:, sample], rtol=1e-5, atol=1e-6)


def test_every_state_and_every_gradient_that_reaches_one(grid):
    weight, state, _, _ = problem(grid, 20, torch.float64)
    results = []
    for backend in ("native", "reference"):
        w, x = weight.clone().requires_grad_(), state.clone().requires_grad_()
        states = kernels.loop(grid, w, x, loops=5, activation="tanh", keep=True, backend=backend)
        (states[1].square().sum() + states[3].sum()).backward()
        results.append([*states, w.grad, x.grad])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("batch", [1, 3, 9, 31, 77])
def test_wide_indices_compute_the_same(grid, batch):
    """Structures beyond 2^31 synapses have them; a small one is widened here."""
    given = problem(grid, batch, torch.float64)
    found = learn(grid, *given, "native", loops=3, activation="tanh")
    wide = Structure.from_arrays([array.long() for array in grid.arrays()], grid.num_nodes)
    for one, other in zip(
        found, learn(wide, *given, "native", loops=3, activation="tanh"), strict=True
    ):
        # A column of its own is summed in vectors only with narrow indices.
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-14)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("neurons", [300, 40_000], ids=["in cache", "beyond the cache"])
def test_a_run_is_repeated_bit_for_bit(neurons, threads):
    """At one number of threads everything; at another all but the sums over the batch."""
    data = graphs.small_world(neurons, 10, 0.5, seed=0)
    structure = Structure(data.edge_index, neurons)
    given = problem(structure, 64, torch.float32)
    threads(2)
    first, again = (learn(structure, *given, "native", loops=3, activation="tanh") for _ in "ab")
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    threads(1)
    alone = learn(structure, *given, "native", loops=3, activation="tanh")
    state, grad_weight, grad_state, grad_drive, *of_neurons = zip(first, alone, strict=True)
    for one, other in (state, grad_state, grad_drive):
        assert torch.equal(one, other)
    for one, other in (grad_weight, *of_neurons):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_hub_and_a_state_beyond_the_cache(threads):
    threads(2)
    draw = torch.Generator().manual_seed(0)
    neurons = 30_000
    hub = torch.stack([torch.arange(1, neurons), torch.zeros(neurons - 1, dtype=torch.int64)])
    loose = torch.randint(neurons, (2, 50_000), generator=draw)
    structure = Structure(torch.cat([hub, hub.flip(0), loose], dim=1), neurons)
    weight, state, drive, bias = problem(structure, 20, torch.float64)
    given = (weight / 100, state, drive, bias)
    for one, other in zip(
        learn(structure, *given, "native", loops=3, activation="tanh"),
        learn(structure, *given, "reference", loops=3, activation="tanh"),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("place", [0, 24_999, 49_999], ids=["first", "middle", "last"])
@pytest.mark.parametrize("neurons", [300, 10_000], ids=["in cache", "beyond the cache"])
@pytest.mark.parametrize("loops", [1, 3])
def test_all_threads_stop_at_an_index_that_leads_nowhere(neurons, place, loops, threads):
    threads(2)
    draw = torch.Generator().manual_seed(0)
    structure = Structure(torch.randint(neurons, (2, 50_000), generator=draw), neurons)
    given = problem(structure, 128, torch.float32)
    learn(structure, *given, "native", loops=loops, activation="tanh")
    for array in (structure.by_target.neuron, structure.by_target.order):
        kept = array[place].clone()
        array.data[place] = 2**31 - 1
        with pytest.raises(ValueError, match="lead to neurons or synapses"):
            learn(structure, *given, "native", loops=loops, activation="tanh")
        array.data[place] = kept
    structure.by_target.pointer.data[neurons // 2] += 50_000
    with pytest.raises(ValueError, match="lead to neurons or synapses"):
        learn(structure, *given, "native", loops=loops, activation="tanh")


def test_indices_are_checked_for_an_empty_batch(grid):
    structure = Structure(grid.edge_index, grid.num_nodes)
    structure.by_target.neuron.data[3] = -1
    with pytest.raises(ValueError, match="lead to neurons or synapses"):
        kernels.loop(structure, torch.ones(grid.num_edges), torch.ones(72, 0), loops=2)


def test_several_python_threads_compute_at_once(grid):
    given = [problem(grid, 40, torch.float32, seed) for seed in range(4)]
    options = {"loops": 10, "activation": "tanh"}
    alone = [learn(grid, *each, "native", **options) for each in given]
    found = [[] for _ in given]

    def work(number):
        for _ in range(20):
            found[number].append(learn(grid, *given[number], "native", **options))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number, results in enumerate(found):
        assert len(results) == 20
        for result in results:
            assert all(
                torch.equal(one, other) for one, other in zip(result, alone[number], strict=True)
            )


def test_a_call_without_the_module_is_an_error(monkeypatch, grid):
    monkeypatch.setattr(native_calls, "extension", lambda: (None, "no compiler"))
    with pytest.raises(RuntimeError, match="'native' cannot run, since no compiler"):
        kernels.propagate(grid, torch.ones(grid.num_edges), torch.ones(72, 1), backend="native")
    assert kernels.available()["native"] == "no compiler"
    assert "not on 'cuda'" in kernels.available("cuda")["native"]
