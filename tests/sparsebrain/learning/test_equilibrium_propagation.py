"""Equilibrium propagation against exact values and against the gradient at the equilibrium."""

import copy
import itertools
import warnings

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity, cross_entropy
from torch_geometric.data import Data

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.equilibrium import NonConvergenceWarning
from sparsebrain.learning import EquilibriumPropagation
from sparsebrain.models.neurons import ReadNeurons
from tests.sparsebrain.learning.conftest import MODELS, make, samples

# Six neurons with eight pairs in the order of their weights; the last two neurons are read.
PAIRS = torch.tensor([[0, 1, 2, 3, 4, 0, 0, 1], [1, 2, 3, 4, 5, 5, 3, 4]])


def precise(*rows):
    return torch.tensor(rows, dtype=torch.float64)


WEIGHTS = precise(*((-1) ** k * (0.1 + 0.02 * k) for k in range(8)))
INPUTS = precise(
    [0.5, -0.3, 0.2],
    [0.1, 0.4, -0.6],
    [-0.2, 0.3, 0.1],
    [0.7, 0.0, 0.2],
    [0.0, -0.5, 0.3],
    [0.2, 0.2, -0.4],
)
BIAS = precise(0.1, -0.1, 0.2, 0.0, -0.2, 0.3)
X, TARGET = precise([1.0, -0.5, 2.0]), precise([0.3, -0.8])
# The positions of the pairs in the order of the layer, by (i, j).
SORTED = (6 * PAIRS[0] + PAIRS[1]).argsort()


def half_square(scores, y):
    return 0.5 * (scores - TARGET).square().sum(-1).mean()


def six_neurons(activation, **options):
    data = Data(edge_index=torch.cat([PAIRS, PAIRS.flip(0)], 1), num_nodes=6)
    layer = GraphLayer(
        data,
        Equilibrium(tol=1e-15, max_loops=2000),
        activation=activation,
        bias=True,
        weight_sharing="pair",
        dtype=torch.float64,
    )
    layer.assign_weight(WEIGHTS[SORTED])
    encode = nn.Linear(3, 6, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.bias.copy_(BIAS)
        encode.weight.copy_(INPUTS)
    rule = EquilibriumPropagation(
        nn.Sequential(encode, layer, ReadNeurons(torch.tensor([4, 5]))), **options
    )
    rule.loss = half_square
    return rule


def gradients(rule):
    """The gradient of every parameter of the model by name; they are then reset."""
    found = {name: p.grad.clone() for name, p in rule.model.named_parameters()}
    rule.model.zero_grad()
    return found


def exact(rule, loss):
    loss.backward()
    return gradients(rule)


@pytest.mark.parametrize(
    ("activation", "expected"), [(None, 0.103177613760), ("tanh", 0.102535586588)]
)
def test_six_neurons_have_the_loss_of_the_definition(activation, expected):
    rule = six_neurons(activation)
    assert float(rule(X, torch.tensor([0]))) == pytest.approx(expected, abs=1e-12)


def test_the_linear_case_is_exact():
    rule = six_neurons(None, beta=1e-5)
    rule(X, torch.tensor([0]))
    found = rule.layer.weight.grad[SORTED.argsort()]
    told = (-0.02770351, -0.05594209, -0.04106683, 0.60427474)
    told += (-0.03690073, 0.55541482, -0.28859917, -0.81966201)
    torch.testing.assert_close(found, precise(*told), rtol=0, atol=6e-9)
    weight = torch.zeros(6, 6, dtype=torch.float64)
    single = WEIGHTS.clone().requires_grad_()
    weight = weight.index_put((PAIRS[0], PAIRS[1]), single)
    z = torch.linalg.solve(torch.eye(6) - weight - weight.T, INPUTS @ X[0] + BIAS)
    half_square(z[4:], None).backward()
    torch.testing.assert_close(found, single.grad, rtol=0, atol=1e-9)


@pytest.mark.parametrize("activation", [None, "tanh"])
@pytest.mark.parametrize(("nudge", "ratio"), [("one-sided", 2), ("centered", 4)])
def test_the_error_falls_with_beta_as_the_theory_says(activation, nudge, ratio):
    rule = six_neurons(activation, nudge=nudge)
    wanted = exact(rule, half_square(rule.model(X), None))
    errors = {name: [] for name in wanted}
    for halvings in range(3, 6):
        rule.beta = 0.1 / 2**halvings
        rule(X, torch.tensor([0]))
        for name, found in gradients(rule).items():
            errors[name].append(float((found - wanted[name]).norm()))
    for several in errors.values():
        for before, after in itertools.pairwise(several):
            assert before / after == pytest.approx(ratio, rel=0.02)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("topology", "nudge"),
    [*((each, "centered") for each in MODELS), ("grid", "one-sided"), ("grid", "random-sign")],
)
def test_the_gradient_of_every_parameter_is_that_of_the_loss(topology, training, nudge):
    rule = make("equilibrium-propagation", topology).double()
    rule.beta, rule.nudge = 0.02, nudge
    x, y = samples(12)
    x = x.double()
    # Running statistics away from those of the batch.
    rule.train().predict(samples(12, seed=1)[0].double())
    other = copy.deepcopy(rule)
    rule.train(training)(x, y)
    found = gradients(rule)
    wanted = exact(other.train(training), cross_entropy(other.model(x), y))
    assert found.keys() == wanted.keys()
    for name, grad in found.items():
        assert grad.isfinite().all()
        # In training the batch mean is subtracted, and the bias has no effect.
        if grad.numel() and (name, training) != ("encode.bias", True):
            assert cosine_similarity(grad.flatten(), wanted[name].flatten(), 0) > 0.995, name
    # The encoder ran once in each.
    torch.testing.assert_close(rule.model.state_dict(), other.model.state_dict())


def signed():
    """A symmetric connectome with weights, signs, a self-loop and a parallel pair."""
    source, target = torch.tensor([[0, 1, 2, 0, 3, 0, 1], [1, 2, 3, 2, 3, 3, 2]])
    types = torch.tensor([0, 0, 0, 1, 0, 1, 1])
    sign = torch.tensor([1.0, -1, 1, -1, 1, 0, -1])
    strength = torch.tensor([0.2, 0.3, 0.1, 0.2, 0.1, 0.2, 0.2]) * torch.where(sign < 0, -1.0, 1.0)
    both = [0, 1, 2, 3, 5, 6]
    return Data(
        edge_index=torch.stack(
            [torch.cat([source, target[both]]), torch.cat([target, source[both]])]
        ),
        num_nodes=4,
        edge_type=torch.cat([types, types[both]]),
        edge_sign=torch.cat([sign, sign[both]]),
        edge_weight=torch.cat([strength, strength[both]]),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"weight_sharing": "pair"},
        {"weight_sharing": "pair", "dale": True, "init": "edge_weight"},
        {"gain": "pair", "dale": True, "bias": True, "threshold": "neuron", "leak": 0.5},
    ],
    ids=["plain", "dale", "gain"],
)
@pytest.mark.parametrize("constraint", [None, "norm"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_weights_learn_whatever_they_are_computed_from(options, constraint, activation):
    loops = Equilibrium(tol=1e-11, constraint=constraint, bound=0.5)
    torch.manual_seed(0)
    layer = GraphLayer(signed(), loops, activation=activation, dtype=torch.float64, **options)
    model = nn.Sequential(nn.Linear(12, 4), nn.Sigmoid(), layer, nn.Tanh(), nn.Linear(4, 3))
    rule = EquilibriumPropagation(model.double(), beta=1e-4)
    x, y = samples(6)
    wanted = exact(rule, cross_entropy(model(x.double()), y))
    rule(x.double(), y)
    torch.testing.assert_close(gradients(rule), wanted, rtol=1e-5, atol=1e-7)


def test_a_random_sign_is_that_of_its_generator():
    rules = [
        six_neurons("tanh", nudge="random-sign", generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    seen = []
    for rule in rules:
        for _ in range(6):
            rule(X, torch.tensor([0]))
            seen.append(gradients(rule)["1.weight"])
    first, second = seen[:6], seen[6:]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert len(torch.stack(first).unique(dim=0)) == 2


def test_a_sample_is_taught_as_if_it_were_alone():
    rule = make("equilibrium-propagation", "grid").double().eval()
    x, y = samples(6)
    rule(x.double(), y)
    whole, parts = gradients(rule), []
    for at in range(6):
        rule(x[at : at + 1].double(), y[at : at + 1])
        parts.append(gradients(rule))
    for name, grad in whole.items():
        mean = torch.stack([part[name] for part in parts]).mean(0)
        torch.testing.assert_close(grad, mean, rtol=1e-4, atol=1e-6)


def layer_of(**options):
    options = {"loops": Equilibrium(tol=1e-6), "weight_sharing": "pair", **options}
    return GraphLayer(graphs.grid_local((2, 2), 1), **options)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([nn.Linear(4, 4)], "has 0 GraphLayers.*build"),
        ([layer_of(), layer_of()], "has 2 GraphLayers.*build"),
        ([layer_of(loops=3)], r"loops=3, and the rule compares equilibria; make it"),
        ([layer_of(weight_sharing="synapse")], "pass weight_sharing='pair'"),
        ([layer_of(weight_sharing="type")], "pass weight_sharing='pair'"),
        ([layer_of(aggr="max")], "use aggr='sum'"),
        ([layer_of(), nn.BatchNorm1d(4)], "BatchNorm1d follows the GraphLayer"),
        ([layer_of(), nn.Sequential(nn.Tanh(), nn.Dropout())], "Dropout follows the GraphLayer"),
        ([layer_of(), nn.RReLU()], "RReLU follows the GraphLayer"),
        ([layer_of().half()], "weights are torch.float16"),
    ],
)
def test_models_without_an_energy_of_single_samples_are_refused(parts, reason):
    with pytest.raises(ValueError, match=f"cannot train this model: .*{reason}"):
        EquilibriumPropagation(nn.Sequential(*parts))


def test_a_connectome_with_one_way_synapses_is_refused_with_the_remedy():
    data = graphs.c_elegans()
    with pytest.raises(
        ValueError, match=r"2260 have none, .*pass graphs\.symmetrize\(connectome\).*symmetric=true"
    ):
        EquilibriumPropagation.build(data, 4, 3)
    model = EquilibriumPropagation.build(graphs.symmetrize(data), 4, 3)
    assert len(model.graph.weight) == 2966


def test_residuals_and_rounding_errors_are_not_divided_by_too_small_a_beta():
    model = nn.Sequential(layer_of(loops=Equilibrium(tol=1e-3)))
    message = r"beta must be at least 500 times the tol .* 0\.001.*Equilibrium\(tol=0\.0001\)"
    with pytest.raises(ValueError, match=message):
        EquilibriumPropagation(model)
    EquilibriumPropagation(model, beta=0.5)
    precise = nn.Sequential(layer_of(loops=Equilibrium(tol=1e-8)))
    with pytest.raises(ValueError, match=r"beta must be at least 0\.001 .*call model\.double"):
        EquilibriumPropagation(precise, beta=1e-4)
    rule = EquilibriumPropagation(precise.double(), beta=1e-4)
    with pytest.raises(ValueError, match="beta must be at least"):
        rule.float()(torch.ones(2, 4), torch.tensor([0, 1]))
    with pytest.raises(TypeError, match=r"weights are torch\.float16.*call model\.float"):
        rule.half()(torch.ones(2, 4).half(), torch.tensor([0, 1]))


def test_a_nudge_that_does_not_settle_is_told_once():
    loops = Equilibrium(tol=1e-6, max_loops=20, constraint="norm", bound=0.3)
    model = EquilibriumPropagation.build(graphs.grid_local((3, 3), 1), 12, 3, loops=loops)
    rule = EquilibriumPropagation(model, beta=1.0)
    with torch.no_grad():
        rule.model.decode.weight.mul_(100)
    with pytest.warns(NonConvergenceWarning, match="pass a smaller beta"):
        rule(*samples(8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rule(*samples(8))
    assert len(rule.reports) == 2
    assert all(p.grad.isfinite().all() for p in rule.parameters())


def test_a_number_of_loops_becomes_an_equilibrium_and_an_equilibrium_stays():
    grid = graphs.grid_local((3, 3), 1)
    made = EquilibriumPropagation.build(grid, 4, 3, loops=7).graph.loops
    assert made == Equilibrium(tol=1e-6, constraint="norm")
    given = Equilibrium(tol=1e-5, constraint="perron")
    assert EquilibriumPropagation.build(grid, 4, 3, loops=given).graph.loops == given
