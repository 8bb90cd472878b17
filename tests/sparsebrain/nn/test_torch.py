"""The layer as an ordinary torch module."""

import copy
import io
import pickle

import pytest
import torch

import graphs
from sparsebrain import GraphLayer
from sparsebrain.kernels import available

OPTIONS = {
    "free signs": {},
    "dale": {"dale": True},
    "neurons": {"leak": "neuron", "threshold": "population"},
    "gains": {"init": "edge_weight", "gain": "projection", "dale": True, "leak": 0.5},
}


@pytest.fixture
def make(populated):
    """A layer of some options, not as it was drawn."""

    def _make(bias=True, **options):
        made = GraphLayer(populated, 3, activation="tanh", bias=bias, **options)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        return made

    return _make


@pytest.fixture(params=OPTIONS.values(), ids=OPTIONS)
def options(request):
    return request.param


@pytest.fixture
def layer(make, options):
    torch.manual_seed(0)
    return make(**options)


@pytest.fixture
def x():
    return torch.randn(6, 40, generator=torch.Generator().manual_seed(1))


def gradients(layer, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(layer(x).square().sum(), [*layer.parameters(), x])


def test_it_takes_the_place_of_linear(layer, x):
    for shape in ((40,), (1, 40), (6, 40), (0, 40), (2, 3, 40), (2, 0, 3, 40)):
        y = layer(torch.randn(shape))
        assert y.shape == shape
        assert y.is_contiguous()
    torch.testing.assert_close(layer(x[2]), layer(x)[2])
    torch.testing.assert_close(layer(x.view(2, 3, 40)).flatten(0, 1), layer(x))
    wide = torch.randn(6, 80)
    torch.testing.assert_close(layer(wide[:, ::2]), layer(wide[:, ::2].clone()))


@pytest.mark.parametrize(
    "backend", [name for name, obstacle in available().items() if obstacle is None]
)
def test_all_backends_agree(random_graph, x, backend):
    torch.manual_seed(0)
    auto = GraphLayer(random_graph, 4, activation="sigmoid")
    torch.manual_seed(0)
    chosen = GraphLayer(random_graph, 4, activation="sigmoid", backend=backend)
    torch.testing.assert_close(chosen(x), auto(x))
    torch.testing.assert_close(gradients(chosen, x), gradients(auto, x))


@pytest.mark.parametrize("fullgraph", [False, True])
def test_compile_gives_the_same_numbers(layer, x, fullgraph):
    # Each kind is compiled anew, and torch.compile has a limit on that.
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=fullgraph)
    torch.testing.assert_close(compiled(x), layer(x))
    torch.testing.assert_close(gradients(compiled, x), gradients(layer, x))


def test_compile_takes_the_pyg_call_too(random_graph):
    layer = GraphLayer(random_graph, 2)
    x = torch.randn(80, 3)
    edges = torch.cat([random_graph.edge_index, random_graph.edge_index + 40], 1)
    torch.testing.assert_close(torch.compile(layer)(x, edges), layer(x, edges))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_are_whole_and_independent(layer, x, copied):
    twin = copied(layer)
    assert type(twin.bias) is torch.nn.Parameter
    assert torch.equal(twin(x), layer(x))
    for ours, theirs in zip(gradients(twin, x), gradients(layer, x), strict=True):
        assert torch.equal(ours, theirs)
    before = layer(x)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    assert torch.equal(layer(x), before)
    assert not torch.equal(twin(x), before)


def test_copies_after_a_pyg_call(random_graph):
    """What the layer remembers of the edges that it has checked does not stand in the way."""
    layer = GraphLayer(random_graph)
    edges = torch.cat([random_graph.edge_index, random_graph.edge_index + 40], 1)
    x = torch.randn(80, 1)
    expected = layer(x, edges)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x, edges), expected)


def test_state_dict_round_trip_through_a_file_without_pickle(layer, make, options, x):
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = make(**options)
    assert not torch.equal(other(x), layer(x))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), layer(x))


@pytest.mark.parametrize("change", ["one synapse", "order", "neurons"])
def test_a_state_dict_of_other_synapses_is_refused_and_nothing_is_changed(random_graph, change):
    layer = GraphLayer(random_graph)
    other = random_graph.clone()
    if change == "one synapse":
        other.edge_index = random_graph.edge_index.clone()
        taken = set(map(tuple, random_graph.edge_index.t().tolist()))
        free = next((s, t) for s in range(40) for t in range(40) if (s, t) not in taken)
        other.edge_index[:, 0] = torch.tensor(free)
    elif change == "order":
        other.edge_index = random_graph.edge_index.flip(1)
    else:
        other.num_nodes = 41
        del other.pos
    twin = GraphLayer(other)
    before = twin.weight.detach().clone()
    model = torch.nn.ModuleDict({"layer": twin})
    state = {f"layer.{key}": value for key, value in layer.state_dict().items()}
    with pytest.raises(RuntimeError, match="saved with other synapses than this one has"):
        model.load_state_dict(state)
    assert torch.equal(twin.weight, before)


def test_shared_weights_belong_to_their_types():
    data = graphs.grid_local((4, 4), 1)
    other = data.clone()
    other.edge_type = data.edge_type.flip(0)
    with pytest.raises(RuntimeError, match="other synapses"):
        GraphLayer(other, weight_sharing="type").load_state_dict(
            GraphLayer(data, weight_sharing="type").state_dict()
        )


def test_moving_dtype_and_device(layer, x):
    double = copy.deepcopy(layer).double()
    assert double(x.double()).dtype == torch.float64
    torch.testing.assert_close(double(x.double()).float(), layer(x))
    assert double.edge_index.dtype == torch.int64
    layer.to("cpu", torch.float64)
    assert torch.equal(layer(x.double()), double(x.double()))


def test_materialising_from_meta_leaves_the_indices_whole(random_graph, x):
    layer = GraphLayer(random_graph, 2, device="meta")
    assert layer.weight.is_meta
    layer.to_empty(device="cpu")
    layer.reset_parameters(torch.Generator().manual_seed(0))
    expected = GraphLayer(random_graph, 2)
    expected.reset_parameters(torch.Generator().manual_seed(0))
    assert torch.equal(layer(x), expected(x))


def test_autocast_computes_the_loops_in_the_weights_dtype(layer, x):
    expected = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        linear = torch.nn.Linear(40, 40)(x)
        assert linear.dtype == torch.bfloat16
        assert layer(linear).dtype == torch.float32
        torch.testing.assert_close(layer(x), expected)
        layer(linear).sum().backward()
    assert layer.bias.grad.dtype == torch.float32


def test_weights_shared_by_type_get_the_sum_of_the_gradients():
    data = graphs.grid_local((4, 5), 1)
    torch.manual_seed(0)
    shared = GraphLayer(data, 3, weight_sharing="type", dtype=torch.float64)
    single = GraphLayer(data, 3, dtype=torch.float64)
    with torch.no_grad():
        single.weight.copy_(shared.weight[data.edge_type])
    x = torch.randn(3, 20, dtype=torch.float64)
    torch.testing.assert_close(shared(x), single(x))
    (of_shared, _), (of_single, _) = gradients(shared, x), gradients(single, x)
    torch.testing.assert_close(
        of_shared, torch.zeros(9).double().index_add(0, data.edge_type, of_single)
    )


def test_an_activation_with_parameters_is_trained(random_graph, x):
    layer = GraphLayer(random_graph, 2, activation=torch.nn.PReLU())
    layer(x).sum().backward()
    assert len(list(layer.parameters())) == 2
    assert layer.activation.weight.grad is not None


def test_it_tells_what_it_is(random_graph):
    assert (
        repr(GraphLayer(random_graph))
        == f"GraphLayer(40 neurons, {random_graph.num_edges} synapses, loops=1)"
    )
    random_graph.edge_sign = torch.ones(random_graph.num_edges)
    layer = GraphLayer(
        random_graph, 2, activation="relu", bias=True, inject=True, dale=True, aggr="max"
    )
    assert repr(layer).endswith(
        "loops=2, activation='relu', bias=True, inject=True, dale=True, aggr='max')"
    )


def test_later_changes_of_the_connectome_do_not_reach_the_layer(random_graph, x):
    random_graph.edge_sign = torch.where(torch.arange(random_graph.num_edges) % 2 == 0, 1.0, -1.0)
    random_graph.edge_weight = torch.rand(random_graph.num_edges)
    random_graph.edge_type = torch.arange(random_graph.num_edges)
    layers = [
        GraphLayer(random_graph, 2, dale=True),
        GraphLayer(random_graph, 2, weight_sharing="type"),
        GraphLayer(random_graph, 2, backend="reference"),
        GraphLayer(random_graph, 2, init="edge_weight"),
    ]
    before = [layer(x) for layer in layers]
    fingerprints = [GraphLayer(random_graph).state_dict()["_extra_state"]]
    for field in ("edge_index", "edge_sign", "edge_weight", "edge_type"):
        random_graph[field].zero_()
    layers[-1].reset_parameters()
    for layer, expected in zip(layers, before, strict=True):
        assert torch.equal(layer(x), expected)
    assert torch.equal(layers[2].state_dict()["_extra_state"], fingerprints[0])


def test_a_state_dict_of_other_signs_is_refused(random_graph):
    random_graph.edge_sign = torch.ones(random_graph.num_edges)
    layer = GraphLayer(random_graph, dale=True)
    random_graph.edge_sign = -random_graph.edge_sign
    with pytest.raises(RuntimeError, match="fixed signs count"):
        GraphLayer(random_graph, dale=True).load_state_dict(layer.state_dict())


@pytest.mark.parametrize("way", ["device", "context", "moved"])
def test_what_is_fixed_survives_the_meta_device(populated, options, x, way):
    saved = GraphLayer(populated, 2, **options)
    if way == "device":
        layer = GraphLayer(populated, 2, device="meta", **options)
    elif way == "context":
        with torch.device("meta"):
            layer = GraphLayer(populated, 2, **options)
    else:
        layer = GraphLayer(populated, 2, **options).to("meta")
    assert layer.weight.is_meta
    layer.to_empty(device="cpu")
    layer.load_state_dict(saved.state_dict())
    assert torch.equal(layer(x), saved(x))


@pytest.mark.parametrize("shape", [(40,), (1, 40), (6, 40)])
@pytest.mark.parametrize("activation", [None, "tanh"])
def test_what_follows_may_write_over_the_output(random_graph, shape, activation):
    layer = GraphLayer(random_graph, 2, activation=activation)
    x = torch.randn(shape, requires_grad=True)
    layer(x).relu_().sum().backward()
    expected = torch.autograd.grad(layer(x).relu().sum(), layer.weight)[0]
    torch.testing.assert_close(layer.weight.grad, expected)
    node_first = torch.randn(40, 1)
    layer(node_first, random_graph.edge_index).relu_().sum().backward()


def test_a_function_sees_the_state_in_the_shape_of_the_input(random_graph, x):
    layer = GraphLayer(random_graph, 1, activation=lambda u: u.softmax(-1))
    torch.testing.assert_close(layer(x).sum(-1), torch.ones(6))
    torch.testing.assert_close(layer(x)[2], layer(x[2]))
    deep = x.view(2, 3, 40)
    torch.testing.assert_close(layer(deep), layer(x).view(2, 3, 40))


def test_pickling_keeps_every_parametrization(random_graph, x):
    random_graph.node_sign = torch.ones(40)
    layer = GraphLayer(random_graph, 2, bias=True, dale=True)
    torch.nn.utils.parametrize.register_parametrization(layer, "bias", torch.nn.Softplus())
    twin = pickle.loads(pickle.dumps(layer))
    assert torch.equal(twin(x), layer(x))
    assert torch.equal(twin.bias, torch.nn.functional.softplus(twin.parametrizations.bias.original))


def test_a_synapse_of_weight_zero_learns_under_dale(random_graph, x):
    random_graph.edge_sign = torch.where(torch.arange(random_graph.num_edges) % 2 == 0, 1.0, -1.0)
    random_graph.edge_weight = torch.zeros(random_graph.num_edges)
    layer = GraphLayer(random_graph, 1, dale=True, init="edge_weight")
    layer(x).square().sum().backward()
    layer(x).sum().backward()
    free = layer.parametrizations.weight.original
    with torch.no_grad():
        free.sub_(free.grad)
    assert int((layer.weight != 0).sum()) > random_graph.num_edges / 2
    assert bool((layer.weight * random_graph.edge_sign >= 0).all())


def test_float64_is_left_alone_under_autocast(random_graph):
    layer = GraphLayer(random_graph, 2)
    with (
        torch.autocast("cpu"),
        pytest.raises(TypeError, match=r"x must be a float32 tensor .*pass x.float\(\)"),
    ):
        layer(torch.randn(2, 40, dtype=torch.float64))
