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
        ("", "it is no whole XML file"),
        ("PK\x03\x04", "it is no whole XML file"),
        ("<html/>", "not successfully read as graphml"),
        (HEAD + "</graphml>", "not successfully read as graphml"),
        (inside(NODES)[:-5], "it is no whole XML file"),
        (inside(NODES) + "<more/>", "it is no whole XML file"),
        (inside("&a;"), "it is no whole XML file"),
        (inside(NODES + '<edge source="0" target="2"/>'), "2 nodes and 1 edges of which 3 and 1"),
        (inside(NODES + '<edge source="0"/>'), "2 nodes and 1 edges of which 3 and 1"),
        (inside(NODES + NODES), "4 nodes and 0 edges of which 2 and 0 can be told apart"),
        (inside(NODES + EDGE + EDGE), "expected each synapse once, got 0 -> 1 again"),
        (inside(NODES + 2 * EDGE.replace("edge ", 'edge id="1" ')), "2 edges of which 2 and 1"),
        (inside(NODES).replace("</graph>", "</graph><graph><node/></graph>"), "expected one graph"),
        (inside(NODES + "<hyperedge/>"), "support hyperedges"),
        (inside('<node id="0"><data key="k">1</data></node>'), "no key k"),
        (
            inside(
                '<node id="0"><data key="k">1</data></node>', KEY.format("node", "pos_x", "real")
            ),
            "'real'",
        ),
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
        (inside("<a>" * 10**5), "it is no whole XML file"),
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
