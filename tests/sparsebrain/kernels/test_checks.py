"""What operators refuse, called by their functions or from torch."""

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


ARRAYS = {
    "by_target.pointer": 1,
    "by_target.neuron": 2,
    "by_source.pointer": 4,
    "by_source.neuron": 5,
    "by_source.order": 6,
}


@pytest.mark.parametrize("number", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("value", [10**9, -1])
@pytest.mark.parametrize("traceless", [False, True], ids=["fill_", "through .data"])
def test_an_index_that_was_written_over_is_refused(given, backend, number, value, traceless):
    structure = Structure(torch.tensor([[3, 0, 1, 2], [0, 1, 2, 3]]), 4)
    given["state"].requires_grad_()
    (y,) = run(structure, given, backend)
    array = structure.arrays()[number]
    assert array.numel()
    array = array.data if traceless else array
    array[1] = value
    with pytest.raises(ValueError, match="lead to neurons or synapses that it does not have"):
        # The forward pass reads by target alone.
        y.sum().backward()
    if number < 4:
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
    with pytest.raises(ValueError, match="loops must be an integer >= 1"):
        ops.loop(weight, x, *[None] * 3, ring.arrays(), 0, "none", False, False, 0, backend)


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
                )


@pytest.mark.parametrize("number", range(7))
def test_arrays_of_another_size_make_no_structure(ring, number):
    arrays = ring.arrays()
    arrays[number] = (
        arrays[number].repeat_interleave(2, -1)
        if arrays[number].numel()
        else (torch.zeros(3, dtype=torch.int32))
    )
    with pytest.raises(ValueError, match="not the index arrays of a structure of 4 neurons"):
        Structure.from_arrays(arrays, 4)
    with pytest.raises(ValueError, match="seven index arrays, got 6"):
        Structure.from_arrays(arrays[:6], 4)


def test_noise_of_another_shape_is_refused(ring, given, backend):
    with pytest.raises(ValueError, match=r"noise\(number\) must be .* \[4, 2\], got \[4, 1\]"):
        run(ring, given, backend, noise=lambda number: torch.zeros(4, 1))
