"""Where cells and strengths lie, by hand."""

import pytest
import torch
from torch_geometric.data import Data

from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork


def small(**options):
    """The bias 0 and 1, a pair of inputs 2 and 3, hidden cells 5 (-), 6 (+), 7 (-), the output 4.

    The bias and both inputs send to 5 and 6, inputs to 7 as well; the bias, 5, 6 and 7 to 4.
    """
    edges = [(0, 5), (1, 5), (2, 5), (3, 5), (0, 6), (1, 6), (2, 6), (3, 6), (2, 7), (3, 7)]
    edges += [(0, 4), (1, 4), (5, 4), (6, 4), (7, 4)]
    return ErrorDiffusionNetwork(
        Data(edge_index=torch.tensor(edges).t(), num_nodes=8),
        torch.tensor([1.0, -1, 1, -1, 1, -1, 1, -1]),
        inputs=[2, 3],
        bias=[0, 1],
        output=4,
        **options,
    )


def test_cells_are_in_stages_with_plus_first():
    hidden, last = small().stages
    assert hidden.cells.tolist() == [6, 5, 7]
    assert hidden.sign.flatten().tolist() == [1, -1, -1]
    assert last.cells.tolist() == [4]
    assert (hidden.bias, last.bias) == (True, False)
    assert hidden.loop == last.loop == ()


def test_strengths_lie_by_bundle_network_target_and_row():
    network = small(networks=2)
    hidden, last = network.stages
    # Per network: 5 synapses from + and 5 from - into the hidden cells, then the matrices of 4.
    bundles = [*hidden.feed, *last.feed]
    assert [each.positive for each in bundles] == [True, False, True, False]
    assert [(each.first, each.size) for each in bundles] == [(0, 10), (10, 10), (20, 4), (24, 6)]
    assert [each.rows for each in bundles] == [range(2), range(2), range(2), range(2, 5)]
    assert [each.structure is None for each in bundles] == [False, False, True, True]
    # In the order of the synapses above. Targets 6, 5, 7 are 0, 1, 2; of each the bias comes first.
    # The output reads rows bias, 6 | 5, 7, bias.
    plus = {(0, 6): 0, (2, 6): 1, (0, 5): 2, (2, 5): 3, (2, 7): 4}
    minus = {(1, 6): 0, (3, 6): 1, (1, 5): 2, (3, 5): 3, (3, 7): 4}
    of_plus, of_minus = {(0, 4): 0, (6, 4): 1}, {(5, 4): 0, (7, 4): 1, (1, 4): 2}
    for number in range(2):
        expected = {pair: 5 * number + place for pair, place in plus.items()}
        expected |= {pair: 10 + 5 * number + place for pair, place in minus.items()}
        expected |= {pair: 20 + 2 * number + place for pair, place in of_plus.items()}
        expected |= {pair: 24 + 3 * number + place for pair, place in of_minus.items()}
        pairs = zip(*network.edge_index.tolist(), strict=True)
        assert network.places[number].tolist() == [expected[pair] for pair in pairs]


def test_layers_are_stages_where_sweeps_settle_them():
    chain = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
    numbers = {
        "layers": ({"inputs": [0], "outputs": [2], "loops": 4}, 4),
        "too few sweeps": ({"inputs": [0], "outputs": [0, 1, 2], "loops": 3}, 1),
        "synapses over a layer": ({"loops": 4}, 1),
    }
    for options, number in numbers.values():
        assert len(ErrorDiffusionNetwork.around(chain, 1, **options).stages) == number


def test_cells_in_a_cycle_are_one_stage_with_loops():
    (stage,) = ErrorDiffusionNetwork.all_to_all(1, 2, loops=2).stages
    assert stage.cells.tolist() == [4, 6, 5]
    assert [(each.positive, each.rows) for each in stage.feed] == [
        (True, range(2)),
        (False, range(2)),
    ]
    assert [(each.positive, each.rows) for each in stage.loop] == [
        (True, range(2)),
        (False, range(2, 3)),
    ]


PARALLEL = torch.tensor([[0, 0, 0, 1, 2, 3], [2, 2, 3, 3, 4, 4]])


@pytest.mark.parametrize("compiled", [True, False])
def test_parallel_synapses_of_two_types_do_not_hide_one_that_is_missing(compiled):
    """0 -> 2 twice and 0, 1 -> 3: as many as two cells that hear both inputs, but 1 -/-> 2."""
    network = ErrorDiffusionNetwork(
        Data(edge_index=PARALLEL, edge_type=torch.tensor([0, 1, 0, 0, 0, 0]), num_nodes=5),
        torch.ones(5),
        inputs=[0, 1],
        paired=False,
        output=4,
        u0=2.0,
        dtype=torch.float64,
    )
    if not compiled:
        network.compiled = None
    network.weight = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    hidden = torch.sigmoid(torch.tensor([0.3, 1.1], dtype=torch.float64))
    score = torch.sigmoid((hidden * torch.tensor([0.5, 0.6])).sum())
    torch.testing.assert_close(network(x).detach(), score.view(1, 1))
    ErrorDiffusion(network, loss="quadratic")(x, torch.tensor([1]))
    error, slope = 1 - score, hidden * (1 - hidden)
    ends = [1 * slope[0], 1 * slope[0], 1 * slope[1], 2 * slope[1]]
    ends += [hidden[0] * score * (1 - score), hidden[1] * score * (1 - score)]
    expected = -error * torch.stack(ends)
    torch.testing.assert_close(network.strength.grad[network.places[0]], expected)


def test_a_wide_sparse_stage_needs_no_memory_for_what_is_missing():
    """Of 200,000 times 200,000 synapses a ring has 200,000; a byte for each would be 40 GB."""
    number = 200_000
    ring = torch.stack([torch.arange(number), torch.arange(number).roll(-1)])
    network = ErrorDiffusionNetwork.around(
        Data(edge_index=ring, num_nodes=number), 1, inputs=[0], outputs=[0], loops=2
    )
    assert network.strength.numel() == number + 2 * (number + 1) + 2 + 1
