"""What operators refuse, called by their functions or from torch."""

from operator import attrgetter

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from sparsebrain import GraphLayer, kernels
from sparsebrain.kernels import Structure

ops = torch.ops.sparsebrain


@pytest.fixture
def ring():
    return Structure(torch.tensor([[3, 0, 1, 2], [0, 1, 2, 3]]), 4)


@pytest.fixture
def given():
    names = {"weight": (4,), "state": (4, 2), "drive": (4, 2), "bias": (4,), "leak": (4,)}
    return {name: torch.full(shape, 0.5) for name, shape in names.items()}


def run(structure, given, backend, **options):
    options = {"loops": 2, "activation": "tanh", "backend": backend, **options}
    return kernels.loop(structure, **given, **options)


@pytest.mark.parametrize("name", ["weight", "state", "drive", "bias", "leak"])
@pytest.mark.parametrize("activation", ["tanh", torch.sin], ids=["fused", "function"])
def test_a_tensor_on_meta_is_named_with_the_remedy(ring, given, backend, name, activation):
    given[name] = given[name].to("meta")
    with pytest.raises(ValueError, match=f"{name} must be .* on 'meta', which has no values; load"):
        run(ring, given, backend, activation=activation)


@pytest.mark.parametrize("name", ["weight", "state", "drive", "bias", "leak"])
def test_another_dtype_is_named(ring, given, backend, name):
    given[name] = given[name].double()
    with pytest.raises(TypeError, match=f"({name}|drive|weight) must be .* got torch.float(64|32)"):
        run(ring, given, backend)


@pytest.mark.parametrize("name", ["weight", "state", "drive", "bias", "leak"])
def test_another_shape_is_named(ring, given, backend, name):
    given[name] = given[name][:-1]
    with pytest.raises(ValueError, match=f"{name} must be .* of shape"):
        run(ring, given, backend)


@pytest.mark.parametrize("name", ["weight", "state", "drive", "bias", "leak"])
@pytest.mark.parametrize("left", [0, 4])
def test_freed_memory_is_no_value(ring, given, backend, name, left):
    given[name].untyped_storage().resize_(left)
    with pytest.raises(ValueError, match=f"storage of {name} was freed or cut: it has {left} b"):
        run(ring, given, backend)


def test_freed_weights_of_a_layer_are_refused():
    layer = GraphLayer(kernels_data(), 2, activation="tanh", bias=True)
    layer.weight.data.untyped_storage().resize_(0)
    with pytest.raises(ValueError, match="storage of weight was freed"):
        layer(torch.ones(1, 4))


def kernels_data():
    return Data(edge_index=torch.tensor([[3, 0, 1, 2], [0, 1, 2, 3]]), num_nodes=4)


@pytest.mark.parametrize("name", ["bias", "threshold", "leak"])
def test_a_layer_that_was_loaded_in_part_says_what_is_missing(name):
    data = kernels_data()
    with torch.device("meta"):
        layer = GraphLayer(
            data, 2, activation="tanh", **{name: True if name == "bias" else "neuron"}
        )
    other = GraphLayer(data, 2, activation="tanh")
    layer.load_state_dict(other.state_dict(), assign=True, strict=False)
    with pytest.raises(ValueError, match=f"{name} must be .* on 'meta', which has no values; load"):
        layer(torch.ones(1, 4))


ARRAYS = (
    "by_target.pointer",
    "by_target.neuron",
    "by_source.pointer",
    "by_source.neuron",
    "by_source.order",
)


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("value", [10**9, -1])
@pytest.mark.parametrize("traceless", [False, True], ids=["fill_", "through .data"])
def test_an_index_that_was_written_over_is_refused(given, backend, name, value, traceless):
    if backend == "dense":
        pytest.skip("it reads a checked copy; test_dense.py shows that its results stay right")
    structure = Structure(torch.tensor([[3, 0, 1, 2], [0, 1, 2, 3]]), 4)
    given["state"].requires_grad_()
    (y,) = run(structure, given, backend)
    array = attrgetter(name)(structure)
    assert array.numel()
    array = array.data if traceless else array
    array[1] = value
    with pytest.raises(ValueError, match="lead to neurons or synapses that it does not have"):
        # The forward pass reads by target alone.
        y.sum().backward()
    if name.startswith("by_target"):
        with pytest.raises(ValueError, match=r"Structure\(edge_index, num_nodes\)"):
            run(structure, given, backend)
        with pytest.raises(ValueError, match="lead to neurons"):
            kernels.propagate(structure, given["weight"], given["drive"], backend=backend)
        with pytest.raises(ValueError, match="lead to neurons"):
            kernels.correlate(structure, given["drive"], given["drive"], backend=backend)
    else:
        with pytest.raises(ValueError, match="lead to neurons"):
            kernels.backpropagate(structure, given["weight"], given["drive"], backend=backend)


def test_operators_refuse_what_is_too_short(ring, given, backend):
    weight, x = given["weight"], given["state"]
    with pytest.raises(ValueError, match=r"x must be .* shape \[4, B\], got \[3, 2\]"):
        ops.propagate(weight, x[:3], ring.arrays(), False, backend)
    with pytest.raises(ValueError, match=r"weight must be .* \[4\], got \[3\]"):
        ops.propagate(weight[:3], x, ring.arrays(), False, backend)
    with pytest.raises(ValueError, match="post must be .* of shape"):
        ops.correlate(x[0], x, ring.arrays(), backend)
    with pytest.raises(ValueError, match=r"pre must be .* \[4, 2\], got \[4, 1\]"):
        ops.correlate(x, x[:, :1], ring.arrays(), backend)
    with pytest.raises(TypeError, match="torch.float64"):
        ops.propagate(weight.double(), x, ring.arrays(), False, backend)
    with pytest.raises(TypeError, match="must be a float32 or float64 .*, got torch.int64"):
        ops.propagate(weight.long(), x.long(), ring.arrays(), False, backend)
    options = (0, "none", False, False, 0, backend, None, 0.0, "rate", False)
    with pytest.raises(ValueError, match="loops must be an integer >= 1"):
        ops.loop(weight, x, *[None] * 3, ring.arrays(), *options)


def test_a_short_tape_is_refused(ring, given, backend):
    weight, state = given["weight"], given["state"]
    for segment in (0, 2):
        for states in ([], [state[:1]], [state] * 9):
            with pytest.raises(ValueError, match=r"states"):
                ops.loop_backward(
                    weight,
                    state,
                    *[None] * 3,
                    states,
                    [None, None, state],
                    ring.arrays(),
                    "tanh",
                    True,
                    segment,
                    backend,
                    None,
                    0.0,
                    "rate",
                    False,
                )


@pytest.mark.parametrize("number", [0, 2])
def test_arrays_of_another_size_make_no_structure(ring, number):
    arrays = ring.arrays()
    arrays[number] = (
        arrays[number].repeat_interleave(2, -1)
        if arrays[number].numel()
        else (torch.zeros(3, dtype=torch.int32))
    )
    with pytest.raises(ValueError, match="arrays are not the index .* num_nodes=4"):
        Structure.from_arrays(arrays, 4)
    with pytest.raises(ValueError, match="arrays must be the three of a structure, got 2"):
        Structure.from_arrays(arrays[:2], 4)


def test_more_synapses_than_the_rows_hold_are_refused(ring, given, backend):
    pointer, neuron, order = ring.arrays()
    arrays = [pointer, neuron.repeat(2), order]
    with pytest.raises(ValueError, match="lead to neurons or synapses that it does not have"):
        ops.propagate(torch.ones(8), given["state"], arrays, False, backend)
    structure = Structure.from_arrays(arrays, 4)
    for name in ("by_source", "edge_index"):
        with pytest.raises(ValueError, match=r"Structure\(edge_index, num_nodes\)"):
            getattr(structure, name)


def test_noise_of_another_shape_is_refused(ring, given, backend):
    with pytest.raises(ValueError, match=r"noise\(number\) must be .* \[4, 2\], got \[4, 1\]"):
        run(ring, given, backend, noise=lambda number: torch.zeros(4, 1))


@pytest.mark.parametrize("value", [-3.0, -1e-6, 1.5, float("nan"), float("inf")])
@pytest.mark.parametrize("activation", ["tanh", torch.sin], ids=["fused", "function"])
def test_a_leak_is_a_share(ring, given, backend, activation, value):
    given["leak"][2] = value
    with pytest.raises(ValueError, match=f"leak must be from 0 to 1.* got {value:g} at neuron 2"):
        run(ring, given, backend, activation=activation)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"keep": 3}, TypeError, "keep must be True or False, got 3 of type int; pass keep="),
        ({"keep": "no"}, TypeError, "keep must be True or False, got 'no'"),
        ({"backend": None}, TypeError, "backend must be one of 'auto', .*, got None"),
        ({"loops": 2**63}, ValueError, "loops must be an integer >= 1 and at most 1000000"),
        ({"loops": torch.tensor([1, 2])}, TypeError, "loops must be an integer"),
        ({"activation": None}, TypeError, "activation must be one of 'none', 'tanh'"),
        ({"activation": torch.nn.Tanh}, TypeError, r"the class Tanh; pass activation=Tanh\(\)"),
        ({"activation": lambda u: None}, TypeError, "activation must return a tensor, got None"),
        ({"activation": lambda u: u.double()}, TypeError, "activation must keep the dtype"),
        ({"activation": lambda u: u[:1]}, ValueError, "activation must keep the shape"),
        ({"noise": 0.1}, TypeError, "noise must be a function of the loop's number, got float"),
        ({"noise": lambda n: None}, TypeError, r"noise\(number\) must be a float32 .*, got None"),
        ({"noise": lambda n: torch.zeros(4, 2).double()}, TypeError, r"got torch.float64"),
    ],
)
def test_wrong_options_of_a_loop(ring, given, backend, options, error, match):
    with pytest.raises(error, match=match):
        run(ring, given, **{"backend": backend, **options})


WRONG = {
    "list": ([1.0], "got list; pass torch.as_tensor"),
    "None": (None, "got None; pass a tensor"),
    "NumPy": (np.ones((4, 2)), "got ndarray; pass torch.as_tensor"),
    "class": (torch.Tensor, "got the class Tensor"),
    "sparse": (torch.eye(4).to_sparse(), r"got the layout torch.sparse_coo; pass \w+.to_dense\(\)"),
    "complex": (torch.ones(4, 2) * 1j, r"got torch.complex64; pass \w+.real.float\(\)"),
    "half": (torch.ones(4, 2).half(), r"got torch.float16; pass \w+.float\(\)"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", ["weight", "state", "drive", "bias", "leak"])
def test_what_is_no_tensor_of_floats(ring, given, name, kind):
    if kind == "None" and name not in ("weight", "state"):
        return
    given[name], told = WRONG[kind]
    with pytest.raises(TypeError, match=f"^{name} must be a float32 .*{told}"):
        run(ring, given, "auto")


def test_states_that_do_not_fit_into_memory_are_refused_before_they_are_made(ring):
    state = torch.ones(1, 1).expand(4, 2**40)
    with pytest.raises(ValueError, match=r"loops=3 needs .* GiB of memory.*; pass fewer loops"):
        kernels.loop(ring, torch.ones(4), state, loops=3, keep=True)
