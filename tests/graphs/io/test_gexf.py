import networkx as nx
import pytest

import graphs

HEAD = '<gexf xmlns="http://www.gexf.net/1.2draft" version="1.2">'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "connectome.gexf"


def inside(nodes, edges="", head="", attributes='defaultedgetype="directed"'):
    body = f"{head}<nodes>{nodes}</nodes><edges>{edges}</edges>"
    return f"{HEAD}<graph {attributes}>{body}</graph></gexf>"


NODES = '<node id="a" label="left"/><node id="b" label="right"/>'


def test_every_field_is_an_attribute(path, full):
    graphs.save(full, path)
    graph = nx.read_gexf(path)
    assert graph.nodes["1"] == {
        "label": "β",
        "name": "β",
        "pos_x": 1.0,
        "pos_y": full.pos[1, 1].item(),
        "node_type": 1,
        "node_sign": -1.0,
    }
    edge = graph.edges["3", "1", 0]
    assert edge["weight"] == full.edge_weight[2].item()
    assert (edge["edge_type"], edge["edge_sign"]) == (1, 0.0)
    assert b"lastmodifieddate" not in path.read_bytes()


@pytest.mark.parametrize("odd", ["", "\0", "a\rb", "\ud800", "\uffff", "\x1b", "a\nb\tc"])
def test_names_that_xml_may_not_carry(path, full, assert_same, odd):
    full.names[2] = odd
    full.edge_type[1] = 1
    graphs.save(full, path)
    assert graphs.load(path).names == full.names


def test_labels_are_names(path):
    path.write_text(inside(NODES, '<edge id="0" source="b" target="a" weight="2.5"/>'))
    data = graphs.load(path)
    assert data.names == ["left", "right"]
    assert data.edge_index.tolist() == [[1], [0]]
    assert data.edge_weight.tolist() == [2.5]
    path.write_text(inside('<node id="a"/><node id="b"/>'))
    assert graphs.load(path).names == ["a", "b"]
    nx.write_gexf(nx.path_graph(12, create_using=nx.DiGraph), path)
    assert "names" not in graphs.load(path)


@pytest.mark.parametrize("version", ["1.1draft", "1.2draft", "1.3"])
def test_undirected_graphs_of_other_programs(path, version):
    graph = nx.Graph()
    graph.add_edge("a", "b", weight=2.5)
    graph.add_edge("b", "b", weight=1.0)
    nx.write_gexf(graph, path, version=version)
    data = graphs.load(path)
    assert data.edge_index.tolist() == [[1, 0, 1], [0, 1, 1]]
    assert data.edge_weight.tolist() == [2.5, 2.5, 1.0]


def test_mutual_edges_defaults_and_prose(path):
    text = inside(
        NODES,
        '<edge id="0" source="a" target="b" type="mutual"/>',
        '<attributes class="edge" mode="static"><attribute id="0" title="edge_sign" type="float">'
        "<default>-1</default></attribute></attributes>",
    )
    path.write_text(text.replace("<graph", "<meta><description>Mine.</description></meta><graph"))
    data = graphs.load(path)
    assert data.edge_index.tolist() == [[1, 0], [0, 1]]
    assert data.edge_sign.tolist() == [-1, -1]


def test_parallel_edges(path):
    edges = '<edge id="{}" source="a" target="b" weight="2"/>'
    path.write_text(inside(NODES, edges.format(0) + edges.format(1)))
    with pytest.raises(ValueError, match="once, got 'left' -> 'right' again"):
        graphs.load(path)
    assert graphs.load(path, duplicates="sum").edge_weight.tolist() == [4.0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "declared",
    [
        "<!DOCTYPE gexf>",
        '<!DOCTYPE g [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE g [<!ENTITY a "&b;"><!ENTITY b "&a;">]>',
        '<!DOCTYPE g [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_declarations_are_refused(path, declared, encoding):
    text = f'<?xml version="1.0"?>{declared}{HEAD}<graph><nodes><node id="&a;"/></nodes></graph>'
    path.write_bytes(text.encode(encoding))
    with pytest.raises(ValueError, match="connectome.gexf' cannot .* it declares a DOCTYPE, by"):
        graphs.load(path)


EDGE = '<edge id="0" source="a" target="b"/>'
WEIGHT = '<attributes class="{}" mode="{}"><attribute id="k" title="{}" type="{}"/></attributes>'


def with_value(value, mode="static", kind="double", title="node_type"):
    node = f'<node id="a"><attvalues><attvalue for="k" value="{value}"/></attvalues></node>'
    return inside(node, head=WEIGHT.format("node", mode, title, kind))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "it is not a complete XML file"),
        ("<html/>", "expected a <graph>"),
        (HEAD + "</gexf>", "expected a <graph>"),
        (inside(NODES)[:-5], "it is not a complete XML file"),
        (inside("&a;"), "it is not a complete XML file"),
        (inside(NODES, EDGE.replace('"b"', '"c"')), "2 nodes and 1 edges, but 3 and 1"),
        (inside(NODES, '<edge source="a"/>'), "cannot be read"),
        (inside(NODES + NODES), "4 nodes and 0 edges, but 2 and 0"),
        (inside(NODES, EDGE + EDGE), "2 edges, but 2 and 1"),
        (
            inside(NODES, EDGE).replace("</gexf>", "<graph><node/></graph></gexf>"),
            "expected one gr",
        ),
        (inside(NODES, EDGE.replace("/", ' type="undirected"/')), "Undirected edge found"),
        (inside(NODES, EDGE.replace("/", ' weight="x"/')), "could not convert"),
        (inside(NODES, EDGE.replace("/", ' weight="nan"/')), "edge_weight must be finite"),
        (inside(NODES, EDGE.replace("/", ' weight="1e39"/')), "edge_weight must be finite"),
        (inside(NODES, head=WEIGHT.format("x", "static", "a", "long")), "cannot be read"),
        (with_value("x"), "could not convert"),
        (with_value("1.5"), "'node_type' of nodes must be int64"),
        (with_value(10**30, kind="long"), "'node_type' of nodes must be int64"),
        (with_value("9" * 5000, kind="long"), "cannot be read"),
        (with_value("1", kind="nonsense"), "nonsense"),
        (with_value("1", mode="dynamic"), "cannot be read"),
        (inside("<nodes>" * 10**5), "it is not a complete XML file"),
        (inside("<node id='a'><nodes>" * 3000 + "</nodes></node>" * 3000), "cannot be read"),
    ],
)
def test_damaged_and_hostile_files(path, text, match):
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"connectome.gexf' cannot be read .*{match}|{match}"):
        graphs.load(path)


@pytest.mark.parametrize(
    ("lists", "match"),
    [
        ('{"shape": 5}', "'shape' of the graph must be a list"),
        ('{"names": ["a"]}', "names must have one str for each of the 2 neurons"),
        ('{"empty_fields": "x"}', "'empty_fields' of the graph must be a list"),
        ("[" * 10**5, "recursion"),
    ],
)
def test_hostile_lists(path, lists, match):
    text = inside(NODES).replace("<graph", f"<meta><description>{lists}</description></meta><graph")
    path.write_text(text)
    with pytest.raises(ValueError, match=match):
        graphs.load(path)


@pytest.mark.parametrize(
    "space",
    [
        "http://www.gexf.net/1.1draft",
        "http://gexf.net/1.2draft",
        "http://www.gexf.net/1.3",
        "http://gexf.net/1.3",
        "https://www.gexf.net/1.4",
    ],
)
def test_edges_without_a_weight_have_one_of_1_in_any_namespace(path, space):
    text = inside(
        NODES, '<edge source="a" target="b"/><edge source="b" target="a" weight="2.5"/>'
    ).replace("http://www.gexf.net/1.2draft", space)
    path.write_text(text)
    data = graphs.load(path)
    assert data.edge_weight.tolist() == [2.5, 1.0]
    assert data.names == ["left", "right"]
    path.write_text(text.replace(' weight="2.5"', ""))
    assert "edge_weight" not in graphs.load(path)


def test_places_of_gephi_are_positions_and_colors_are_told(path):
    space = "http://gexf.net/1.3"
    node = (
        '<node id="{0}" label="{0}!"><viz:position x="{1}" y="-2.5" z="0.0"/>'
        '<viz:size value="10.0"/><viz:color r="1" g="2" b="3"/></node>'
    )
    path.write_text(
        f'<gexf xmlns="{space}" xmlns:viz="{space}/viz" version="1.3"><graph mode="static" '
        f'defaultedgetype="directed"><nodes>{node.format("a", 1)}{node.format("b", 4)}</nodes>'
        '<edges><edge id="0" source="a" target="b" label="big"/></edges></graph></gexf>'
    )
    told = "without 'viz:color' of nodes, 'viz:size' of nodes, 'label' of edges: "
    with pytest.warns(graphs.LeftOutWarning, match=told) as warned:
        data = graphs.load(path)
    assert len(warned) == 1
    assert data.pos.tolist() == [[1, -2.5], [4, -2.5]]
    assert data.names == ["a!", "b!"]
