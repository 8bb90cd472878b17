"""Networks of typed cells: how they are wired, what they compute, and what they refuse."""

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.error_diffusion import ErrorDiffusionNetwork, alternating

NONE = torch.empty(2, 0, dtype=torch.int64)


def hidden(number):
    return Data(edge_index=NONE, num_nodes=number)


def by_hand(**options):
    """A pair of inputs, one hidden cell, the output."""
    edges = torch.tensor([[0, 1, 2], [2, 2, 3]])
    given = {
        "types": torch.tensor([1.0, -1.0, -1.0, 1.0]),
        "inputs": [0, 1],
        "output": 3,
        "u0": 2.0,
        "dtype": torch.float64,
    }
    return ErrorDiffusionNetwork(Data(edge_index=edges, num_nodes=4), **{**given, **options})


def test_one_value_by_hand():
    """Hidden: -0.3 x + 0.5 x = 0.2 at x = 1; output: -2 sigma(0.2)."""
    network = by_hand()
    network.weight = torch.tensor([[-0.3, 0.5, -2.0]])
    x = torch.ones(1, 1, dtype=torch.float64)
    expected = torch.sigmoid(-2 * torch.sigmoid(torch.tensor([[0.2]], dtype=torch.float64)))
    torch.testing.assert_close(network(x).detach(), expected)
    linear = by_hand(linear=True)
    linear.weight = network.weight.detach()
    torch.testing.assert_close(linear(x).sigmoid().detach(), expected)


def test_kanekos_numbers_and_types():
    network = ErrorDiffusionNetwork.around(hidden(3), 2)
    assert network.num_nodes == 2 + 4 + 1 + 3
    assert network.types.tolist() == [1, -1, 1, -1, 1, -1, 1, -1, 1, -1]
    assert network.output == 6
    pairs = set(zip(*network.edge_index.tolist(), strict=True))
    expected = {(m, k) for m in range(6) for k in (7, 8, 9)} | {(m, 6) for m in (0, 1, 7, 8, 9)}
    assert pairs == expected
    assert alternating(4).tolist() == [-1, 1, -1, 1]


def test_all_to_all_leaves_out_nothing_but_self_loops():
    full = ErrorDiffusionNetwork.all_to_all(2, 3, loops=2)
    assert full.edge_index.size(1) == 10 * 4
    assert (
        ErrorDiffusionNetwork.all_to_all(2, 3, loops=2, self_loops=False).edge_index.size(1)
        == 10 * 4 - 4
    )


def test_density_is_the_share_of_synapses_from_inputs():
    network = ErrorDiffusionNetwork.around(hidden(40), 50, density=0.05)
    from_inputs = (network.edge_index[0] >= 2) & (network.edge_index[0] < 102)
    assert int(from_inputs.sum()) == round(0.05 * 100 * 40)


def test_signs_follow_from_types_in_any_order_of_synapses():
    network = ErrorDiffusionNetwork.around(
        graphs.erdos_renyi(20, probability=0.2, seed=0), 3, types="random", loops=3, networks=2
    )
    source, target = network.edge_index
    assert torch.equal(network.sign, network.types[source] * network.types[target])
    assert bool((network.weight * network.sign >= 0).all())
    weight = network.weight.detach() * 2
    network.weight = weight
    torch.testing.assert_close(network.weight.detach(), weight, rtol=0, atol=0)


def test_initial_magnitudes_are_uniform():
    """Means of 20,000 draws: five standard errors, false alarms 1 in a million."""
    torch.manual_seed(0)
    network = ErrorDiffusionNetwork.around(hidden(100), 99, init=0.5)
    error = 0.5 / (12 * network.strength.numel()) ** 0.5
    assert 0 <= network.strength.min() < network.strength.max() <= 0.5
    assert abs(float(network.strength.detach().mean()) - 0.25) < 5 * error
    free = ErrorDiffusionNetwork.around(hidden(100), 99, keep_signs=False)
    assert free.strength.min() < -0.99
    assert abs(float(free.strength.detach().mean())) < 5 * 4 * error
    degree = ErrorDiffusionNetwork.around(hidden(100), 99, init="degree")
    counts = torch.bincount(degree.edge_index[1])[degree.edge_index[1]]
    assert bool((degree.weight.abs() * counts <= 1.0001).all())


def test_the_same_generator_is_the_same_network():
    made = [
        ErrorDiffusionNetwork.around(
            hidden(9),
            4,
            types="random",
            density=0.5,
            generator=torch.Generator().manual_seed(3),
        )
        for _ in range(2)
    ]
    assert torch.equal(made[0].weight, made[1].weight)
    assert torch.equal(made[0].edge_index, made[1].edge_index)


@pytest.mark.parametrize("density", [1.0, 0.4])
def test_more_sweeps_than_layers_change_nothing(density):
    data = graphs.layered([5, 4, 3])
    options = {"inputs": range(5), "outputs": range(9, 12), "density": density, "networks": 2}
    made = []
    for loops in (None, 4, 9):
        generator = torch.Generator().manual_seed(0)
        made.append(
            ErrorDiffusionNetwork.around(data, 6, loops=loops, generator=generator, **options)
        )
    x = torch.rand(7, 6)
    assert [network.loops for network in made] == [4, 4, 9]
    assert torch.equal(made[0](x), made[1](x))
    assert torch.equal(made[0](x), made[2](x))


def test_layers_are_matrices_where_all_synapses_are_there():
    data = graphs.layered([5, 4])
    full = ErrorDiffusionNetwork.around(data, 6, inputs=range(5), outputs=range(5, 9))
    assert len(full.stages) == 3
    assert all(each.structure is None for stage in full.stages for each in stage.feed)
    few = ErrorDiffusionNetwork.around(data, 6, inputs=range(5), outputs=range(5, 9), density=0.5)
    assert all(each.structure is not None for each in few.stages[0].feed)


def test_networks_are_independent():
    """Three at once compute what three alone do, layered and with loops."""
    for data, loops in ((hidden(6), None), (graphs.small_world(12, 4, 0.2, seed=0), 4)):
        together = ErrorDiffusionNetwork.around(data, 3, loops=loops, networks=3)
        x = torch.rand(5, 3)
        for number in range(3):
            alone = ErrorDiffusionNetwork.around(data, 3, loops=loops)
            alone.weight = together.weight[number : number + 1].detach()
            torch.testing.assert_close(alone(x)[:, 0], together(x)[:, number])


def test_weights_of_a_wrong_sign_or_shape_are_refused():
    network = by_hand()
    with pytest.raises(ValueError, match=r"network\.sign \* weight\.abs"):
        network.weight = torch.ones(1, 3)
    with pytest.raises(ValueError, match=r"shape \[1, 3\], got \[3\]"):
        network.weight = torch.ones(3)
    by_hand(keep_signs=False).weight = torch.ones(1, 3)


def test_state_dict_fits_the_same_synapses_only():
    network = by_hand()
    other = by_hand(types=torch.tensor([1.0, -1.0, 1.0, 1.0]))
    before = other.strength.detach().clone()
    with pytest.raises(RuntimeError, match="saved with other synapses than this one has"):
        other.load_state_dict(network.state_dict())
    assert torch.equal(other.strength, before)
    same = by_hand()
    same.load_state_dict(network.state_dict())
    assert torch.equal(same.weight, network.weight)


def test_it_follows_its_dtype():
    network = ErrorDiffusionNetwork.around(graphs.small_world(12, 4, 0.2, seed=0), 3, loops=4)
    x = torch.rand(5, 3)
    expected = network(x)
    torch.testing.assert_close(network.double()(x.double()).float(), expected)
    with pytest.raises(TypeError, match=r"x must be a float64 tensor .*pass x\.double\(\)"):
        network(x)


REFUSED = {
    "types": ({"types": torch.ones(3)}, r"types must be a float32 .* tensor of shape \[4\]"),
    "zero": ({"types": torch.tensor([1.0, -1, 0, 1])}, "-1 and .1 only"),
    "pairs": ({"types": torch.tensor([1.0, 1, -1, 1])}, "pairs of a . and a - cell"),
    "held": ({"inputs": [0, 1, 2], "paired": False}, "lead to cells that are held"),
    "bias": ({"bias": [0, 1]}, "bias must be a . and a - cell that are not inputs"),
    "output": ({"output": 2}, "output must be a . cell"),
    "sends": (
        {"linear": True, "output": 2, "types": torch.tensor([1.0, -1, 1, 1])},
        "must not send",
    ),
    "reach": ({"loops": 1}, "no input reaches the output in 1 sweeps"),
    "u0": ({"u0": 0}, "u0 must be a finite number > 0"),
    "init": ({"init": "uniform"}, "init must be one of 'degree'"),
    "networks": ({"networks": 0}, "networks must be an integer >= 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_wired_is_refused(case):
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        by_hand(**options)


def test_what_cannot_be_put_around_is_refused():
    ring = Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=2)
    with pytest.raises(ValueError, match=r"has cycles.*loops=5"):
        ErrorDiffusionNetwork.around(ring, 2)
    with pytest.raises(ValueError, match="density must be a finite number in"):
        ErrorDiffusionNetwork.around(hidden(2), 2, density=0.0)
    with pytest.raises(ValueError, match="types must be one of 'alternating', 'random'"):
        ErrorDiffusionNetwork.around(hidden(2), 2, types="paired")
    with pytest.raises(ValueError, match=r"types must be a float32 .* tensor of shape \[2\]"):
        ErrorDiffusionNetwork.around(hidden(2), 2, types=torch.ones(3))
    with pytest.raises(
        ValueError, match=r"x must be a float32 tensor of shape \[B, 2\], got \[2\]"
    ):
        ErrorDiffusionNetwork.around(hidden(2), 2)(torch.ones(2))
