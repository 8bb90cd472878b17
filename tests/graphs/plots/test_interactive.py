import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

import graphs

HOSTILE = "</script><script>alert(1)</script><b onclick=alert(2)>&amp;"


class Page(HTMLParser):
    """The tags of a page with their attributes and texts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.inside, self.open = [], [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside.append("")
        self.open = True

    def handle_endtag(self, tag):
        self.open = False

    def handle_data(self, data):
        if self.open:
            self.inside[-1] += data

    def all(self, tag):
        pairs = zip(self.tags, self.inside, strict=True)
        return [inside for (name, _), inside in pairs if name == tag]


def written(data, path, **arguments):
    graphs.plot_html(data, path, **arguments)
    return Page(path.read_text(encoding="utf-8"))


def figure(page):
    program = page.all("script")[1]
    return json.JSONDecoder().raw_decode(program[program.index("{...{") + 4 :])[0]


def points(trace):
    return np.array(
        [
            np.frombuffer(base64.b64decode(trace[axis]["bdata"]), "<f4")
            for axis in "xyz"
            if axis in trace
        ]
    ).T


def lines(page):
    return [each for each in figure(page)["data"] if each.get("showlegend") is False]


def dots(page):
    return [each for each in figure(page)["data"] if each["mode"] == "markers"]


def test_the_page_loads_nothing_and_runs_only_its_own_scripts(tmp_path):
    page = written(graphs.c_elegans(), tmp_path / "worm.html")
    for _, attributes in page.tags:
        assert not {"src", "href", "srcset", "data", "action"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    library, program = page.all("script")
    assert library == get_plotlyjs()
    policy = next(each["content"] for _, each in page.tags if "http-equiv" in each)
    assert policy.startswith("default-src 'none'; ")
    for script in (library, program):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe-inline" not in re.search("script-src[^;]*", policy)[0]
    assert '"showSendToCloud": false' in program


def test_names_execute_nothing(tmp_path):
    data = graphs.layered([2, 1])
    data.names = [HOSTILE, "µ", "\ud800"]
    data.node_type_names = [HOSTILE, "x" * 10_000]
    page = written(data, tmp_path / "page.html")
    assert [tag for tag, _ in page.tags] == [
        *("html", "head", "meta", "meta", "title", "style", "body", "div", "script", "script")
    ]
    first, second = dots(page)
    assert first["hovertext"][0].startswith("<b>&lt;/script&gt;&lt;script&gt;alert(1)")
    assert "<b onclick" not in first["hovertext"][0]
    assert "<" not in first["name"]
    assert second["name"] == "x" * 59 + "…"


def test_what_is_drawn(tmp_path):
    data = graphs.coordinate_random(30, (5, 4, 3), 2.0, seed=0)
    page = written(data, tmp_path / "page.HTML")
    (line,), (dot,) = lines(page), dots(page)
    assert line["type"] == dot["type"] == "scatter3d"
    pos = data.pos.numpy()
    assert np.array_equal(points(dot), pos)
    path = points(line).reshape(-1, 3, 3)
    assert np.array_equal(path[:, 0], pos[data.edge_index[0]])
    assert np.array_equal(path[:, 1], pos[data.edge_index[1]])
    assert np.isnan(path[:, 2]).all()
    sent, received = (data.edge_index == 3).sum(dim=1).tolist()
    assert dot["hovertext"][3] == f"<b>neuron 3</b><br>{received} in, {sent} out"
    assert page.all("title") == [f"30 neurons, {data.num_edges} synapses"]


def test_plotly_knows_every_setting(tmp_path):
    for axes in (1, 2, 3):
        data = graphs.grid_local((3,) * axes, 1)
        Figure(figure(written(data, tmp_path / "page.html")))


def test_signs_and_populations_can_be_hidden_apart(tmp_path):
    data = graphs.layered([2, 3])
    data.node_sign = torch.tensor([1.0, -1.0, 1.0, 1.0, 1.0])
    page = written(data, tmp_path / "page.html")
    assert [len(points(each)) for each in lines(page)] == [9, 9]
    assert [each["legendgroup"] for each in lines(page)] == ["excitatory", "inhibitory"]
    assert [each["name"] for each in dots(page)] == ["layer 0", "layer 1"]
    assert [len(points(each)) for each in dots(page)] == [2, 3]
    told = [each["name"] for each in figure(page)["data"] if "name" in each]
    assert told[:2] == ["excitatory (3)", "inhibitory (3)"]
    data.node_sign[0] = 0
    page = written(data, tmp_path / "page.html")
    told = [each["name"] for each in figure(page)["data"] if "name" in each]
    assert told[:3] == ["excitatory (0)", "inhibitory (3)", "unknown sign (3)"]


def test_hundreds_of_populations_are_one_trace(tmp_path):
    data = graphs.layered([1] * 200)
    (dot,) = dots(written(data, tmp_path / "page.html"))
    assert len(set(dot["marker"]["color"])) > 150
    assert "layer 7<br>" in dot["hovertext"][7]


def test_large_connectomes_are_sampled_and_the_page_says_so(tmp_path):
    data = graphs.grid_local((100, 100), 1)
    path = tmp_path / "page.html"
    page = written(data, path, max_edges=1000, max_nodes=500)
    assert page.all("title") == [
        "10,000 neurons, 88,804 synapses (1,000 drawn) (500 neurons drawn)"
    ]
    assert len(points(lines(page)[0])) == 3000
    assert len(points(dots(page)[0])) == 500
    written(data, path)
    assert path.stat().st_size < len(get_plotlyjs().encode()) + 48 * 88_804 + 500 * 10_000


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("neurons", [0, 1, 2])
def test_hardly_any_neurons(tmp_path, neurons, axes):
    data = graphs.coordinate_random(neurons, (5.0,) * axes, 1.0, self_loops=True, seed=0)
    page = written(data, tmp_path / "page.html")
    assert len(points(dots(page)[0])) == neurons
    assert "NaN" not in page.all("script")[1]


def test_without_plotly(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    path = tmp_path / "page.html"
    with pytest.raises(ModuleNotFoundError, match=r'run pip install "plotly>=6"'):
        graphs.plot_html(graphs.layered([2, 1]), path)
    assert not path.exists()


def test_bad_arguments(tmp_path):
    data, path = graphs.layered([2, 1]), tmp_path / "page.html"
    with pytest.raises(ValueError, match=r"must end in .html or .htm, got 'worm.pdf'"):
        graphs.plot_html(data, "worm.pdf")
    for wrong in (None, 3, b"page.html", [path]):
        with pytest.raises(TypeError, match=r"path must be a str or os.PathLike, got .*; pass pat"):
            graphs.plot_html(data, wrong)
    with pytest.raises(ValueError, match=r"max_edges must be an integer >= 0, got -1"):
        graphs.plot_html(data, path, max_edges=-1)
    with pytest.raises(TypeError, match=r"max_nodes must be an integer >= 0, got None"):
        graphs.plot_html(data, path, max_nodes=None)
    with pytest.raises(ValueError, match="needs pos"):
        graphs.plot_html(graphs.grid_local((2, 2, 2, 2), 1), path)
    with pytest.raises(FileNotFoundError):
        graphs.plot_html(data, tmp_path / "missing" / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_neurons_that_share_a_place_are_counted(tmp_path):
    data = graphs.layered([2, 1])
    data.pos[1] = data.pos[0]
    texts = [
        each for dot in dots(written(data, tmp_path / "page.html")) for each in dot["hovertext"]
    ]
    assert texts[1] == "<b>neuron 1</b><br>layer 0<br>0 in, 1 out<br>1 more at the same place"
    assert texts[2] == "<b>neuron 2</b><br>layer 1<br>2 in, 0 out"


def test_a_long_body_is_seen_from_its_side(tmp_path):
    def scene(*sides):
        data = graphs.coordinate_random(2, (1.0, 1.0, 1.0), 1.0, seed=0)
        data.pos = torch.tensor([[0.0, 0.0, 0.0], sides])
        return figure(written(data, tmp_path / "page.html"))["layout"]["scene"]

    assert list(scene(1.0, 1.0, 1.0)["camera"]["eye"].values()) == pytest.approx([1.25] * 3)
    long = scene(1.0, 9.0, 1.0)
    assert long["camera"]["eye"]["x"] == pytest.approx(3 * long["camera"]["eye"]["y"])
    assert long["xaxis"]["nticks"] < long["yaxis"]["nticks"]
