"""Comparisons of topologies, rules and data that are given as objects."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn.datasets import load_iris
from torch.utils.data import TensorDataset
from torch_geometric.data import Data

import graphs
from sparsebrain.experiments import compare
from sparsebrain.experiments.datasets import DATASETS
from sparsebrain.experiments.kinds import KINDS
from sparsebrain.experiments.objects import named
from sparsebrain.experiments.samples import images_of
from sparsebrain.experiments.topology import build, parse
from sparsebrain.learning import RULES, Backprop, LocalErrors

X, Y = load_iris(return_X_y=True)
FAST = {"epochs": 2, "seeds": 2, "loops": 2}


class MyRule(Backprop):
    """Backpropagation by another name."""


def wire(seed):
    return graphs.small_world(12, 4, 0.2, seed=seed)


@pytest.mark.parametrize("jobs", [1, 2])
def test_objects_beside_names(tmp_path, jobs):
    tables = [*DATASETS], [*KINDS], [*RULES]
    rows = compare(
        data=(X, Y),
        topologies=[wire, graphs.grid_local((3, 4), 1), "none"],
        rules=[MyRule, "backprop"],
        out=str(tmp_path),
        jobs=jobs,
        **FAST,
    )
    assert [(row.rule, row.label) for row in rows] == [
        (rule, label) for rule in ("MyRule", "backprop") for label in ("wire", "data", "none")
    ]
    assert [row.outcomes[0].synapses for row in rows[:3]] == [48, 70, 0]
    # The same rule by another name gives the same numbers.
    for mine, ours in zip(rows[:3], rows[3:], strict=True):
        assert mine.mean("test_accuracy") == ours.mean("test_accuracy")
    assert tables == ([*DATASETS], [*KINDS], [*RULES])


def test_what_is_finished_is_found_again_and_other_data_are_not(tmp_path):
    given = {"topologies": {"mine": graphs.grid_local((3, 4), 1)}, "jobs": 1, "out": tmp_path}
    first = compare(data=(X, Y), **given, **FAST)
    lines = (tmp_path / "results.csv").read_text().count("\n")
    again = compare(data=(X, Y), **given, **FAST)
    assert [each.outcomes for each in first] == [each.outcomes for each in again]
    assert (tmp_path / "results.csv").read_text().count("\n") == lines
    compare(data=(X + 1, Y), **given, **FAST)
    assert (tmp_path / "results.csv").read_text().count("\n") == lines + 2


def test_samples_in_every_form():
    names = np.array(["setosa", "versicolor", "virginica"])[Y]
    one = images_of((X, names))
    assert one.num_classes == 3
    assert one.train_x.shape == (120, 4)
    assert one.test_y.bincount().tolist() == [10, 10, 10]
    assert one.sheet == (2, 2)
    assert one.checksum == images_of((torch.tensor(X), torch.tensor(Y))).checksum
    dataset = TensorDataset(torch.tensor(X), torch.tensor(Y))
    assert one.checksum == images_of(dataset).checksum
    parts = images_of(((X[:100], Y[:100]), (X[100:], Y[100:])))
    assert (
        parts.checksum
        == images_of(
            (TensorDataset(*map(torch.tensor, (X[:100], Y[:100]))), (X[100:], Y[100:]))
        ).checksum
    )
    assert len(parts.test_x) == 50
    pictures = images_of((np.random.default_rng(0).random((20, 3, 5)), np.arange(20) % 2))
    assert pictures.sheet == (3, 5)
    assert pictures.train_x.shape[1] == 15
    assert images_of(one) is one


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"data": X}, TypeError, r"data must be a name or a pair.*pass data=\(x, y\)"),
        ({"data": (X, Y[:9])}, ValueError, r"x must be \[n, ...\] and y \[n\].*pass"),
        ({"data": (X * np.nan, Y)}, ValueError, "x must hold real numbers that are finite.*pass"),
        ({"data": (X, Y * 0)}, ValueError, "at least two classes.*pass"),
        ({"data": (X[:51], Y[:51])}, ValueError, "two samples of each.*pass"),
        ({"topologies": [3]}, TypeError, "topologies must hold texts, connectomes.*pass"),
        ({"topologies": {"a,b": "grid"}}, ValueError, "without colons and commas; pass"),
        ({"topologies": {"grid": graphs.grid_local((3, 4), 1)}}, ValueError, "is taken; give it"),
        ({"topologies": [lambda seed: seed]}, ValueError, "must return a Data, got.*return"),
        (
            {"topologies": [graphs.grid_local]},
            TypeError,
            "requires distance; pass functools.p",
        ),
        ({"topologies": wire}, TypeError, r"must be a sequence.*pass topologies=\[data\]"),
        (
            {"topologies": [Data(edge_index=X, num_nodes=2)]},
            TypeError,
            "data.edge_index must",
        ),
        ({"topologies": {"": "grid"}}, ValueError, "label ''.*pass"),
        ({"topologies": [lambda seed: Data(num_nodes=-1)]}, ValueError, "what the function ret"),
        ({"rules": [int]}, TypeError, "int.*subclass of .*Rule"),
        ({"rules": MyRule}, TypeError, r"got the class MyRule; pass rules=\[MyRule\]"),
        ({"rules": {"backprop": MyRule}}, ValueError, "'backprop', which is taken.*'my-backprop'"),
        ({"rules": {3: MyRule}}, ValueError, "rules has the name 3.*pass"),
        ({"data": "mine.parquet"}, ValueError, "data must be one of 'digits'.*pass"),
        ({"data": (X, Y + 0.5)}, ValueError, "got fractions; pass classes"),
        ({"data": (X * 1e300, Y)}, ValueError, "finite in float32"),
        ({"data": ([[1], [1, 2]], [0, 1])}, TypeError, "x must be an array.*pass"),
        ({"data": (X[:, :0], Y)}, ValueError, r"x must be \[n, ...\].*pass"),
        (
            {"data": replace(images_of((X, Y)), num_classes=2)},
            ValueError,
            "data.train_y must hold .*num_classes - 1 = 1; pass",
        ),
        (
            {"data": replace(images_of((X, Y)), test_x=torch.zeros(30, 5))},
            ValueError,
            r"data.test_x must be .*\[n_test, 4\]",
        ),
    ],
)
def test_bad_objects(tmp_path, given, error, told):
    with pytest.raises(error, match=told):
        compare(**{"data": (X, Y), "topologies": ["none"], **given}, out=tmp_path, jobs=1, **FAST)
    assert "MyRule" not in RULES
    assert not {"data", "wire"} & {*KINDS, *DATASETS}


def test_labels_of_texts_rules_and_images(tmp_path, capsys):
    rows = compare(
        data=replace(images_of((X, Y)), name="digits"),
        topologies={
            "ring": "small-world:num_nodes=12,neighbors=4",
            "mine": wire,
            "off": "none",
        },
        rules={"bp": MyRule, "too": type("Other", (Backprop,), {})},
        out=tmp_path,
        jobs=1,
        console=Console(width=200),
        **FAST,
    )
    labels = [(rule, label) for rule in ("bp", "too") for label in ("ring", "mine", "off")]
    assert [(row.rule, row.label) for row in rows] == labels
    assert {run.data for row in rows for run in row.runs} == {"digits (yours)"}
    assert rows[0].runs[0].topology == "small-world:num_nodes=12,neighbors=4"
    assert "digits" in DATASETS
    frame = rows.to_dataframe()
    assert frame["label"].tolist() == [label for _, label in labels for _ in range(2)]
    assert len(frame) == 12
    assert "ring" in capsys.readouterr().out


def test_local_code_reaches_the_workers_and_is_part_of_what_is_kept(tmp_path):
    def made(scale):
        class Local(Backprop):
            def forward(self, x, y):
                return super().forward(x * scale, y)

        return Local

    def run(scale, neighbors):
        return compare(
            data=TensorDataset(torch.tensor(X), torch.tensor(Y)),
            topologies=[lambda s: graphs.small_world(12, neighbors, 0.2, seed=s)],
            rules={"local": made(scale)},
            out=tmp_path,
            jobs=2,
            **FAST,
        )

    def kept():
        return (tmp_path / "results.csv").read_text().count("\n") - 1

    run(1.0, 4)
    run(1.0, 4)
    assert kept() == 2
    run(2.0, 4)
    assert kept() == 4
    (row,) = run(2.0, 6)
    assert kept() == 6
    assert (row.label, row.rule, row.outcomes[0].synapses) == ("lambda", "local", 72)


def test_a_function_is_given_what_its_arguments_are_named():
    sizes = []

    def sized(num_nodes, num_edges, seed):
        sizes.append((num_nodes, num_edges, seed))
        return graphs.fixed_total(num_nodes, num_edges, seed=seed)

    with named("digits", {"grid": "grid:distance=1", "mine": sized}, ["backprop"]) as given:
        assert given.topologies == ["grid:distance=1", "mine"]
        topology = parse("mine")
        assert not topology.states_its_size
        assert build(topology, (4, 4), num_edges=100, seed=7).num_edges == 100
    assert sizes == [(16, 100, 7)]
    wired = functools.partial(graphs.small_world, 12, 4, 0.2)
    with named("digits", [wired, wired, lambda: graphs.grid_local((2, 2), 1)], []) as given:
        assert given.topologies == ["small_world", "small_world-2", "lambda"]
        first = build(parse("small_world"), (4, 4), num_edges=0, seed=3)
        assert torch.equal(first.edge_index, wired(seed=3).edge_index)
        assert build(parse("lambda"), (4, 4), num_edges=0, seed=3).num_nodes == 4


def test_lists_are_samples_and_labels_or_two_parts():
    one = images_of(([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0], [2.0, 0.0]], ["a", "b", "a", "b"]))
    assert (len(one.train_x), one.test_y.tolist()) == (2, [0, 1]) or one.test_y.tolist() == [1, 0]
    two = images_of(([[[0.0]], [0]], [[[1.0]], [1]]))
    assert (len(two.train_x), len(two.test_x)) == (1, 1)


def test_a_class_of_the_table_keeps_its_name(tmp_path):
    (row,) = compare(
        data=(X, Y), topologies=["none"], rules=[LocalErrors], out=tmp_path, jobs=1, **FAST
    )
    assert row.rule == "local-errors"


def test_a_rule_without_gradients_is_told(tmp_path):
    class Idle(Backprop):
        def forward(self, x, y):
            return torch.tensor(0.5)

    with pytest.raises(ValueError, match=r"the rule Idle must fill .grad .*check_rule\(Idle\)"):
        compare(
            data=(X, Y),
            topologies=["none"],
            rules=[Idle],
            epochs=1,
            seeds=1,
            jobs=1,
            out=tmp_path / "out",
        )


def test_an_argument_with_a_default_is_not_the_seed(tmp_path):
    def sized(size=16):
        return graphs.grid_local(size, 1)

    rows = compare(
        data=(X, Y), topologies=[sized], epochs=1, seeds=2, loops=1, jobs=1, out=tmp_path / "out"
    )
    assert [each.neurons for each in rows[0].outcomes] == [16, 16]


def test_every_class_has_test_samples():
    images = images_of(
        (np.random.default_rng(0).normal(size=(107, 4)), [0] * 100 + [1, 1] + [2] * 5)
    )
    assert images.test_y.bincount().tolist() == [20, 1, 1]
    assert images.train_y.bincount().tolist() == [80, 1, 4]
