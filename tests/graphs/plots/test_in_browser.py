"""Pages of graphs.plot_html in a browser."""

import json

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

import graphs
from graphs.plots import colors
from tests.graphs.plots.browser import EXECUTABLE, Browser, Page

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium is on the path")

TRACES = """view._fullData.map(({name, mode, visible, x}) => ({
    name, mode, visible, points: [...x].filter((each) => each !== null && each === each).length
}))"""
# Positions of points in the window, seen by the camera if there is one.
PLACES = """(() => {
    const {xaxis, yaxis, scene} = view._fullLayout;
    if (!scene) return POINTS.map(
        ([x, y]) => [xaxis._offset + xaxis.l2p(x), yaxis._offset + yaxis.l2p(y)]);
    const {glplot, container, dataScale} = scene._scene;
    const box = container.getBoundingClientRect();
    const {model, view: eye, projection} = glplot.cameraParams;
    const times = (vector, matrix) => [0, 1, 2, 3].map(
        (row) => vector.reduce((sum, value, k) => sum + value * matrix[4 * k + row], 0));
    return POINTS.map((point) => {
        const scaled = [...point.map((value, axis) => value * dataScale[axis]), 1];
        const [x, y, , w] = [model, eye, projection].reduce(times, scaled);
        return [box.left + box.width * (1 + x / w) / 2, box.top + box.height * (1 - y / w) / 2];
    });
})()"""
LEGEND = """(() => {
    const entries = [...view.querySelectorAll(".legend .traces")];
    const entry = entries.find((each) => each.textContent.startsWith(NAME));
    const box = entry.querySelector(".legendtoggle").getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
})()"""
HOVER = """[...view.querySelectorAll(".hovertext tspan.line")].map((each) => each.textContent)"""
STAND = """(({xaxis, yaxis, scene}) => scene
    ? Object.values(scene._scene.getCamera().eye)
    : [...xaxis.range, ...yaxis.range])(view._fullLayout)"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def visit(browser, tmp_path):
    opened = []

    def visit(data, **arguments):
        path = tmp_path / "page.html"
        graphs.plot_html(data, path, **arguments)
        page = Page(browser, path)
        opened.append(page)
        page.wait("document.querySelector('#view .legend .traces') !== null")
        return page

    yield visit
    for page in opened:
        page.close()


def layers(axes):
    """Three layers with names that look like markup."""
    data = graphs.layered([4, 4, 3])
    data.node_sign = torch.ones(11)
    data.node_sign[4:8] = -1
    data.names = [f"<b>{number}</b> &amp; co" for number in range(11)]
    if axes == 3:
        depth = torch.tensor([0.0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0])
        data.pos = torch.column_stack((data.pos, depth))
    return data


def errors(page):
    logged = [told["entry"] for told in page.told("Log.entryAdded")]
    thrown = page.told("Runtime.exceptionThrown")
    return thrown + [entry for entry in logged if entry["level"] == "error"]


def places(page, points):
    """Pixels [N, 2] of points of the data, x first."""
    return np.array(page.find(PLACES.replace("POINTS", json.dumps(points.tolist()))))


def at(picture, places):
    """Colors [N, 3] of a picture."""
    column, row = places.astype(int).T
    return picture[row, column]


@pytest.mark.parametrize("axes", [2, 3])
def test_a_visit(visit, axes):
    data = layers(axes)
    page = visit(data)
    # Every neuron has the color of its population.
    kinds = colors.populations(data)
    color = np.array([to_rgb(each) for each in colors.of_neurons(kinds, 11)])
    seen = places(page, data.pos)
    assert abs(at(page.picture(), seen) - color).max() < 0.2

    page.mouse("mouseMoved", seen[3])
    page.wait("document.querySelector('.hovertext') !== null")
    assert page.find(HOVER) == ["<b>3</b> &amp; co", "layer 0", "0 in, 4 out"]

    # Click on a population in the legend, then on the synapses of one sign.
    for name in ("layer 1", "inhibitory"):
        place = page.find(LEGEND.replace("NAME", json.dumps(name)))
        page.press(place)
        page.release(place)
        page.wait(f"view._fullData.find(({{name}}) => name.startsWith('{name}')).visible !== true")
    hidden = abs(at(page.picture(), seen) - color).max(axis=1) > 0.2
    assert hidden.tolist() == [kind == 1 for kind in data.node_type]
    visible = [trace["visible"] for trace in page.find(TRACES)]
    assert visible == [True, True, "legendonly", "legendonly", True, "legendonly", True]

    before = page.find(STAND)
    middle = np.array([250, 225])
    if axes == 3:
        page.press(middle)
        page.mouse("mouseMoved", middle + 40, button="left", buttons=1)
        page.release(middle + 40)
    else:
        page.mouse("mouseWheel", middle, deltaX=0, deltaY=-100)
    page.wait(f"JSON.stringify({STAND}) !== '{json.dumps(before, separators=(',', ':'))}'")
    moved = places(page, data.pos)
    assert abs(moved - seen).max() > 5
    kept = data.node_type.numpy() != 1
    assert abs(at(page.picture(), moved[kept]) - color[kept]).max() < 0.2

    requests = page.told("Network.requestWillBeSent")
    assert [each["type"] for each in requests] == ["Document"]
    assert errors(page) == []
    # Requests that the page forbids would be recorded.
    assert page.find("fetch('https://localhost/').catch(() => 'refused')") == "refused"
    assert "Content Security Policy" in errors(page)[0]["text"]


@pytest.mark.parametrize("shape", [(118, 118), (17, 17, 17)])
def test_a_hundred_thousand_synapses(visit, shape):
    data = graphs.grid_local(shape, 1)
    page = visit(data, max_nodes=2000)
    lines, _, dots = page.find(TRACES)
    assert (lines["points"], lines["mode"]) == (200_000, "lines")
    assert (dots["points"], dots["mode"]) == (2000, "markers")
    title = page.find("view.querySelector('.gtitle').textContent")
    assert title.endswith(f" {data.num_edges:,} synapses (100,000 drawn) (2,000 neurons drawn)")
    assert (page.picture().min(axis=2) < 0.9).mean() > 0.1
    assert errors(page) == []
