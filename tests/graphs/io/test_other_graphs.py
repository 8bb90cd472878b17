"""GML, Pajek, yEd and Gephi, and attributes chosen by role."""

import networkx as nx
import pytest

import graphs
from tests.graphs.io.refusals import told

YED = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns"
 xmlns:y="http://www.yworks.com/xml/graphml">
<key for="node" id="d6" yfiles.type="nodegraphics"/>
<key for="edge" id="d10" yfiles.type="edgegraphics"/>
<graph edgedefault="directed" id="G">
<node id="n0"><data key="d6"><y:ShapeNode><y:Geometry x="10.0" y="20.0"/>
<y:NodeLabel>AVAL</y:NodeLabel></y:ShapeNode></data></node>
<node id="n1"><data key="d6"><y:ShapeNode><y:Geometry x="30.0" y="40.0"/>
<y:NodeLabel>DA1</y:NodeLabel></y:ShapeNode></data></node>
<edge id="e0" source="n0" target="n1"><data key="d10"><y:PolyLineEdge>
<y:EdgeLabel>2.5</y:EdgeLabel></y:PolyLineEdge></data></edge>
</graph></graphml>"""
GEPHI = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key attr.name="label" attr.type="string" for="node" id="label"/>
<key attr.name="Edge Label" attr.type="string" for="edge" id="edgelabel"/>
<key attr.name="weight" attr.type="double" for="edge" id="weight"/>
<key attr.name="x" attr.type="float" for="node" id="x"/>
<key attr.name="y" attr.type="float" for="node" id="y"/>
<key attr.name="cell" attr.type="string" for="node" id="cell"/>
<graph edgedefault="directed">
<node id="0"><data key="label">AVAL</data><data key="x">1.0</data><data key="y">2.0</data>
<data key="cell">inter</data></node>
<node id="1"><data key="label">DA1</data><data key="x">3.0</data><data key="y">4.0</data>
<data key="cell">motor</data></node>
<edge id="7" source="0" target="1"><data key="weight">2.5</data></edge>
</graph></graphml>"""
PAJEK = """*Vertices 3
1 "AVAL" 0.1 0.2 0.5
2 "DA 1" 0.3 0.4 0.5
3 "DB2" 0.5 0.6 0.5
*Arcs
1 2 3
2 3 0.5
"""


def test_yed(tmp_path):
    path = tmp_path / "a.graphml"
    path.write_text(YED)
    with pytest.warns(graphs.LeftOutWarning, match="'label' of edges"):
        assert graphs.load(path).names == ["AVAL", "DA1"]
    data = graphs.load(path, columns={"weight": "label"})
    assert data.edge_weight.tolist() == [2.5]
    assert data.pos.tolist() == [[10.0, 20.0], [30.0, 40.0]]


def test_gephi(tmp_path):
    path = tmp_path / "a.graphml"
    path.write_text(GEPHI)
    data = graphs.load(path, neuron_columns={"type": "cell"})
    assert data.names == ["AVAL", "DA1"]
    assert data.edge_weight.tolist() == [2.5]
    assert data.pos.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert data.node_type_names == ["inter", "motor"]
    assert data.node_type.tolist() == [0, 1]


def test_gml_of_networkx_and_igraph(tmp_path):
    graph = nx.DiGraph()
    graph.add_edge("b", "a", weight=2.0, kind="chemical")
    graph.add_edge("a", "c", weight=0.5, kind="electrical")
    path = tmp_path / "a.gml"
    nx.write_gml(graph, path)
    data = graphs.load(path, columns={"type": "kind"})
    assert data.names == ["b", "a", "c"]
    assert data.edge_index.tolist() == [[0, 1], [1, 2]]
    assert data.edge_weight.tolist() == [2.0, 0.5]
    assert data.edge_type_names == ["chemical", "electrical"]
    path.write_text("graph [ directed 1 node [ id 0 ] node [ id 1 ] edge [ source 1 target 0 ] ]")
    data = graphs.load(path)
    assert "names" not in data
    assert data.edge_index.tolist() == [[1], [0]]
    path.write_text("graph [ node [ id 0 ] edge [ source 0 target 5 ] ]")
    told(path)
    path.write_text("graph [ node [ id 0 ")
    told(path)


def test_large_numbers_in_gml(tmp_path):
    big = 720575940596125868
    path = tmp_path / "a.gml"
    end = "edge [ source 0 target 1 ] ]"
    path.write_text(f"graph [ directed 1 node [ id 0 label {big} ] node [ id 1 label 5 ] {end}")
    assert graphs.load(path).names == [str(big), "5"]
    path.write_text(f'graph [ directed 1 node [ id 0 label {big} ] node [ id 1 label "a" ] {end}')
    assert graphs.load(path).names == [str(big), "a"]
    path.write_text(f"graph [ directed 1 node [ id 0 label 0 ] node [ id 1 label 1 ] {end}")
    assert "names" not in graphs.load(path)
    path.write_text(f"graph [ directed 1 node [ id 0 label 5 ] node [ id 1 label 5 ] {end}")
    with pytest.warns(graphs.LeftOutWarning, match="'label' of nodes"):
        assert "names" not in graphs.load(path)
    path.write_text(
        f"graph [ directed 1 node [ id {big}.0 ] node [ id 5 ] edge [ source {big}.0 target 5 ] ]"
    )
    assert "integers as ids of nodes, got 7.20575940596125" in told(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_pajek(tmp_path, end):
    path = tmp_path / "a.net"
    path.write_bytes(PAJEK.replace("\n", end).encode())
    data = graphs.load(path)
    assert data.names == ["AVAL", "DA 1", "DB2"]
    assert data.edge_index.tolist() == [[0, 1], [1, 2]]
    assert data.edge_weight.tolist() == [3.0, 0.5]
    path.write_text(PAJEK.replace("Vertices 3", "Vertices 999999999999"))
    told(path)
    path.write_text("source,target\n")
    assert "must begin with '*Vertices N'" in told(path)
    path.write_text(PAJEK.replace("DB2", "AVAL"))
    assert "states 3 vertices, got 2 with different labels" in told(path)


@pytest.mark.parametrize(
    ("synapses", "match"),
    [
        ("*Arcslist\n1 2 3\n", "got the section '*Arcslist'; write a line 'source target weight'"),
        (
            "*edgeslist\n1 2 3\n",
            "got the section '*edgeslist'; write a line 'source target weight'",
        ),
        ("*Arcs\n1 2 3\n*Edges\n2 3 4\n", "got 2, '*Arcs' and '*Edges'; write all synapses under"),
        ("*Edges\n2 3 4\n *Arcs\n1 2 3\n", "got 2, '*Edges' and '*Arcs'; write all synapses under"),
        ('*Arcs :1 "x"\n1 2 3\n*Arcs :2 "y"\n1 2 5\n', "got 2, '*Arcs' and '*Arcs'; write all"),
        (f"*Arcs\n1 2 {'1' * 20_000}\n", "at most 10000 characters, got one of 20004; shorten its"),
    ],
)
def test_sections_of_pajek_that_would_be_misread(tmp_path, synapses, match):
    path = tmp_path / "a.net"
    path.write_text(PAJEK.partition("*Arcs")[0] + synapses)
    assert match in told(path)


def test_an_empty_section_of_pajek_beside_another_one(tmp_path):
    path = tmp_path / "a.net"
    path.write_text(PAJEK + "*Edges\n")
    assert graphs.load(path).edge_index.tolist() == [[0, 1], [1, 2]]
    path.write_text(PAJEK.replace("*Arcs\n", "*Arcs\n\n*Edges\n"))
    assert graphs.load(path).edge_index.tolist() == [[1, 0, 2, 1], [0, 1, 1, 2]]


def test_an_indented_section_and_a_wide_matrix_in_pajek(tmp_path):
    path = tmp_path / "a.net"
    path.write_text(PAJEK.replace("*", "\t *"))
    assert graphs.load(path).edge_index.tolist() == [[0, 1], [1, 2]]
    blanks = " " * 20_000
    path.write_text(PAJEK.partition("*Arcs")[0] + f"*Matrix\n0 2 0{blanks}\n0 0 0\n0 0 1\n")
    data = graphs.load(path)
    assert data.edge_index.tolist() == [[0, 2], [1, 2]]
    assert data.edge_weight.tolist() == [2.0, 1.0]


def test_empty_lines_before_something_else_in_pajek(tmp_path):
    path = tmp_path / "a.net"
    path.write_text("x" + "\n" * 300_000 + "y\n")
    assert "must begin with '*Vertices N'" in told(path)


@pytest.fixture
def graph():
    graph = nx.DiGraph()
    graph.add_node("a", cell="motor", nt="GABA", px=1.0, py=2.0, title="A")
    graph.add_node("b", cell="inter", nt="dopamine", px=3.0, py=4.0, title="B")
    graph.add_edge("a", "b", strength=2.0, sort="x", note="?")
    return graph


def test_attributes_by_role(graph):
    before = {node: dict(row) for node, row in graph.nodes(data=True)}
    with pytest.warns(graphs.LeftOutWarning) as warned:
        data = graphs.from_networkx(
            graph,
            columns={"weight": "strength", "type": "sort"},
            neuron_columns={
                "type": "cell",
                "transmitter": "nt",
                "x": "px",
                "y": "py",
                "name": "title",
            },
        )
    assert "the transmitters 'dopamine' (1 rows)" in str(warned[0].message)
    assert "without 'note' of edges, the labels of nodes" in str(warned[1].message)
    assert data.edge_weight.tolist() == [2.0]
    assert data.edge_type_names == ["x"]
    assert data.node_type_names == ["inter", "motor"]
    assert data.node_type.tolist() == [1, 0]
    assert data.node_sign.tolist() == [-1, 0]
    assert data.pos.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert data.names == ["A", "B"]
    assert {node: dict(row) for node, row in graph.nodes(data=True)} == before


def test_text_of_node_type_is_a_population():
    graph = nx.DiGraph([(0, 1)])
    nx.set_node_attributes(graph, {0: "motor", 1: "inter"}, "node_type")
    data = graphs.from_networkx(graph)
    assert data.node_type_names == ["inter", "motor"]
    assert data.node_type.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"columns": {"weigth": "strength"}}, ValueError, "columns must choose attributes .* got"),
        ({"columns": {"weight": "w"}}, ValueError, "columns must name attributes of edges, which"),
        ({"neuron_columns": {"x": "nix"}}, ValueError, "neuron_columns must name attributes of no"),
        ({"columns": "weight"}, TypeError, "columns must be a dict"),
        ({"transmitter_signs": {"a": 3}}, ValueError, "transmitter_signs must be -1, 0"),
    ],
)
def test_refused_attributes(graph, options, error, match):
    with pytest.raises(error, match=match):
        graphs.from_networkx(graph, **options)
