"""Comparisons of topologies, rules and data that are given as objects."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from torch.utils.data import TensorDataset

import graphs
from sparsebrain.experiments import compare
from sparsebrain.experiments.datasets import DATASETS
from sparsebrain.experiments.kinds import KINDS
from sparsebrain.experiments.objects import images_of
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
        ({"data": (X * np.nan, Y)}, ValueError, "x must hold finite real numbers.*pass"),
        ({"data": (X, Y * 0)}, ValueError, "at least two classes.*pass"),
        ({"data": (X[:51], Y[:51])}, ValueError, "two samples of each.*pass"),
        ({"topologies": [3]}, TypeError, "topologies must hold texts, connectomes.*pass"),
        ({"topologies": {"a,b": "grid"}}, ValueError, "without colons and commas; pass"),
        ({"topologies": {"grid": graphs.grid_local((3, 4), 1)}}, ValueError, "is taken; give it"),
        ({"topologies": [lambda seed: seed]}, ValueError, "must return a Data for a seed.*return"),
        ({"rules": [int]}, TypeError, "int.*subclass of .*Rule"),
    ],
)
def test_bad_objects(tmp_path, given, error, told):
    with pytest.raises(error, match=told):
        compare(**{"data": (X, Y), "topologies": ["none"], **given}, out=tmp_path, jobs=1, **FAST)
    assert "MyRule" not in RULES
    assert not {"data", "wire"} & {*KINDS, *DATASETS}


def test_a_class_of_the_table_keeps_its_name(tmp_path):
    (row,) = compare(
        data=(X, Y), topologies=["none"], rules=[LocalErrors], out=tmp_path, jobs=1, **FAST
    )
    assert row.rule == "local-errors"
