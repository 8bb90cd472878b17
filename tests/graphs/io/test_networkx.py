import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs


@settings(max_examples=200, deadline=None)
@given(drawn=st.data())
def test_round_trip_loses_nothing(connectomes, assert_same, drawn):
    data = drawn.draw(connectomes())
    assert_same(graphs.from_networkx(graphs.to_networkx(data)), data)


@pytest.mark.parametrize(
    "data",
    [
        graphs.grid_local((4, 5), 1.5),
        graphs.grid_local(2, 1),
        graphs.coordinate_random(20, (3, 2, 1), 1.0, seed=0),
        graphs.small_world(20, 4, 0.2, seed=0),
        graphs.layered([3, 1, 2]),
        graphs.layered([3]),
    ],
)
def test_round_trip_of_generators(assert_same, data):
    assert_same(graphs.from_networkx(graphs.to_networkx(data)), data)


def test_attributes():
    data = graphs.layered([1, 2])
    data.edge_weight = torch.tensor([0.25, -1.0])
    data.edge_sign = torch.tensor([1.0, -1.0])
    data.names = ["in", "left", "right"]
    graph = graphs.to_networkx(data)
    assert type(graph) is nx.DiGraph
    assert list(graph.edges(data=True)) == [
        (0, 1, {"weight": 0.25, "edge_sign": 1.0}),
        (0, 2, {"weight": -1.0, "edge_sign": -1.0}),
    ]
    assert graph.nodes[1] == {"pos": (1.0, -0.5), "node_type": 1, "name": "left"}
    assert graph.graph == {"node_type_names": ["layer 0", "layer 1"]}


def test_parallel_synapses_make_a_multigraph():
    data = Data(edge_index=torch.tensor([[0, 0], [1, 1]]), edge_type=torch.tensor([0, 4]))
    data.num_nodes = 2
    graph = graphs.to_networkx(data)
    assert type(graph) is nx.MultiDiGraph
    assert [kind for _, _, kind in graph.edges(data="edge_type")] == [0, 4]


def test_undirected_edges_become_two_synapses():
    graph = nx.Graph()
    graph.add_nodes_from([0, 1, 2])
    graph.add_edge(0, 2, weight=3.0)
    graph.add_edge(1, 1, weight=5.0)
    data = graphs.from_networkx(graph)
    assert data.edge_index.tolist() == [[2, 1, 0], [0, 1, 2]]
    assert data.edge_weight.tolist() == [3.0, 5.0, 3.0]


def test_undirected_multigraph():
    graph = nx.MultiGraph()
    graph.add_edge(0, 1, edge_type=0)
    graph.add_edge(1, 0, edge_type=1)
    data = graphs.from_networkx(graph)
    assert data.num_edges == 4
    assert data.edge_type.tolist() == [0, 1, 0, 1]


def test_neurons_are_in_the_order_of_the_nodes():
    data = graphs.from_networkx(nx.DiGraph([("b", "a"), ("a", "c")]))
    assert data.names == ["b", "a", "c"]
    assert data.edge_index.tolist() == [[0, 1], [1, 2]]
    assert graphs.from_networkx(nx.DiGraph([(7, 3)])).names == ["7", "3"]
    assert "names" not in graphs.from_networkx(nx.path_graph(3))


def test_graph_without_edges_or_nodes():
    assert graphs.from_networkx(nx.DiGraph()).num_nodes == 0
    assert graphs.from_networkx(nx.empty_graph(3)).edge_index.shape == (2, 0)


def test_connectome_is_not_shared():
    data = graphs.layered([1, 1])
    graphs.to_networkx(data).graph["node_type_names"].append("more")
    assert data.node_type_names == ["layer 0", "layer 1"]


def graph_with(**attributes):
    graph = nx.DiGraph([(0, 1), (1, 2)])
    for name, values in attributes.items():
        if name in ("weight", "edge_type", "edge_sign"):
            nx.set_edge_attributes(graph, dict(zip(graph.edges, values, strict=False)), name)
        else:
            nx.set_node_attributes(graph, dict(enumerate(values)), name)
    return graph


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"weight": [1.0]}, r"all edges must have .*'weight' .*got 1 of 2; .*set_edge_attributes"),
        ({"pos": [(0, 0)]}, r"all nodes must have .*'pos' .*got 1 of 3; .*set_node_attributes"),
        ({"name": ["a"]}, r"all nodes must have the attribute 'name' or none, got 1 of 3"),
        ({"weight": ["x", "y"]}, r"'weight' of edges must be float32, got for example 'x'"),
        ({"weight": [None, 1.0]}, r"'weight' of edges must be float32|finite"),
        ({"weight": [1.0, float("nan")]}, r"edge_weight must be finite"),
        ({"weight": [1.0, 1e300]}, r"edge_weight must be finite, got inf"),
        ({"edge_type": [0.5, 1]}, r"'edge_type' of edges must be int64, got for example 0.5"),
        ({"edge_sign": [0.5, 1]}, r"edge_sign must be -1, 0 .* or \+1, got 0.5"),
        ({"pos": [(0, 0), (1,), (2, 2)]}, r"'pos' of nodes must be float32"),
        ({"pos": [1.0, 2.0, 3.0]}, r"pos must be a float32 tensor of shape \[3, D\]"),
        ({"node_sign": [1, 1, 3]}, r"node_sign must be -1, 0 .* or \+1, got 3.0"),
    ],
)
def test_bad_attributes(attributes, message):
    with pytest.raises(ValueError, match=message):
        graphs.from_networkx(graph_with(**attributes))


def test_parallel_edges_without_types():
    graph = nx.MultiDiGraph([("a", "b"), ("a", "b"), ("b", "a")])
    with pytest.raises(ValueError, match=r"once, got 'a' -> 'b' again \(1 of 3 repeat .*='sum'"):
        graphs.from_networkx(graph)
    data = graphs.from_networkx(graph, duplicates="sum")
    assert data.edge_index.tolist() == [[1, 0], [0, 1]]
    assert data.edge_weight.tolist() == [1, 2]


def test_what_an_empty_graph_lists_must_be_a_list():
    graph = nx.DiGraph(empty_fields="weight")
    with pytest.raises(ValueError, match="'empty_fields' of the graph must be a list of names"):
        graphs.from_networkx(graph)


@pytest.mark.parametrize("other", [None, {0: [1]}, np.eye(2)])
def test_no_graph_at_all(other):
    with pytest.raises(
        TypeError, match=r"graph must be a networkx graph, got .*; pass networkx.DiGraph"
    ):
        graphs.from_networkx(other)


@pytest.mark.parametrize("weight", [1 + 2j, np.complex64(1 + 2j)])
@pytest.mark.parametrize("other", [2.0, np.float64(2), 10**30])
def test_complex_weights_are_refused(weight, other):
    graph = nx.DiGraph()
    graph.add_edge(0, 1, weight=other)
    graph.add_edge(1, 0, weight=weight)
    with pytest.raises(ValueError, match="the attribute 'weight' of edges must be float32.*comple"):
        graphs.from_networkx(graph)


def test_weights_that_float32_makes_zero_and_dates_are_refused():
    with pytest.raises(ValueError, match="at least 1e-45 in float32, got 1e-320"):
        graphs.from_networkx(nx.DiGraph([(0, 1, {"weight": 1e-320})]))
    with pytest.raises(ValueError, match="not real numbers but datetime64"):
        graphs.from_networkx(nx.DiGraph([(0, 1, {"weight": np.datetime64("2020-01-01")})]))


def test_what_is_left_out_is_told_once():
    graph = nx.MultiDiGraph(name="net")
    graph.add_node("a", name="left", club="Mr. Hi")
    graph.add_node("b", name="right", club="Officer")
    graph.add_edge("a", "b", key="first", weight=2.0, type=-1, delay=3)
    told = (
        "read without 'club' of nodes, 'type' of edges, 'delay' of edges, 'name' of the graph, the "
        r"labels of nodes \(they have another 'name'\), the keys of edges: .*columns={'type'"
    )
    with pytest.warns(graphs.LeftOutWarning, match=told) as warned:
        data = graphs.from_networkx(graph)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert data.names == ["left", "right"]
    assert data.edge_weight.tolist() == [2.0]
