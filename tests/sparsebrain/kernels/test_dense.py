"""The dense backend: what a full matrix could get wrong, and when auto chooses it."""

import math

import pytest
import torch
from torch_geometric.data import Data

from sparsebrain import GraphLayer, kernels
from sparsebrain.kernels import Structure
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.select import for_loops

INF, NAN = math.inf, math.nan


def complete(neurons):
    target, source = torch.ones(neurons, neurons).nonzero().t()
    return Structure(torch.stack([source, target]), neurons)


@pytest.mark.parametrize("wrong", [INF, -INF, NAN])
def test_what_is_not_finite_stays_where_the_synapses_lead(wrong):
    """Neuron 0 reaches 1 alone; the zeros of its column must not make NaN of the others."""
    structure = Structure(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
    x = torch.tensor([[wrong], [2.0], [3.0], [4.0]])
    (y,) = kernels.loop(structure, torch.ones(3), x, loops=1, backend="dense")
    assert y.tolist()[:1] + y.tolist()[2:] == [[0.0], [2.0], [3.0]]
    assert torch.equal(y[1].isnan(), x[0].isnan())
    (y,) = kernels.loop(structure, torch.ones(3), x, loops=2, backend="dense")
    assert y.tolist()[:2] + y.tolist()[3:] == [[0.0], [0.0], [2.0]]


def test_gradients_that_are_not_finite_stay_where_the_synapses_lead():
    structure = Structure(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
    weight = torch.full((3,), 2.0, requires_grad=True)
    x = torch.tensor([[1.0], [2.0], [3.0], [4.0]], requires_grad=True)
    (y,) = kernels.loop(structure, weight, x, loops=1, backend="dense")
    of_weight, of_x = torch.autograd.grad(y, (weight, x), torch.tensor([[0.0], [INF], [1.0], [0]]))
    assert of_weight.tolist() == [INF, 2.0, 0.0]
    assert of_x.flatten().tolist() == [INF, 2.0, 0.0, 0.0]


def test_parallel_synapses_that_overflow_in_the_matrix_are_right():
    """Their sum is infinite in float32, and the product with a small state is not."""
    structure = Structure(torch.tensor([[0, 0], [1, 1]]), 2)
    x = torch.tensor([[1e-30], [0.0]])
    (y,) = kernels.loop(structure, torch.full((2,), 3e38), x, loops=1, backend="dense")
    torch.testing.assert_close(y, torch.tensor([[0.0], [6e8]]))


def test_parallel_synapses_each_get_the_gradient_of_their_pair():
    structure = Structure(torch.tensor([[0, 1, 0], [1, 0, 1]]), 2)
    weight = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    x = torch.tensor([[3.0], [5.0]])
    (y,) = kernels.loop(structure, weight, x, loops=1, backend="dense")
    assert y.tolist() == [[10.0], [15.0]]
    (of_weight,) = torch.autograd.grad(y, weight, torch.tensor([[1.0], [10.0]]))
    assert of_weight.tolist() == [30.0, 5.0, 30.0]


@pytest.mark.parametrize("traceless", [False, True])
@pytest.mark.parametrize("number", range(2))
def test_index_arrays_that_were_written_over_cannot_mislead_it(number, traceless):
    structure = Structure(torch.tensor([[3, 0, 1, 2], [0, 1, 2, 3]]), 4)
    weight, x = torch.arange(4.0), torch.ones(4, 1)
    (right,) = kernels.loop(structure, weight, x, loops=1, backend="dense")
    array = structure.arrays()[number]
    (array.data if traceless else array)[1] = 10**9
    if traceless:
        (y,) = kernels.loop(structure, weight, x, loops=1, backend="dense")
        assert torch.equal(y, right)
    else:
        with pytest.raises(ValueError, match=r"Structure\(edge_index, num_nodes\)"):
            kernels.loop(structure, weight, x, loops=1, backend="dense")


def test_a_structure_of_inference_mode_whose_tensors_have_no_version():
    with torch.inference_mode():
        structure, x = complete(3), torch.ones(3, 1)
        for _ in range(2):
            y = kernels.propagate(structure, torch.arange(9.0), x, backend="dense")
            assert y.tolist() == [[3.0], [12.0], [21.0]]


def test_a_matrix_that_does_not_fit_is_refused_before_it_is_made():
    structure = Structure(torch.tensor([[0], [1]]), 10**6)
    weight, x = torch.ones(1), torch.ones(10**6, 1)
    for call in (
        lambda: kernels.propagate(structure, weight, x, backend="dense"),
        lambda: kernels.correlate(structure, x, x, backend="dense"),
        lambda: kernels.loop(structure, weight, x, loops=1, backend="dense"),
    ):
        with pytest.raises(ValueError, match=r"num_nodes=1000000 needs .* pass backend='auto'"):
            call()


def chosen(structure, batch, loops, dtype=torch.float32, name="auto"):
    state = torch.zeros(structure.num_nodes, 1, dtype=dtype).expand(-1, batch)
    return for_loops(name, structure, LoopInputs(state, None, None, None), loops=loops).name


@pytest.fixture
def ordinary():
    if kernels.available()["native"] is not None:
        pytest.skip("no compiled kernels; .ci/run asserts them")
    if not torch.backends.mkl.is_available():
        pytest.skip("the rule was measured with MKL")
    return "native"


def test_auto_chooses_it_for_long_calls_on_dense_graphs(ordinary):
    full, half = complete(300), Structure(complete(300).edge_index[:, ::2], 300)
    assert chosen(full, 128, 16) == "dense"
    assert chosen(full, 1, 16) == ordinary
    assert chosen(full, 128, 1) == ordinary
    assert chosen(half, 128, 100) == ordinary
    assert chosen(full, 128, 16, torch.float64) == ordinary
    assert chosen(full, 128, 16, name="native") == ordinary
    assert chosen(full, 128, 16, name="torch") == "torch"
    assert chosen(complete(5), 1, 5) == ordinary


def test_auto_does_not_lower_the_precision(ordinary):
    full, before = complete(300), torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert chosen(full, 128, 16) == ordinary
    finally:
        torch.set_float32_matmul_precision(before)
    assert chosen(full, 128, 16) == "dense"


@pytest.mark.parametrize("options", [{}, {"leak": 0.5, "bias": True, "inject": True}], ids=str)
def test_a_layer_chooses_it_and_computes_the_same(options, ordinary):
    data, found = Data(edge_index=complete(300).edge_index, num_nodes=300), []
    x = torch.randn(128, 300, generator=torch.Generator().manual_seed(0))
    for backend in ("auto", "dense", "torch"):
        torch.manual_seed(0)
        layer = GraphLayer(data, 16, activation="tanh", backend=backend, **options)
        y = layer(x)
        y.square().sum().backward()
        found.append([y.detach(), *(each.grad for each in layer.parameters())])
    auto, dense, sparse = found
    assert all(map(torch.equal, auto, dense))
    torch.testing.assert_close(auto, sparse, rtol=1e-3, atol=1e-3)
