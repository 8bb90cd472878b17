import numpy as np
import pytest
import torch

import graphs
from graphs.generators import connectors

SIZES = {"exc": 40, "inh": 10, "out": 40}


def synapses_of(data, sender, receiver):
    """Sources and targets of a pair of populations, both numbered from 0."""
    names = data.node_type_names
    first = {name: int((data.node_type < names.index(name)).sum()) for name in names}
    source, target = data.edge_index
    kept = (data.node_type[source] == names.index(sender)) & (
        data.node_type[target] == names.index(receiver)
    )
    return source[kept] - first[sender], target[kept] - first[receiver]


def one_pair(rule, sender="exc", receiver="inh", **options):
    data = graphs.populations(SIZES, {(sender, receiver): rule}, seed=0, **options)
    source, target = synapses_of(data, sender, receiver)
    assert data.num_edges == len(source)
    return source, target


@pytest.mark.parametrize(("sender", "receiver"), [("exc", "inh"), ("inh", "exc"), ("exc", "exc")])
def test_rules_keep_what_they_fix(sender, receiver):
    sources, targets, same = SIZES[sender], SIZES[receiver], sender == receiver
    source, target = one_pair(graphs.AllToAll(), sender, receiver)
    assert len(source) == sources * (targets - same)
    source, target = one_pair(graphs.FixedInDegree(7), sender, receiver)
    assert target.bincount(minlength=targets).tolist() == [7] * targets
    source, target = one_pair(graphs.FixedOutDegree(7), sender, receiver)
    assert source.bincount(minlength=sources).tolist() == [7] * sources
    source, target = one_pair(graphs.FixedTotal(123), sender, receiver)
    assert len(source) == 123
    source, target = one_pair(graphs.FixedProbability(0.3), sender, receiver)
    places = sources * (targets - same)
    # A deviation of 4.5 standard deviations has a probability of 7 in a million.
    assert abs(len(source) - 0.3 * places) < 4.5 * (places * 0.3 * 0.7) ** 0.5


def test_one_to_one():
    source, target = one_pair(graphs.OneToOne(), "exc", "out")
    assert torch.equal(source, target)
    assert len(source) == 40


def test_a_function_is_a_rule():
    def chain(sources, targets, rng):
        assert isinstance(rng, np.random.Generator)
        return range(1, sources), [number % targets for number in range(sources - 1)]

    source, target = one_pair(chain)
    pairs = set(zip(source.tolist(), target.tolist(), strict=True))
    assert pairs == {(number, (number - 1) % 10) for number in range(1, 40)}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (([0, 1], [0]), r"got int64 of shape \(2,\)"),
        (([0.5], [0]), r"got float64 of shape \(1,\)"),
        (([0], [10]), r"got \[10, 10\] where the size is 10"),
        (([-1], [0]), r"got \[-1, -1\] where the size is 40"),
        (([3, 3], [1, 1]), r"must return each pair once"),
        (7, r"a connection rule must return .*got 7 of type int; return"),
    ],
)
def test_what_a_function_returns_is_checked(result, message):
    with pytest.raises((ValueError, TypeError), match=message):
        one_pair(lambda *_: result)


def test_no_function_connects_a_neuron_with_itself():
    with pytest.raises(ValueError, match=r"no self-loops.*self_loops=True"):
        one_pair(lambda *_: ([3], [3]), "exc", "exc")
    with pytest.raises(ValueError, match=r"self_loops=True for these"):
        one_pair(graphs.OneToOne(), "exc", "exc")


def test_dales_law():
    rules = {(one, other): graphs.FixedProbability(0.2) for one in SIZES for other in SIZES}
    data = graphs.populations(SIZES, rules, signs={"inh": -1, "exc": 1, "out": 1}, seed=0)
    expected = [1.0] * 40 + [-1.0] * 10 + [1.0] * 40
    assert data.node_sign.tolist() == expected
    assert data.node_sign.dtype == torch.float32
    assert data.node_type_names == ["exc", "inh", "out"]
    assert "node_sign" not in graphs.populations(SIZES, rules, seed=0)


def test_the_order_of_the_rules_does_not_matter():
    rules = {(one, other): graphs.FixedProbability(0.2) for one in SIZES for other in SIZES}
    backward = dict(reversed(list(rules.items())))
    first, second = (graphs.populations(SIZES, each, seed=3) for each in (rules, backward))
    assert torch.equal(first.edge_index, second.edge_index)


def test_populations_without_neurons_or_rules():
    data = graphs.populations({"a": 0, "b": 3}, {("a", "b"): graphs.AllToAll()})
    assert (data.num_nodes, data.num_edges) == (3, 0)
    assert (
        graphs.populations({"a": 0, "b": 3}, {("b", "a"): graphs.FixedInDegree(5)}).num_edges == 0
    )
    assert graphs.validate(graphs.populations({"a": 2}, {}, self_loops=True)).num_edges == 2


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: graphs.FixedProbability(1.1), ValueError),
        (lambda: graphs.FixedProbability("a"), TypeError),
        (lambda: graphs.FixedInDegree(-1), ValueError),
        (lambda: graphs.FixedOutDegree(1.5), TypeError),
        (lambda: graphs.FixedTotal(True), TypeError),
    ],
)
def test_rules_check_their_numbers(make, error):
    with pytest.raises(error, match=r"must .*got .*pass "):
        make()


@pytest.mark.parametrize(
    ("rule", "most"),
    [
        (graphs.FixedInDegree(41), 40),
        (graphs.FixedOutDegree(11), 10),
        (graphs.FixedTotal(401), 400),
    ],
)
def test_rules_tell_how_many_there_are(rule, most):
    with pytest.raises(
        ValueError, match=rf"connect\['exc', 'inh'\]: .*got {most}; pass .*\({most}\)"
    ):
        one_pair(rule)


def test_rules_are_values():
    assert graphs.FixedTotal(3) == graphs.FixedTotal(3)
    assert repr(graphs.FixedInDegree(2)) == "FixedInDegree(degree=2)"
    assert isinstance(graphs.AllToAll(), connectors.Connector)


def test_pinned_number_of_synapses():
    rules = {(one, other): graphs.FixedProbability(0.2) for one in SIZES for other in SIZES}
    assert graphs.populations(SIZES, rules, seed=0).num_edges == 1634
