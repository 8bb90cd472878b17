"""Whatever turns a connectome into numbers multiplies counts of synapses by their signs."""

import numpy as np
import pytest
import scipy.sparse
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import Equilibrium, GraphLayer, Maxout
from sparsebrain.energy import BoltzmannMachine
from sparsebrain.plasticity import Rewiring
from sparsebrain.spiking import LIF, FlyBrain

# Neuron 0 excites, neuron 1 inhibits, and the sign of neuron 2 is unknown.
EDGES = torch.tensor([[2, 0, 1], [0, 1, 2]])
COUNTS = torch.tensor([2.0, 5.0, 3.0])
SIGNS = torch.tensor([0.0, 1.0, -1.0])
SIGNED = [2.0, 5.0, -3.0]
MATRIX = [[0.0, 5.0, 0.0], [0.0, 0.0, -3.0], [2.0, 0.0, 0.0]]

CONNECTOMES = {
    "counts and edge_sign": {"edge_weight": COUNTS, "edge_sign": SIGNS},
    "counts and node_sign": {"edge_weight": COUNTS, "node_sign": torch.tensor([1.0, -1.0, 0.0])},
    "signed weights": {"edge_weight": torch.tensor(SIGNED)},
    "signed weights and edge_sign": {"edge_weight": torch.tensor(SIGNED), "edge_sign": SIGNS},
    "edge_sign goes before node_sign": {
        "edge_weight": COUNTS,
        "edge_sign": SIGNS,
        "node_sign": torch.tensor([-1.0, 1.0, -1.0]),
    },
}


def brain(**fields):
    return Data(edge_index=EDGES, num_nodes=3, **fields)


def symmetric(data):
    """The connectome with both directions of each pair, and signs of synapses."""
    data = data.clone()
    sign = graphs.contract.signs(data)
    if sign is not None:
        data.edge_sign = torch.from_numpy(sign.copy())
        data.pop("node_sign", None)
    return graphs.symmetrize(data)


def weights_of(layer):
    return layer.weight.detach().tolist()


# The three weights, in the order of EDGES, as each consumer uses them.
WEIGHTS = {
    "signed_weights": lambda data: graphs.signed_weights(data).tolist(),
    "GraphLayer": lambda data: weights_of(GraphLayer(data, init="edge_weight")),
    "GraphLayer with gains": lambda data: weights_of(GraphLayer(data, gain="synapse")),
    "gains by source": lambda data: weights_of(GraphLayer(data, gain="source")),
    "weights shared by source": lambda data: (
        GraphLayer(data, init="edge_weight", weight_sharing="source").weight[EDGES[0]].tolist()
    ),
    "an Equilibrium without constraint": lambda data: weights_of(
        GraphLayer(data, Equilibrium(), init="edge_weight")
    ),
    "PyG's messages": lambda data: GraphLayer(data, init="edge_weight", aggr="max")(torch.eye(3))[
        EDGES[0], EDGES[1]
    ].tolist(),
    "Maxout": lambda data: weights_of(Maxout(data, init="edge_weight", bias=False).pieces[0]),
    "LIF": lambda data: weights_of(LIF(data)),
    "FlyBrain": lambda data: weights_of(FlyBrain(data, synapse_weight=1.0)),
    "BoltzmannMachine": lambda data: [
        BoltzmannMachine(symmetric(data)).weight.detach().tolist()[pair] for pair in (1, 0, 2)
    ],
    "to_numpy": lambda data: graphs.to_numpy(data)[EDGES[0], EDGES[1]].tolist(),
    "to_scipy": lambda data: graphs.to_scipy(data).toarray()[EDGES[0], EDGES[1]].tolist(),
}


@pytest.mark.parametrize("fields", CONNECTOMES)
@pytest.mark.parametrize("consumer", WEIGHTS)
def test_counts_with_signs_are_signed_weights(consumer, fields):
    assert WEIGHTS[consumer](brain(**CONNECTOMES[fields])) == SIGNED


@pytest.mark.parametrize("fields", CONNECTOMES)
def test_the_spectrum_is_that_of_the_signed_weights(fields):
    # The only cycle has the product 5 * -3 * 2 = -30.
    found = graphs.spectrum(brain(**CONNECTOMES[fields]), k=3)
    np.testing.assert_allclose(found**3, [-30] * 3, rtol=1e-12)


@pytest.mark.parametrize("fields", CONNECTOMES)
def test_dale_starts_from_the_same_weights(fields):
    data = brain(**CONNECTOMES[fields])
    if graphs.contract.signs(data) is None:
        return
    for layer in (
        GraphLayer(data, init="edge_weight", dale=True),
        GraphLayer(data, gain="synapse", dale=True),
        LIF(data, dale=True),
    ):
        assert layer.weight.detach().tolist() == SIGNED


def test_signs_without_weights_are_weights_of_plus_and_minus_one():
    data = brain(edge_sign=SIGNS)
    assert graphs.signed_weights(data).tolist() == [1.0, 1.0, -1.0]
    assert graphs.to_numpy(data).sum(1).tolist() == [1.0, -1.0, 1.0]


def test_each_weight_is_read_by_itself():
    """A negative weight elsewhere does not turn off the signs of the counts."""
    data = brain(edge_weight=torch.tensor([-2.0, 5.0, 3.0]), edge_sign=SIGNS)
    assert graphs.signed_weights(data).tolist() == [-2.0, 5.0, -3.0]
    assert LIF(data).weight.tolist() == [-2.0, 5.0, -3.0]


@pytest.mark.parametrize("field", ["edge_sign", "node_sign"])
@pytest.mark.parametrize("use", [graphs.validate, graphs.signed_weights, GraphLayer, LIF, FlyBrain])
def test_a_negative_weight_of_an_excitatory_synapse_is_refused(use, field):
    sign = SIGNS if field == "edge_sign" else torch.tensor([1.0, -1.0, 0.0])
    data = brain(edge_weight=torch.tensor([2.0, -5.0, 3.0]), **{field: sign})
    with pytest.raises(
        ValueError,
        match=rf"edge_weight must not be negative where {field} is \+1, got -5 at position 1; set "
        rf"data.edge_weight = data.edge_weight.abs\(\) if the signs are right, or del data.{field}",
    ):
        use(data)


def test_reading_does_not_change_the_connectome():
    data = brain(**CONNECTOMES["counts and edge_sign"])
    graphs.signed_weights(data)[:] = 9
    graphs.to_scipy(data).data[:] = 9
    with torch.no_grad():
        LIF(data).weight.fill_(9)
    assert data.edge_weight.tolist() == [2.0, 5.0, 3.0]


def test_signed_matrices_come_back_exactly():
    assert np.array_equal(graphs.to_numpy(graphs.from_numpy(MATRIX)), MATRIX)
    draw = np.random.default_rng(0)
    matrix = scipy.sparse.random_array((30, 30), density=0.2, rng=draw, dtype=np.float32)
    matrix.data -= 0.5
    back = graphs.to_scipy(graphs.from_scipy(matrix))
    assert np.array_equal(back.toarray(), matrix.toarray())


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".pt", ".graphml", ".h5"])
@pytest.mark.parametrize("fields", CONNECTOMES)
def test_files_keep_weights_and_signs_apart(tmp_path, fields, suffix):
    if suffix == ".h5":
        pytest.importorskip("h5py")
    data = brain(**CONNECTOMES[fields])
    path = tmp_path / f"brain{suffix}"
    graphs.save(data, path)
    back = graphs.load(path)
    assert back.edge_weight.tolist() == data.edge_weight.tolist()
    assert graphs.signed_weights(back).tolist() == SIGNED


def test_a_union_with_a_part_without_signs_keeps_inhibition():
    counts = brain(**CONNECTOMES["counts and node_sign"])
    signed = brain(edge_weight=torch.tensor(SIGNED))
    both = graphs.join([counts, signed])
    assert "node_sign" not in both
    assert graphs.signed_weights(both).tolist() == SIGNED * 2
    assert graphs.join([counts, counts]).edge_weight.tolist() == COUNTS.tolist() * 2


def test_nesting_with_a_part_without_signs_keeps_inhibition():
    counts = brain(**CONNECTOMES["counts and edge_sign"])
    signed = Data(
        edge_index=torch.tensor([[0], [1]]), num_nodes=2, edge_weight=torch.tensor([-7.0])
    )
    nested = graphs.nest(signed, counts, connect=graphs.OneToOne())
    matrix = graphs.to_numpy(nested)
    assert np.array_equal(matrix[:3, :3], MATRIX)
    assert np.array_equal(matrix[3:, 3:], MATRIX)
    assert np.array_equal(matrix[:3, 3:], np.diag([-7.0] * 3))
    # The sign of a neuron holds for all of its synapses; an unknown one leaves the weight as it is.
    dale = graphs.nest(
        signed, brain(**CONNECTOMES["counts and node_sign"]), connect=graphs.OneToOne()
    )
    assert np.array_equal(graphs.to_numpy(dale)[:3, 3:], np.diag([7.0, -7.0, -7.0]))


def test_matched_synapses_have_the_sign_of_their_source():
    """Neuron 1 has no synapse to copy from, excites, and takes the size of an inhibitory weight."""
    data = Data(
        edge_index=torch.tensor([[0], [1]]),
        num_nodes=2,
        edge_weight=torch.tensor([-4.0]),
        node_sign=torch.tensor([-1.0, 1.0]),
    )
    assert np.array_equal(graphs.to_numpy(graphs.match(data, 2, seed=0)), [[0, -4], [4, 0]])


@pytest.mark.parametrize(
    ("weight", "sign", "how", "expected"),
    [
        ([2.0, 4.0], [-1.0, -1.0], "sum", (6.0, -1.0)),
        ([-2.0, 4.0], [-1.0, -1.0], "sum", (-6.0, -1.0)),
        ([-2.0, 4.0], [-1.0, -1.0], "mean", (-3.0, -1.0)),
        ([2.0, 4.0], [0.0, -1.0], "sum", (6.0, -1.0)),
    ],
)
def test_symmetric_weights_are_sums_of_signed_ones(weight, sign, how, expected):
    pair = Data(
        edge_index=torch.tensor([[1, 0], [0, 1]]),
        num_nodes=2,
        edge_weight=torch.tensor(weight),
        edge_sign=torch.tensor(sign),
    )
    found = graphs.symmetrize(pair, weight=how)
    assert (found.edge_weight[0].item(), found.edge_sign[0].item()) == expected
    assert torch.equal(found.edge_weight, found.edge_weight[:1].expand(2))


def test_a_negative_weight_of_unknown_sign_opposes_an_excitatory_partner():
    pair = Data(
        edge_index=torch.tensor([[1, 0], [0, 1]]),
        num_nodes=2,
        edge_weight=torch.tensor([-5.0, 3.0]),
        edge_sign=torch.tensor([0.0, 1.0]),
    )
    with pytest.raises(ValueError, match="between neurons 0 and 1 have opposite signs"):
        graphs.symmetrize(pair)


def test_repeated_synapses_add_up_with_their_signs():
    source, target = [0, 0, 1], [1, 1, 0]
    data = graphs.from_edges(
        source,
        target,
        num_nodes=2,
        edge_weight=[-2.0, 3.0, 1.0],
        edge_sign=[-1, -1, 1],
        duplicates="sum",
    )
    assert np.array_equal(graphs.to_numpy(data), [[0, -5], [1, 0]])
    with pytest.raises(ValueError, match=r"negative where the sign is \+1, got -2 for 0 -> 1"):
        graphs.from_edges(
            source,
            target,
            num_nodes=2,
            edge_weight=[-2.0, 3.0, 1.0],
            edge_sign=[1, 1, 1],
            duplicates="sum",
        )


def test_a_codex_table_inhibits(tmp_path):
    """Synapse counts are positive, and GABA inhibits, in whatever reads the loaded table."""
    path = tmp_path / "connections.csv"
    path.write_text(
        "pre_root_id,post_root_id,syn_count,nt_type\n"
        "720575940000000001,720575940000000002,9,GABA\n"
        "720575940000000002,720575940000000001,5,ACH\n"
    )
    data = graphs.load(path)
    assert sorted(LIF(data).weight.tolist()) == [-9.0, 5.0]
    assert sorted(GraphLayer(data, init="edge_weight").weight.tolist()) == [-9.0, 5.0]
    assert np.array_equal(graphs.to_numpy(data), [[0, -9], [5, 0]])


def test_a_rewired_layer_without_fixed_signs_keeps_its_weights_in_new_connectomes():
    data = brain(**CONNECTOMES["counts and node_sign"])
    layer = GraphLayer(data, init="edge_weight")
    with torch.no_grad():
        layer.weight.neg_()
    rewiring = Rewiring(layer, torch.optim.SGD(layer.parameters(), lr=0.1))
    assert graphs.signed_weights(rewiring.follow(data)).tolist() == [-2.0, -5.0, 3.0]


def test_the_shipped_brains():
    """The worm and the larva have no signs; the fly's eye has counts with signs."""
    for data in (graphs.c_elegans(), graphs.larva_mushroom_body()):
        assert np.array_equal(graphs.signed_weights(data), data.edge_weight)
    fly = graphs.fly_visual_system(radius=1)
    expected = fly.edge_weight * fly.edge_sign
    assert torch.equal(GraphLayer(fly, init="edge_weight").weight.detach(), expected)
    assert torch.equal(LIF(fly).weight.detach(), expected)
    assert np.array_equal(graphs.signed_weights(fly), expected)
