"""Topologies beside their null models."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy import stats
from sklearn.datasets import load_iris

import graphs
from sparsebrain.experiments import compare
from sparsebrain.experiments.nulls import NULLS, split_null
from sparsebrain.experiments.report import Rows
from sparsebrain.experiments.topology import TopologyError, build, parse
from sparsebrain.experiments.verdict import tell_null_differences

X, Y = load_iris(return_X_y=True)
BRAIN = graphs.small_world(12, 4, 0.2, seed=5)
FAST = {"data": (X, Y), "epochs": 2, "loops": 2, "jobs": 1}


def shuffled(data, seed):
    return graphs.rewire_degrees(data, swaps=1, seed=seed)


def degrees(data):
    return [row.bincount(minlength=12).tolist() for row in data.edge_index]


def test_a_null_model_is_drawn_from_its_topology_at_the_same_seed():
    spec = "small-world:num_nodes=12,neighbors=4"
    for name, function in NULLS.items():
        topology = parse(f"{spec},null={name}")
        assert topology.null == name
        for seed in (0, 1):
            base = build(parse(spec), (4, 4), num_edges=0, seed=seed)
            null = build(topology, (4, 4), num_edges=0, seed=seed)
            assert torch.equal(null.edge_index, function(base, seed=seed).edge_index)
            assert null.num_edges == base.num_edges
            assert (degrees(null) == degrees(base)) == (name != "rewire_populations")
    assert (
        parse("grid:null=rewire_degrees,distance=1").spec == "grid:distance=1,null=rewire_degrees"
    )
    # The option is fitted before the synapses are rewired.
    fitted = build(parse("small-world:null=rewire_degrees"), (4, 4), num_edges=96, seed=0)
    assert fitted.num_edges == build(parse("small-world"), (4, 4), num_edges=96, seed=0).num_edges


def test_files_have_null_models(tmp_path):
    path = tmp_path / "a,b=c.npz"
    graphs.save(BRAIN, path)
    for after in ("", ",symmetric=true"):
        topology = parse(f"file:{path}{after},null=rewire_reciprocal")
        assert topology.spec == f"file:{path}{after},null=rewire_reciprocal"
        assert parse(f"file:{path},null=rewire_reciprocal{after}") == topology
        assert topology.checksum == parse(f"file:{path}").checksum
        assert parse(f"file:{path}{after}").with_null("rewire_reciprocal") == topology
        assert split_null(topology.spec) == (f"file:{path}{after}", "rewire_reciprocal")
        base = build(parse(f"file:{path}{after}"), (4, 4), num_edges=0, seed=0)
        drawn = [build(topology, (4, 4), num_edges=0, seed=seed) for seed in (0, 1)]
        assert not torch.equal(drawn[0].edge_index, drawn[1].edge_index)
        assert [degrees(each) for each in drawn] == [degrees(base)] * 2


def test_a_brain_against_its_null_models(tmp_path, capsys):
    path = tmp_path / "brain.npz"
    graphs.save(BRAIN, path)
    specs = [f"file:{path}", f"file:{path},null=rewire_degrees", f"file:{path},null=shuffled"]
    options = {"topologies": [f"file:{path}", "none"], "out": tmp_path / "out", "seeds": 3, **FAST}
    null = ["rewire_degrees", shuffled]
    rows = compare(null=null, console=Console(width=300), **options)
    assert [row.label for row in rows] == [*specs, "none"]
    assert len({tuple(each.synapses for each in row.outcomes) for row in rows[:3]}) == 1
    # Each run of a null model has its own, also among the runs that are kept.
    assert [len({run.connectome_checksum for run in row.runs}) for row in rows] == [1, 3, 3, 1]
    found = {each.second: each for each in rows.null_differences()}
    assert [*sorted(found)] == [f"backprop on {spec}" for spec in specs[1:]]
    accuracy = [[100 * each.test_accuracy for each in row.outcomes] for row in rows]
    for other, spec in enumerate(specs[1:], 1):
        gaps = np.subtract(accuracy[0], accuracy[other])
        assert found[f"backprop on {spec}"].mean == pytest.approx(gaps.mean())
    told = " ".join(capsys.readouterr().out.split())
    assert "against its null model rewire_degrees (" in told
    assert "against its null model shuffled (" in told
    assert "for 2 pairs" in told
    assert (
        "rewire_degrees keeps the in-degree and the out-degree of every neuron; everything" in told
    )
    assert "shuffled" not in NULLS
    lines = (tmp_path / "out" / "results.csv").read_text()
    compare(null=null, **options)
    assert (tmp_path / "out" / "results.csv").read_text() == lines


def test_one_null_model_gives_the_paired_t_test(tmp_path):
    rows = compare(
        topologies={"brain": BRAIN}, null="rewire_degrees", out=tmp_path, seeds=4, **FAST
    )
    assert [row.label for row in rows] == ["brain", "brain:null=rewire_degrees"]
    accuracy = np.array([[0.9, 0.8, 0.9, 0.7], [0.5, 0.7, 0.6, 0.4]])
    made = Rows(
        replace(row, outcomes=[replace(row.outcomes[0], test_accuracy=each) for each in values])
        for row, values in zip(rows, accuracy, strict=True)
    )
    (found,) = made.null_differences()
    expected = stats.ttest_rel(*(100 * accuracy))
    assert (found.first, found.second) == tuple(f"backprop on {row.label}" for row in rows)
    assert (found.mean, found.num_seeds) == (pytest.approx(27.5), 4)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval())
    told = tell_null_differences(made)
    assert "brain +27.50 against its null model rewire_degrees (+" in told
    # A run that diverged is left out with its pair.
    lost = replace(rows[1].outcomes[0], diverged=1, test_accuracy=float("nan"))
    made[1].outcomes[0] = lost
    assert made.null_differences()[0].num_seeds == 3
    assert compare(topologies=["none"], out=tmp_path, seeds=2, **FAST).null_differences() == []


def test_labels_of_texts(tmp_path):
    rows = compare(
        topologies={"ring": "small-world:num_nodes=12,neighbors=4"},
        null=functools.partial(graphs.rewire_degrees, swaps=2),
        out=tmp_path,
        seeds=1,
        **FAST,
    )
    assert [row.label for row in rows] == ["ring", "ring, null=rewire_degrees-2"]


@pytest.mark.parametrize(
    ("null", "error", "told"),
    [
        ("rewire_degree", ValueError, "null must be one of .*; pass for example null='rewire_deg"),
        (3, TypeError, "'int' must be a function .*got 3 of type int; pass"),
        (["rewire_degrees"] * 2, ValueError, "null has 'rewire_degrees' twice"),
        (lambda data, seed: 3, ValueError, "the null model lambda must return a Data, got 3"),
        (lambda data, seed: graphs.grid_local((2, 2), 1), ValueError, "must keep the 12 neurons"),
        ("nowhere_at_all:null", ValueError, "null: there is no module 'nowhere_at_all'"),
        ("rewire_lengths", ValueError, "pos"),
    ],
)
def test_bad_null_models(tmp_path, null, error, told):
    data = BRAIN.clone()
    del data.pos
    with pytest.raises(error, match=told):
        compare(topologies={"brain": data}, null=null, out=tmp_path, seeds=1, **FAST)
    assert "lambda" not in NULLS


def test_texts_that_cannot_be_read():
    for spec in ("grid:null=nix", "file:a.npz,null=nix"):
        with pytest.raises(TopologyError, match="null must be one of 'rewire_degrees'.*pass"):
            parse(spec)
    with pytest.raises(TopologyError, match="write none alone"):
        parse("none:null=rewire_degrees")


def test_shuffled_weights_are_no_null_model_of_networks_that_draw_their_own(tmp_path):
    with pytest.raises(ValueError, match="null.* must be one of 'rewire_degrees'"):
        compare(topologies=["none"], null=["shuffle_weights"], out=tmp_path / "new", **FAST)
