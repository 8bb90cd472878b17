"""The option that all topologies with synapses share."""

import pytest
import torch

import graphs
from sparsebrain.experiments import builders, compare
from sparsebrain.experiments.kinds import KINDS
from sparsebrain.experiments.topology import TopologyError, budget, build, parse

SHEET, SYNAPSES = (6, 6), 400
GENERATED = [name for name in KINDS if name not in ("none", "file", "fly-visual-system")]


def built(spec):
    return build(parse(spec), SHEET, num_edges=SYNAPSES, seed=0)


@pytest.mark.parametrize("name", GENERATED)
def test_every_topology_has_a_symmetric_form_that_its_rule_takes(name):
    spec = f"{name}:symmetric=true"
    data, plain = built(spec), built(name)
    assert parse(spec).spec == spec
    assert graphs.reciprocity(data) == 1
    assert data.num_nodes == plain.num_nodes
    again = built(spec)
    assert torch.equal(data.edge_index, again.edge_index)
    assert torch.equal(built(f"{name}:symmetric=false").edge_index, plain.edge_index)
    if graphs.reciprocity(plain) == 1 and "edge_weight" not in plain:
        assert torch.equal(data.edge_index, plain.edge_index)


@pytest.mark.parametrize("name", ["coordinate", "kaiser-hilgetag"])
def test_lengths_are_fitted_with_the_partners_counted(name):
    assert abs(built(f"{name}:symmetric=true").num_edges - SYNAPSES) <= 0.02 * SYNAPSES


def test_the_budget_counts_the_partners():
    topology = parse("layered:sizes=3x4,symmetric=true")
    assert budget([topology], SHEET).num_edges == 24


def test_the_option_stands_behind_the_path_of_a_file(tmp_path):
    path = tmp_path / "a,b=c.npz"
    graphs.save(graphs.layered([2, 3]), path)
    topology = parse(f"file:{path},symmetric=true")
    assert topology.spec == f"file:{path},symmetric=true"
    assert topology.checksum == parse(f"file:{path}").checksum
    assert build(topology, SHEET, num_edges=0, seed=0).num_edges == 12
    assert built(f"file:{path}").num_edges == 6


def test_weights_agree_as_well():
    data = graphs.symmetrize(graphs.layered([2, 2]))
    data.edge_weight = torch.arange(1.0, 9.0)
    made = builders.symmetric(data)
    weight = torch.zeros(4, 4).index_put((made.edge_index[0], made.edge_index[1]), made.edge_weight)
    assert torch.equal(weight, weight.T)
    assert builders.symmetric(None) is None


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("none:symmetric=true", "write none alone"),
        ("grid:symmetric=maybe", "symmetric='maybe' is neither true nor false"),
        ("grid:symmetry=true", "with the options .*symmetric="),
        ("file:,symmetric=true", "it has no path"),
    ],
)
def test_what_is_no_symmetric_topology_is_refused(spec, match):
    with pytest.raises(TopologyError, match=match):
        parse(spec)


def test_a_comparison_names_the_option_where_a_rule_needs_it(tmp_path):
    with pytest.raises(ValueError, match=r"nothing is left .* symmetric=true in the topology"):
        compare(
            topologies=["layered:sizes=4x4"],
            rules=["equilibrium-propagation"],
            seeds=1,
            epochs=1,
            out=tmp_path,
        )
