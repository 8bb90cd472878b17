import itertools

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.energy import BoltzmannClassifier, BoltzmannMachine

NONE = Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=6)
# Neurons 0, 1, 11 and 12 cut it into two parts of 9, which can be enumerated.
RING = graphs.small_world(22, 4, 0.0, directed=False)
SHAPES = {
    "restricted": NONE,
    "grid": graphs.grid_local((3, 3), 1, self_loops=False),
    "small world": graphs.symmetrize(graphs.small_world(12, 4, 0.3, seed=0)),
}


def drawn(model, spread):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for each in model.parameters():
            each.normal_(0.0, spread, generator=generator)
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_scores_are_minus_free_energies_with_each_label_clamped(shape, dtype):
    model = drawn(BoltzmannClassifier.around(SHAPES[shape], 4, 3, dtype=dtype), 1.0)
    assert model.exact
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=dtype)
    scores = model(x)
    for label in range(3):
        visible = torch.cat([x, torch.eye(3, dtype=dtype)[label].expand(16, 3)], 1)
        torch.testing.assert_close(scores[:, label], -model.machine.free_energy(visible))


def test_scores_are_linear_in_inputs_without_hidden_neurons():
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3, 5)).t()
    data = Data(edge_index=torch.cat([pairs, pairs.flip(0)], 1), num_nodes=5)
    model = drawn(BoltzmannClassifier(BoltzmannMachine(data), 2), 1.0)
    x = torch.tensor([[0.2, 0.7, 1.0]])
    weight, bias = model.machine.weight.view(3, 2), model.machine.bias
    torch.testing.assert_close(model(x), x @ weight + bias[3:] + x @ bias[:3])


def mean_field(loops, spread, dtype=torch.float64):
    return drawn(BoltzmannClassifier.around(RING, 4, 3, loops=loops, dtype=dtype), spread)


def exact(model, x):
    """The scores, by the sum over the states of four neurons that cut the ring."""
    machine = model.machine
    cut = BoltzmannMachine(
        Data(edge_index=machine.structure.edge_index, num_nodes=machine.num_nodes),
        visible=[*range(9), 18, 19],
        dtype=x.dtype,
    )
    parameters = torch.nn.utils.parameters_to_vector(machine.parameters()).detach()
    torch.nn.utils.vector_to_parameters(parameters, cut.parameters())
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=x.dtype)] * 4)
    rows = torch.cat(
        [
            x.repeat_interleave(48, 0),
            torch.eye(3, dtype=x.dtype).repeat_interleave(16, 0).repeat(len(x), 1),
            corners.repeat(3 * len(x), 1),
        ],
        1,
    )
    return torch.logsumexp(-cut.free_energy(rows).view(len(x), 3, 16), 2)


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0])
def test_mean_field_is_a_lower_bound_at_any_number_of_loops(spread):
    x = torch.tensor([[0.0, 1, 1, 0]], dtype=torch.float64)
    for loops in (0, 1, 10):
        model = mean_field(loops, spread)
        assert not model.exact
        gap = (exact(model, x) - model(x)).detach()
        assert float(gap.min()) > 0
    # 44 lateral weights of this spread: the gap grows with their squares.
    assert float(gap.max()) < 2 * spread**2


def test_mean_field_is_exact_without_lateral_weights():
    model = mean_field(0, 1.0)
    with torch.no_grad():
        model.machine.weight[model._lateral_pairs] = 0
    x = torch.rand(5, 4, dtype=torch.float64)
    field = model.machine.bias[7:] + x @ model.machine.weight[: 7 * 22].view(7, 22)[:4]
    expected = torch.nn.functional.softplus(
        field.unsqueeze(1) + model.machine.weight[: 7 * 22].view(7, 22)[4:]
    ).sum(2)
    expected = expected + model.machine.bias[4:7] + (x @ model.machine.bias[:4]).unsqueeze(1)
    torch.testing.assert_close(model(x), expected)


def test_inputs_are_drawn_with_their_probabilities():
    model = mean_field(1, 0.1)
    x = torch.tensor([[0.0, 1.0, 0.25, 0.5]], dtype=torch.float64).repeat(10_000, 1)
    state = model.visible_state(x, torch.full((10_000,), 2), torch.Generator().manual_seed(0))
    assert state.shape == (10_000, 7)
    assert state[:, 4:].unique(dim=0).tolist() == [[0, 0, 1]]
    means = state[:, :4].mean(0)
    assert means[:2].tolist() == [0, 1]
    # Five standard deviations.
    assert float((means[2:] - torch.tensor([0.25, 0.5])).abs().max()) < 0.025


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.full((2, 4), 1.5), ValueError, "x must lie in 0..1.*pass x.sigmoid"),
        (torch.zeros(2, 3), ValueError, "x must"),
        (torch.zeros(2, 4, dtype=torch.float64), TypeError, "x must"),
    ],
)
def test_bad_inputs(x, error, message):
    with pytest.raises(error, match=message):
        BoltzmannClassifier.around(NONE, 4, 3)(x)


def test_bad_models():
    with pytest.raises(ValueError, match=r"num_classes=9 leaves no input .* visible="):
        BoltzmannClassifier(BoltzmannMachine(SHAPES["grid"]), 9)
    with pytest.raises(ValueError, match=r"one direction only.*symmetrize"):
        BoltzmannClassifier.around(graphs.erdos_renyi(20, 0.1, seed=0), 4, 3)
    model = BoltzmannClassifier.around(NONE, 4, 3)
    with pytest.raises(ValueError, match="y must lie in"):
        model.visible_state(torch.zeros(2, 4), torch.tensor([0, 3]), None)
