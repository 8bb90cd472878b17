"""The classifier as an estimator of scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import graphs
from sparsebrain.learning import RULES, LocalErrors
from sparsebrain.sklearn import GraphClassifier


@parametrize_with_checks([GraphClassifier(epochs=15, neurons=30, random_state=0)])
def test_estimator_checks(estimator, check):
    check(estimator)


def test_digits():
    x, y = load_digits(return_X_y=True)
    chosen = GraphClassifier("grid", neurons=64, epochs=10, random_state=0)
    chosen.fit(x[:1000] / 16, y[:1000])
    assert chosen.score(x[1000:] / 16, y[1000:]) > 0.85
    assert chosen.connectome_.num_nodes == 64
    assert len(chosen.loss_curve_) == 10


def test_a_search_over_topologies_and_rules():
    x, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    steps = make_pipeline(StandardScaler(), GraphClassifier(epochs=5, neurons=20, random_state=0))
    grid = {
        "graphclassifier__topology": ["small-world", None, graphs.grid_local((4, 5), 1)],
        "graphclassifier__rule": ["backprop", LocalErrors],
    }
    search = GridSearchCV(steps, grid, cv=2).fit(x, names)
    assert len(search.cv_results_["mean_test_score"]) == 6
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert set(search.predict(x)) <= set(names)


def test_a_topology_is_drawn_from_the_seed():
    x, y = load_iris(return_X_y=True)
    seeds = []

    def wire(seed):
        seeds.append(seed)
        return graphs.small_world(20, 4, 0.1, seed=seed)

    first, again = (
        GraphClassifier(wire, epochs=1, random_state=3).fit(x, y).predict_proba(x) for _ in "ab"
    )
    assert seeds[0] == seeds[1]
    assert (first == again).all()
    assert np.allclose(first.sum(1), 1)
    GraphClassifier(wire, epochs=1).fit(x, y)
    assert seeds[2] != seeds[0]


def test_torchs_generator_stays_as_it_was():
    x, y = load_iris(return_X_y=True)
    before = torch.get_rng_state()
    GraphClassifier(epochs=1, random_state=0).fit(x, y)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_learns_or_refuses(rule):
    x, y = load_iris(return_X_y=True)
    x /= 8  # Boltzmann machines take probabilities
    classifier = GraphClassifier(None, rule=rule, neurons=20, epochs=3, random_state=0)
    assert classifier.fit(x, y).predict_proba(x).shape == (150, 3)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"topology": 3}, TypeError, "topology must be .*pass topology='small-world'"),
        ({"topology": lambda seed: seed}, TypeError, "topology must return a Data.*pass topology="),
        ({"topology": "gird"}, ValueError, "gird"),
        ({"rule": "backprob"}, ValueError, "rule must be one of .*backprop"),
        ({"rule": 3}, TypeError, "rule must be the name or the class .*pass rule='backprop'"),
        ({"epochs": 0}, ValueError, "epochs must be .*"),
        ({"batch_size": 1}, ValueError, "batch_size must be .*"),
        ({"neurons": -1}, ValueError, "neurons must be .*"),
        ({"learning_rate": -1.0}, ValueError, "learning_rate must be"),
        ({"learning_rate": 1e30}, ValueError, "the training diverged in epoch .*learning_rate"),
    ],
)
def test_bad_parameters(options, error, told):
    x, y = load_iris(return_X_y=True)
    with pytest.raises(error, match=told):
        GraphClassifier(**{"epochs": 3, "neurons": 20, "random_state": 0, **options}).fit(x, y)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match=r"at least two classes, got one class.*pass"):
        GraphClassifier().fit(np.ones((4, 2)), np.zeros(4))
