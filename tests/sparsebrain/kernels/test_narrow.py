"""States that are kept as bfloat16: the same results from all backends, and their definition."""

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn.aggr import SumAggregation

from sparsebrain import Equilibrium, GraphLayer, kernels
from sparsebrain.kernels import Structure
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.narrow import narrowed
from sparsebrain.kernels.noise import CounterNoise

N, E = 40, 300
NARROW = {"state_dtype": torch.bfloat16}
FUSED = [name for name, each in ACTIVATIONS.items() if each.number is not None]


def structure_of(order="any"):
    draw = torch.Generator().manual_seed(0)
    edges = torch.randint(N, (2, E), generator=draw)
    if order == "target":
        edges = edges[:, torch.argsort(edges[1] * N + edges[0])]
    return Structure(edges, N)


def given(batch, *, leak=False, drive=False, bias=False):
    draw = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(shape, generator=draw)

    return {
        "weight": normal(E) / 3,
        "state": normal(N, batch),
        "drive": normal(N, batch) if drive else None,
        "bias": normal(N) if bias else None,
        "leak": torch.rand(N, generator=draw) if leak else None,
    }


def learn(structure, tensors, **options):
    """Return the states, and the gradients of a sum that weights them differently."""
    leaves = {
        name: None if each is None else each.clone().requires_grad_()
        for name, each in tensors.items()
    }
    weight, state = leaves["weight"], leaves["state"]
    others = {name: leaves[name] for name in ("drive", "bias", "leak")}
    states = kernels.loop(structure, weight, state, **others, **NARROW, **options)
    sum(
        (each * torch.linspace(-1, 1, each.numel()).view_as(each)).sum() for each in states
    ).backward()
    return [each.detach() for each in states], [
        each.grad for each in leaves.values() if each is not None
    ]


def by_definition(structure, tensors, loops, activation):
    """Compute the states by the equation, with NumPy's order of operations left to torch."""
    state, weight = narrowed(tensors["state"]), tensors["weight"]
    states = []
    for _ in range(loops):
        total = kernels.propagate(structure, weight, state, backend="reference")
        for name in ("bias", "drive"):
            if tensors[name] is not None:
                total = total + tensors[name].view(N, -1)
        after = ACTIVATIONS[activation].function(total)
        if tensors["leak"] is not None:
            after = torch.lerp(state, after, tensors["leak"].unsqueeze(1))
        state = narrowed(after)
        states.append(state)
    return states


def assert_close(found, wanted, share=0.02):
    """Compare up to single roundings to the other neighbor, which later loops carry on."""
    for one, other in zip(found, wanted, strict=True):
        error = (one - other).norm() / other.norm().clamp_min(1e-30)
        assert float(error) < share


OPTIONS = [
    {},
    {"leak": True},
    {"drive": True, "bias": True},
    {"leak": True, "drive": True, "bias": True},
]


@pytest.mark.parametrize("batch", [1, 3, 16, 37, 64, 100])
@pytest.mark.parametrize("backend", ["native", "torch"])
def test_every_batch_equals_the_reference(backend, batch):
    structure, tensors = structure_of(), given(batch, leak=True, drive=True, bias=True)
    options = {"loops": 3, "activation": "tanh", "keep": True}
    states, gradients = learn(structure, tensors, backend=backend, **options)
    wanted, wanted_gradients = learn(structure, tensors, backend="reference", **options)
    assert all(torch.equal(each, narrowed(each)) for each in states)
    assert_close(states, wanted, 0.005)
    assert_close(gradients, wanted_gradients)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")
@pytest.mark.parametrize("activation", FUSED)
@pytest.mark.parametrize("order", ["any", "target"])
def test_every_activation_equals_the_reference(order, activation, options):
    structure, tensors = structure_of(order), given(20, **options)
    states, gradients = learn(structure, tensors, backend="native", loops=2, activation=activation)
    wanted, wanted_gradients = learn(
        structure, tensors, backend="reference", loops=2, activation=activation
    )
    assert_close(states, wanted, 0.005)
    assert_close(gradients, wanted_gradients)
    assert_close(states, by_definition(structure, tensors, 2, activation)[-1:], 0.005)


@pytest.mark.parametrize(
    "options", [{"checkpoint": True}, {"noise": CounterNoise(torch.tensor(3), 0.3)}]
)
def test_checkpoints_and_noise_equal_the_reference(options):
    structure, tensors = structure_of(), given(20, bias=True)
    found = learn(structure, tensors, backend="native", loops=5, activation="tanh", **options)
    wanted = learn(structure, tensors, backend="reference", loops=5, activation="tanh", **options)
    for one, other in zip(found, wanted, strict=True):
        assert_close(one, other, 0.03)


@pytest.mark.parametrize("batch", [1, 16, 32])
def test_rounding_is_that_of_torch(batch):
    # One synapse of weight 1 to each neuron, from itself: a loop is the rounding alone.
    selves = Structure(torch.arange(N).repeat(2, 1), N)
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(N, batch, generator=draw) * 10.0 ** torch.randint(
        -38, 38, (N, 1), generator=draw
    )
    x[:6, 0] = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, float("inf"), -float("inf"), 3.4e38, -0.0])
    x[6] = float("nan")
    (found,) = kernels.loop(selves, torch.ones(N), x, loops=1, **NARROW, backend="native")
    torch.testing.assert_close(found, narrowed(x), rtol=0, atol=0, equal_nan=True)


def test_threads_share_rows_of_narrow_states():
    before = torch.get_num_threads()
    tensors = given(128, leak=True)
    options = {"loops": 6, "activation": "tanh", "backend": "native"}
    one = learn(structure_of(), tensors, **options)
    torch.set_num_threads(2)
    try:
        two = learn(structure_of(), tensors, **options)
    finally:
        torch.set_num_threads(before)
    for found, wanted in zip(two, one, strict=True):
        assert_close(found, wanted, 1e-4)


def test_a_tape_takes_half_the_memory():
    structure, tensors = structure_of(), given(20)
    args = (tensors["weight"], tensors["state"], None, None, None, structure.arrays())
    options = (3, "tanh", False, True, 0, "native", None, 0.0, "rate")
    (_, wide), (_, half) = (
        torch.ops.sparsebrain.loop(*args, *options, each) for each in (False, True)
    )
    assert (wide.dtype, half.dtype) == (torch.float32, torch.bfloat16)
    assert wide.shape == half.shape


def test_a_tape_in_large_pages_is_that_of_small_ones():
    structure, tensors = structure_of(), given(512, bias=True)
    options = {"loops": 110, "activation": "tanh", "backend": "native"}
    # 111 states of 40 x 512 values of two bytes are more than 4 MiB, from which on it is large.
    states, grads = learn(structure, tensors, **options)
    with_checkpoints = learn(structure, tensors, checkpoint=True, **options)
    for found, wanted in zip(
        [*states, *grads], [*with_checkpoints[0], *with_checkpoints[1]], strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    assert all(torch.equal(*pair) for pair in zip(states, with_checkpoints[0], strict=True))


def ring():
    return Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)


def test_a_layer_keeps_its_option_and_compiles():
    layer = GraphLayer(ring(), 3, activation="tanh", bias=True, **NARROW)
    assert "state_dtype=torch.bfloat16" in repr(layer)
    plain = GraphLayer(ring(), 3, activation="tanh", bias=True)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(5, 4)
    y = layer(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, narrowed(y))
    torch.testing.assert_close(y, plain(x), rtol=0.03, atol=0.03)
    _, states = layer(x, return_states=True)
    assert torch.equal(states[-1], y)
    layer.state_dtype = None
    assert torch.equal(layer(x), plain(x))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"state_dtype": "bfloat16"}, TypeError, "state_dtype must be None or torch.bfloat16, got"),
        ({"state_dtype": torch.float16}, ValueError, "got torch.float16; pass state_dtype=torch"),
        ({**NARROW, "form": "voltage"}, ValueError, "is for form='rate', got form='voltage'; pass"),
        ({**NARROW, "activation": torch.sin}, ValueError, "got a function; pass its name"),
        (
            {**NARROW, "aggr": "max"},
            ValueError,
            "is for aggr='sum', got aggr='max'; pass aggr='sum'",
        ),
        ({**NARROW, "aggr": ["sum"]}, ValueError, "got aggr=.'sum'.; pass aggr='sum' or state_dt"),
        ({**NARROW, "loops": Equilibrium()}, ValueError, "an Equilibrium from being reached; pass"),
    ],
)
def test_what_excludes_narrow_states_is_named(options, error, match):
    with pytest.raises(error, match=match):
        GraphLayer(ring(), **{"loops": 2, "activation": "tanh", **options})


def test_narrow_sums_can_be_an_aggregation_of_pyg():
    layer = GraphLayer(ring(), 2, aggr=SumAggregation(), **NARROW)
    x = torch.randn(2, 4)
    assert torch.equal(layer(x), narrowed(layer(x)))


@pytest.mark.parametrize("aggr", ["mean", "max"])
@pytest.mark.parametrize("return_states", [False, True])
def test_other_aggregations_refuse_narrow_states_in_every_call(aggr, return_states):
    layer = GraphLayer(ring(), 2, aggr=aggr)
    layer.state_dtype = torch.bfloat16
    with pytest.raises(ValueError, match="aggr of its own; pass state_dtype=None"):
        layer(torch.randn(2, 4), return_states=return_states)


def test_calls_that_narrow_states_lack_are_refused():
    x = torch.randn(2, 4)
    layer = GraphLayer(ring(), 2, activation="tanh", **NARROW)
    with pytest.raises(NotImplementedError, match="torch.func.*pass state_dtype=None"):
        torch.func.grad(lambda given: layer(given).sum())(x)
    with pytest.raises(NotImplementedError, match="no second derivatives; pass create_graph=False"):
        torch.autograd.grad(layer(x).sum(), layer.weight, create_graph=True)
    with pytest.raises(TypeError, match=r"got torch.float64; pass state_dtype=None, or call layer"):
        layer.double()(x.double())
    equilibrium = GraphLayer(ring(), Equilibrium())
    with pytest.raises(ValueError, match="Equilibrium from being reached; pass state_dtype=None"):
        equilibrium.state_dtype = torch.bfloat16
    wide = Structure.from_arrays([each.long() for each in structure_of().arrays()], N)
    with pytest.raises(ValueError, match=r"fewer than 2\^31 synapses; pass state_dtype=None"):
        kernels.loop(wide, torch.ones(E), torch.ones(N, 2), loops=2, **NARROW)
    with pytest.raises(ValueError, match="noise that is fused, got a function; pass noise=Counter"):
        kernels.loop(
            structure_of(),
            torch.ones(E),
            torch.ones(N, 2),
            loops=2,
            noise=lambda number: torch.zeros(N, 2),
            **NARROW,
        )
