import networkx as nx
import pytest
import torch

import graphs

HEAD = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "connectome.graphml"


def test_every_field_is_an_attribute(path, full):
    graphs.save(full, path)
    graph = nx.read_graphml(path)
    assert graph.graph["shape"] == "[5, 1]"
    assert graph.graph["node_type_names"] == '["pyramidal", "K\\u00f6rner, [2]"]'
    assert graph.nodes["1"] == {
        "pos_x": 1.0,
        "pos_y": full.pos[1, 1].item(),
        "node_type": 1,
        "node_sign": -1.0,
        "name": "β",
    }
    assert graph.edges["3", "1", 0] == {
        "weight": full.edge_weight[2].item(),
        "edge_type": 1,
        "edge_sign": 0.0,
    }


@pytest.mark.parametrize("odd", ["", "\0", "a\rb", "\ud800", "\uffff", "\x1b"])
def test_names_that_xml_cannot_carry(path, full, assert_same, odd):
    full.names[2] = odd
    graphs.save(full, path)
    assert_same(graphs.load(path), full)


def test_an_undirected_graph_with_text_for_ids(path):
    graph = nx.Graph()
    graph.add_edge("left", "right", weight=2.5)
    graph.add_edge("right", "right", weight=1.0)
    nx.write_graphml(graph, path)
    data = graphs.load(path)
    assert data.names == ["left", "right"]
    assert data.edge_index.tolist() == [[1, 0, 1], [0, 1, 1]]
    assert data.edge_weight.tolist() == [2.5, 2.5, 1.0]
    assert graphs.validate(data) is data


def test_ids_that_count_are_no_names(path):
    nx.write_graphml(nx.path_graph(12, create_using=nx.DiGraph), path)
    assert "names" not in graphs.load(path)
    nx.write_graphml(nx.DiGraph([(1, 0)]), path)
    assert graphs.load(path).names == ["1", "0"]


def test_without_namespace_and_with_defaults(path):
    path.write_text(
        '<graphml><key id="w" for="edge" attr.name="weight" attr.type="double">'
        '<default>0.5</default></key><key id="s" for="node" attr.name="node_sign" '
        'attr.type="int"><default>1</default></key><key id="c" for="node" attr.name="color" '
        'attr.type="string"><default>red</default></key><graph edgedefault="directed">'
        '<node id="a"/><node id="b"><data key="s">-1</data></node>'
        '<edge id="e0" source="a" target="b"><data key="w">2</data></edge>'
        '<edge id="e1" source="b" target="a"/></graph></graphml>'
    )
    with pytest.warns(graphs.LeftOutWarning, match="without 'color' of nodes: "):
        data = graphs.load(path)
    assert data.edge_weight.tolist() == [0.5, 2.0]
    assert data.node_sign.tolist() == [1, -1]
    assert data.names == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_encodings(path, encoding):
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?>{HEAD}<graph><node id="ä"/></graph></graphml>'
    )
    path.write_bytes(text.encode(encoding))
    assert graphs.load(path).names == ["ä"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "declared",
    [
        "<!DOCTYPE graphml>",
        '<!DOCTYPE graphml SYSTEM "http://example.invalid/graphml.dtd">',
        '<!DOCTYPE g [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE g [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_declarations_are_refused(path, declared, encoding):
    text = f'<?xml version="1.0"?>{declared}{HEAD}<graph><node id="&a;"/></graph></graphml>'
    path.write_bytes(text.encode(encoding))
    with pytest.raises(ValueError, match="connectome.graphml' cannot .* it declares a DOCTYPE, by"):
        graphs.load(path)


def inside(body, head="", attributes='edgedefault="directed"'):
    return f"{HEAD}{head}<graph {attributes}>{body}</graph></graphml>"


KEY = '<key id="k" for="{}" attr.name="{}" attr.type="{}"/>'
NODES = '<node id="0"/><node id="1"/>'
EDGE = '<edge source="0" target="1"/>'


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "it is not a complete XML file"),
        ("PK\x03\x04", "it is not a complete XML file"),
        ("<html/>", "expected a <graph>"),
        (HEAD + "</graphml>", "expected a <graph>"),
        (inside(NODES)[:-5], "it is not a complete XML file"),
        (inside(NODES) + "<more/>", "it is not a complete XML file"),
        (inside("&a;"), "it is not a complete XML file"),
        (inside(NODES + '<edge source="0" target="2"/>'), "2 nodes and 1 edges, but 3 and 1"),
        (inside(NODES + '<edge source="0"/>'), "2 nodes and 1 edges, but 3 and 1"),
        (inside(NODES + NODES), "4 nodes and 0 edges, but 2 and 0 different ones"),
        (inside(NODES + EDGE + EDGE), "expected each synapse once, got 0 -> 1 again"),
        (inside(NODES + 2 * EDGE.replace("edge ", 'edge id="1" ')), "2 edges, but 2 and 1"),
        (inside(NODES).replace("</graph>", "</graph><graph><node/></graph>"), "expected one graph"),
        (inside(NODES + "<hyperedge/>"), "support hyperedges"),
        (inside('<node id="0"><data key="k">1</data></node>'), "no key k"),
        (
            inside(
                '<node id="0"><data key="k">1</data></node><node id="1"/>',
                KEY.format("node", "pos_x", "double"),
            ),
            "all nodes must have the attribute 'pos' or none, got 1 of 2",
        ),
        (
            inside(
                '<node id="0"><data key="k">x</data></node>', KEY.format("node", "pos_x", "int")
            ),
            "'x'",
        ),
        (
            inside(
                '<node id="0"><data key="k">INF</data></node>', KEY.format("node", "pos_x", "float")
            ),
            "pos must be finite",
        ),
        (
            inside(
                f'<node id="0"><data key="k">{"9" * 4000}</data></node>',
                KEY.format("node", "node_type", "long"),
            ),
            "cannot be read",
        ),
        (
            inside('<data key="k">8x8</data>', KEY.format("graph", "shape", "string")),
            "list in JSON",
        ),
        (inside('<data key="k">8</data>', KEY.format("graph", "shape", "int")), "list in JSON"),
        (
            inside(f'<data key="k">{"[" * 10**6}</data>', KEY.format("graph", "shape", "string")),
            "cannot be read",
        ),
        (
            inside(
                f'<data key="k">{[10**18] * 10_000}</data>', KEY.format("graph", "shape", "string")
            ),
            "its shape has more than 64 sides",
        ),
        (
            inside('<data key="k">["a"]</data>', KEY.format("graph", "names", "string")),
            "names must",
        ),
        (inside("<a>" * 10**5), "it is not a complete XML file"),
    ],
)
def test_damaged_and_hostile_files(path, text, match):
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"connectome.graphml' cannot be read .*{match}|{match}"):
        graphs.load(path)


def test_deep_nesting_and_long_text_are_no_harm(path):
    deep = 10**5
    path.write_text(inside(NODES + "<a>" * deep + "</a>" * deep + "<b>" + "x" * 10**7 + "</b>"))
    assert graphs.load(path).num_nodes == 2


def test_floats_are_exact(path):
    data = graphs.layered([1, 3])
    data.edge_weight = torch.tensor([0.1, 1e-45, 3.4028235e38])
    graphs.save(data, path)
    assert torch.equal(graphs.load(path).edge_weight, data.edge_weight)


def told(path, text, match):
    path.write_text(text)
    with pytest.warns(graphs.LeftOutWarning, match=match) as warned:
        data = graphs.load(path)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    return data


def test_a_file_of_yed(path):
    node = (
        '<node id="{0}"><port name="p"/><data key="d1"><y:ShapeNode><y:Geometry height="30.0" '
        'width="30.0" x="{1}" y="-7.5"/><y:NodeLabel>{2}</y:NodeLabel><y:Shape type="ellipse"/>'
        "</y:ShapeNode></data></node>"
    )
    data = told(
        path,
        HEAD.replace(">", ' xmlns:y="http://www.yworks.com/xml/graphml">')
        + '<key for="port" id="d0" yfiles.type="portgraphics"/>'
        '<key for="node" id="d1" yfiles.type="nodegraphics"/>'
        '<key for="edge" id="d2" yfiles.type="edgegraphics"/>'
        '<graph edgedefault="directed" id="G">'
        + node.format("n0", 1.5, "AVAL")
        + node.format("n1", 9, "AVAR")
        + '<edge id="e0" source="n0" target="n1"><data key="d2"><y:PolyLineEdge><y:EdgeLabel>12'
        "</y:EdgeLabel></y:PolyLineEdge></data></edge></graph></graphml>",
        "without 'ports' of the graph, 'shape_type' of nodes, 'label' of edges: ",
    )
    assert data.names == ["AVAL", "AVAR"]
    assert data.pos.tolist() == [[1.5, -7.5], [9, -7.5]]
    assert data.edge_index.tolist() == [[0], [1]]


def test_a_file_of_gephi(path):
    keys = "".join(
        f'<key attr.name="{name}" attr.type="{kind}" for="{owner}" id="{at}"/>'
        for name, kind, owner, at in (
            ("label", "string", "node", "label"),
            ("Edge Label", "string", "edge", "edgelabel"),
            ("weight", "double", "edge", "weight"),
            ("r", "int", "node", "r"),
            ("size", "float", "node", "size"),
            ("x", "float", "node", "x"),
            ("y", "float", "node", "y"),
        )
    )
    node = (
        '<node id="{0}.0"><data key="label">{1}</data><data key="size">10.0</data>'
        '<data key="r">153</data><data key="x">{0}</data><data key="y">-1.5</data></node>'
    )
    data = told(
        path,
        f'{HEAD}{keys}<graph edgedefault="directed">{node.format(3, "left")}'
        f'{node.format(4, "right")}<edge id="7" source="4.0" target="3.0">'
        '<data key="edgelabel">e</data><data key="weight">2.5</data></edge></graph></graphml>',
        "without 'size' of nodes, 'r' of nodes, 'Edge Label' of edges: ",
    )
    assert data.names == ["left", "right"]
    assert data.pos.tolist() == [[3, -1.5], [4, -1.5]]
    assert data.edge_index.tolist() == [[1], [0]]
    assert data.edge_weight.tolist() == [2.5]


def test_a_file_of_igraph(path):
    data = told(
        path,
        f'{HEAD}<key id="g_source" for="graph" attr.name="source" attr.type="string"/>'
        '<key id="v_name" for="node" attr.name="name" attr.type="string"/>'
        '<key id="e_weight" for="edge" attr.name="weight" attr.type="double"/>'
        '<graph id="G" edgedefault="directed"><data key="g_source">a lab</data>'
        '<node id="n0"><data key="v_name">AVAL</data></node>'
        '<node id="n1"><data key="v_name">AVAR</data></node>'
        '<edge source="n0" target="n1"><data key="e_weight">3</data></edge></graph></graphml>',
        "without 'source' of the graph: ",
    )
    assert data.names == ["AVAL", "AVAR"]
    assert data.edge_weight.tolist() == [3]


def test_a_file_of_graph_tool(path):
    """It has vectors, and floats in hexadecimal."""
    data = told(
        path,
        f'{HEAD}<key id="k0" for="node" attr.name="pos" attr.type="vector_float"/>'
        '<key id="k1" for="edge" attr.name="weight" attr.type="long double"/>'
        '<key id="k2" for="node" attr.name="rgb" attr.type="vector_string"/>'
        '<key id="k3" for="edge" attr.name="age" attr.type="short"/>'
        '<key id="k4" for="graph" attr.name="data" attr.type="python_object"/>'
        '<graph id="G" edgedefault="directed"><data key="k4">gASVBAAA</data>'
        '<node id="n0"><data key="k0">0x1.8p+1, -2</data><data key="k2">a, b</data></node>'
        '<node id="n1"><data key="k0">0x0p+0, 0.5</data><data key="k2">c</data></node>'
        '<edge id="e0" source="n0" target="n1"><data key="k1">0x1.4p+2</data>'
        '<data key="k3">4</data></edge></graph></graphml>',
        "without 'data' of the graph, 'rgb' of nodes, 'age' of edges: ",
    )
    assert data.pos.tolist() == [[3, -2], [0, 0.5]]
    assert data.edge_weight.tolist() == [5]
    assert data.names == ["n0", "n1"]
