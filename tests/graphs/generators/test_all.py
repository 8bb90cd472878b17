"""Properties of all generators, over one table of generators."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs
from graphs import brains, generators
from tests.graphs.cases import CASES, Case, every_case


def takes(name: str, case: Case) -> bool:
    return name in inspect.signature(case.make).parameters


def those_with(parameter: str) -> Any:
    chosen = {name: case for name, case in CASES.items() if takes(parameter, case)}
    return pytest.mark.parametrize("case", chosen.values(), ids=chosen.keys())


def make(case: Case, **more: Any) -> Data:
    seed = {"seed": 7} if takes("seed", case) else {}
    return case.make(**{**seed, **case.arguments, **more})


def same(one: Data, other: Data) -> bool:
    def equal(a: Any, b: Any) -> bool:
        return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b

    return set(one.keys()) == set(other.keys()) and all(
        equal(value, other[key]) for key, value in one.to_dict().items()
    )


@every_case
def test_the_compiled_helpers_change_nothing(plain, case):
    assert same(make(case), plain(make, case))


def test_every_generator_and_real_connectome_has_an_example():
    public = {
        getattr(room, name)
        for room in (generators, brains)
        for name in room.__all__
        if inspect.isfunction(getattr(room, name))
    }
    assert {case.make for case in CASES.values()} == public


@every_case
def test_keeps_the_contract(case):
    data = make(case)
    assert graphs.validate(data) is data
    assert data.num_edges > 0
    assert "num_nodes" in data
    assert type(data.num_nodes) is int


@every_case
def test_sorted_by_target_source_type(case):
    data = make(case)
    source, target = data.edge_index.tolist()
    types = data.edge_type.tolist() if "edge_type" in data else [0] * len(source)
    keys = list(zip(target, source, types, strict=True))
    assert keys == sorted(keys)


@every_case
def test_tensors_are_contiguous_and_stand_alone(case):
    data = make(case)
    for _, value in data:
        if isinstance(value, torch.Tensor):
            assert value.is_contiguous()
            assert not value.requires_grad
    before = data.edge_index.clone()
    make(case).edge_index.zero_()
    assert torch.equal(data.edge_index, before)


@every_case
def test_same_arguments_same_graph(case):
    assert same(make(case), make(case))


@those_with("seed")
def test_seed_may_be_a_generator(case):
    assert same(make(case), make(case, seed=np.random.default_rng(7)))
    assert same(make(case), make(case, seed=np.int64(7)))
    moving = np.random.default_rng(7)
    assert not same(make(case, seed=moving), make(case, seed=moving))


@those_with("seed")
def test_another_seed_another_graph(case):
    first, second = make(case, seed=1), make(case, seed=2)
    assert not torch.equal(first.edge_index, second.edge_index)
    assert not same(make(case, seed=None), make(case, seed=None))


@every_case
def test_global_randomness_is_left_alone(case):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    make(case)
    assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


@those_with("self_loops")
def test_self_loops(case):
    if case is CASES["configuration"]:
        pytest.skip("self-loops are some of the synapses that the degrees count")
    without, loops = make(case, self_loops=False), make(case, self_loops=True)
    assert not without.has_self_loops()
    is_loop = loops.edge_index[0] == loops.edge_index[1]
    assert torch.equal(loops.edge_index[:, ~is_loop], without.edge_index)
    receivers = loops.edge_index[1, is_loop]
    if case is not CASES["grid-inner"]:
        assert receivers.tolist() == list(range(loops.num_nodes))


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith("-undirected")])
def test_undirected_has_both_directions(name):
    data = make(CASES[name])
    pairs = set(zip(*data.edge_index.tolist(), strict=True))
    assert pairs == {(target, source) for source, target in pairs}
    assert len(pairs) == data.num_edges


@every_case
def test_unknown_keyword(case):
    with pytest.raises(TypeError, match="unexpected keyword"):
        make(case, selfloops=True)


@those_with("seed")
@pytest.mark.parametrize("seed", [True, 1.0, "1", np.random.RandomState(0)])
def test_seed_of_another_type(case, seed):
    with pytest.raises(TypeError, match=r"seed must be an int >= 0.*pass seed=0"):
        make(case, seed=seed)


@those_with("seed")
def test_negative_seed(case):
    with pytest.raises(ValueError, match=r"seed must be an integer >= 0, got -1"):
        make(case, seed=-1)


@pytest.mark.parametrize("parameter", ["self_loops", "directed", "padding", "periodic"])
@pytest.mark.parametrize("value", [1, "yes", None])
def test_flags_are_bool(parameter, value):
    for case in CASES.values():
        # The default follows the definition of the model.
        if takes(parameter, case) and (parameter, value) != ("directed", None):
            with pytest.raises(TypeError, match=rf"{parameter} must be True.*pass {parameter}="):
                make(case, **{parameter: value})


@pytest.mark.parametrize(
    ("parameter", "value", "error"),
    [
        ("num_nodes", -1, ValueError),
        ("num_nodes", 10.0, TypeError),
        ("num_nodes", True, TypeError),
        ("num_nodes", "10", TypeError),
        ("num_nodes", [5], TypeError),
        ("distance", -1, ValueError),
        ("distance", float("nan"), ValueError),
        ("distance", float("inf"), ValueError),
        ("distance", "1", TypeError),
        ("distance", True, TypeError),
        ("distance", 1j, TypeError),
        ("distance", None, TypeError),
        ("p_max", -0.1, ValueError),
        ("p_max", 1.5, ValueError),
        ("p_max", True, TypeError),
        ("jitter", 1.5, ValueError),
        ("jitter", "0", TypeError),
        ("alpha", -1, ValueError),
        ("alpha", float("nan"), ValueError),
        ("alpha", "1", TypeError),
        ("beta", 0, ValueError),
        ("beta", 1.1, ValueError),
        ("beta", None, TypeError),
        ("extent", 0, ValueError),
        ("extent", -3.0, ValueError),
        ("extent", (1, 2, 3, 4), ValueError),
        ("extent", (), ValueError),
        ("extent", "ab", TypeError),
        ("extent", (1, float("nan")), ValueError),
        ("extent", (1, True), TypeError),
        ("shape", (), ValueError),
        ("shape", 0, ValueError),
        ("shape", (3, -1), ValueError),
        ("shape", 3.0, TypeError),
        ("shape", (3, 2.5), TypeError),
        ("shape", "33", TypeError),
        ("neighbors", 5, ValueError),
        ("neighbors", -2, ValueError),
        ("neighbors", 40, ValueError),
        ("neighbors", 4.0, TypeError),
        ("neighbors", True, TypeError),
        ("rewire", -0.1, ValueError),
        ("rewire", 1.1, ValueError),
        ("rewire", float("nan"), ValueError),
        ("rewire", True, TypeError),
        ("rewire", "0.1", TypeError),
        ("radius", -1, ValueError),
        ("radius", 2.0, TypeError),
        ("radius", True, TypeError),
        ("radius", "2", TypeError),
        ("branching", 1, ValueError),
        ("branching", 2.5, TypeError),
        ("levels", -1, ValueError),
        ("levels", 60, ValueError),
        ("module_size", 0, ValueError),
        ("module_size", [3, 4], ValueError),
        ("module_size", "9", TypeError),
        ("probability", 1.5, ValueError),
        ("ratio", -0.5, ValueError),
        ("ratio", None, TypeError),
        ("probabilities", [[0.5]], ValueError),
        ("probabilities", [[0.5, 0.5], [0.5]], ValueError),
        ("probabilities", [[0.5, 0.5], [0.5, 1.5]], ValueError),
        ("probabilities", [[0.5, 0.5], [0.5, float("nan")]], ValueError),
        ("probabilities", [["a", "b"], ["c", "d"]], TypeError),
        ("population_sizes", {}, ValueError),
        ("population_sizes", {"exc": -1}, ValueError),
        ("population_sizes", {"exc": 1.0}, TypeError),
        ("population_sizes", {1: 1}, TypeError),
        ("population_sizes", [1, 2], TypeError),
        ("connect", [], TypeError),
        ("connect", {"exc": graphs.AllToAll()}, ValueError),
        ("connect", {("exc", "oth"): graphs.AllToAll()}, ValueError),
        ("connect", {("exc", "inh"): 0.5}, TypeError),
        ("connect", {("exc", "inh"): graphs.AllToAll}, TypeError),
        ("connect", {("inh", "inh"): graphs.FixedInDegree(4)}, ValueError),
        ("connect", {("exc", "inh"): graphs.OneToOne()}, ValueError),
        ("signs", {"exc": 1}, ValueError),
        ("signs", {"exc": 1, "inh": 2}, ValueError),
        ("signs", [1, -1], TypeError),
        ("sizes", [], ValueError),
        ("sizes", [3, 0], ValueError),
        ("sizes", [3, 2.0], TypeError),
        ("sizes", 3, TypeError),
        ("sizes", "33", TypeError),
        ("probability", -0.1, ValueError),
        ("probability", float("nan"), ValueError),
        ("probability", True, TypeError),
        ("in_degree", -1, ValueError),
        ("in_degree", 40, ValueError),
        ("in_degree", 4.0, TypeError),
        ("out_degree", 40, ValueError),
        ("out_degree", "4", TypeError),
        ("edges_per_node", 0, ValueError),
        ("edges_per_node", 40, ValueError),
        ("edges_per_node", 2.0, TypeError),
        ("triangle", 1.5, ValueError),
        ("triangle", "0.5", TypeError),
        ("outward", -0.5, ValueError),
        ("outward", None, TypeError),
        ("in_degrees", [1, -1] * 18, ValueError),
        ("in_degrees", [1, 2], ValueError),
        ("in_degrees", [[1], [2, 3]], ValueError),
        ("in_degrees", [1.0] * 36, TypeError),
        ("in_degrees", [True] * 36, TypeError),
        ("in_degrees", "12", TypeError),
        ("out_degrees", 3, TypeError),
        ("out_degrees", [3] * 36, ValueError),
    ],
)
def test_bad_values_say_what_came_and_what_to_pass(parameter, value, error):
    concerned = [case for case in CASES.values() if takes(parameter, case)]
    assert concerned
    for case in concerned:
        with pytest.raises(error, match=rf"{parameter}.* must .*got .*; .*pass "):
            make(case, **{parameter: value})


def test_directed_has_one_default_which_is_the_models_own_definition():
    undirected = {graphs.barabasi_albert, graphs.power_law_cluster, graphs.kaiser_hilgetag}
    for case in CASES.values():
        if takes("directed", case):
            assert inspect.signature(case.make).parameters["directed"].default is None
            options = {name: value for name, value in case.arguments.items() if name != "directed"}
            data = case.make(**options, seed=0)
            own = case.make(**options, directed=case.make not in undirected, seed=0)
            assert torch.equal(data.edge_index, own.edge_index)
