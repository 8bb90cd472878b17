"""Reports of comparisons and of measures."""

import html
import math
from importlib import metadata

import pytest
import torch
from sklearn.datasets import load_iris
from torch_geometric.data import Data

import graphs
from sparsebrain import cli
from sparsebrain.experiments import compare
from sparsebrain.experiments.pages import page
from sparsebrain.experiments.verdict import compared, tell_rule_differences
from tests.sparsebrain.experiments.pages.reader import Reader

HOSTILE = '<script>alert("1")</script> & co\'s $x_{ <img src=x onerror=alert(1)>'
RULES = ["backprop", "local-errors", "dendritic-microcircuit"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A folder with the report of a comparison that has a hostile label, and the rows."""
    folder = tmp_path_factory.mktemp("report")
    rows = compare(
        data=load_iris(return_X_y=True),
        topologies={HOSTILE: graphs.grid_local((3, 4), 1), "none": "none"},
        rules=RULES,
        **{"epochs": 2, "seeds": 2, "loops": 2, "jobs": 1, "report": True, "out": folder},
    )
    return folder, rows


def test_a_comparison(report):
    folder, rows = report
    text = (folder / "report.html").read_text(encoding="utf-8")
    read = Reader(text)
    assert read.elements <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "pre", "br"),
        *("div", "table", "thead", "tbody", "tr", "th", "td", "figure", "img", "figcaption"),
        *("details", "summary", "svg", "line", "circle"),
    }
    assert "default-src 'none'" in html.unescape(text)
    assert read.pictures == [(folder / "compare.png").read_bytes()]
    assert HOSTILE in read.text
    shown = [row for row in read.rows if row[0] in RULES and len(row) == 6][: len(rows) + 1]
    assert [(row[0], row[1], row[3]) for row in shown] == [
        *((row.rule, row.label, row.accuracy()) for row in rows),
        ("dendritic-microcircuit", HOSTILE, "refused"),
    ]
    for line in tell_rule_differences(rows, num_test=30).splitlines():
        assert line in read.text
    for first, second, one in compared(rows, by_rule=True, num_test=30):
        (row,) = [each for each in read.rows if each[:2] == [first, second]]
        assert row[2:4] == [f"{one.mean:+.2f}", f"{one.low:+.2f} to {one.high:+.2f}"]
    seeds = [row for row in read.rows if row[0] in (HOSTILE, "none") and row[2] in "01"]
    assert [row[4] for row in seeds] == [
        f"{each.test_accuracy:.2%}" for row in rows for each in row.outcomes
    ]
    assert f"torch-geometric {metadata.version('torch-geometric')}".split() in read.rows
    assert "These arguments were Python objects: data, topologies." in read.text
    assert (folder / "run.toml").read_text().split("\n")[3] in read.text


def test_the_report_of_the_same_results_is_the_same(report):
    folder, rows = report
    before = (folder / "report.html").read_bytes()
    again = compare(
        data=load_iris(return_X_y=True),
        topologies={HOSTILE: graphs.grid_local((3, 4), 1), "none": "none"},
        rules=RULES,
        **{"epochs": 2, "seeds": 2, "loops": 2, "jobs": 1, "report": True, "out": folder},
    )
    assert [row.accuracy() for row in again] == [row.accuracy() for row in rows]
    assert (folder / "report.html").read_bytes() == before


def test_measures(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = graphs.coordinate_random(20, (4, 4), 2, seed=0)
    data.node_type_names = ["<b>one</b>", "two"]
    data.node_type = data.edge_index.new_tensor([0, 1] * 10)
    name = "<b>&.npz"
    graphs.save(data, name)
    with pytest.raises(SystemExit) as stop:
        cli.main(["measure", name, "--report", "page.html", "--seed", "3"])
    assert stop.value.code == 0
    read = Reader((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert f"Measures of {name}" in read.text
    found = graphs.summary(data, seed=3)
    assert [tuple(row) for row in read.rows[: len(found.rows())]] == found.rows()
    assert len(read.pictures) == 3
    assert f"graphs.load({name!r})" in read.text
    assert str(found) in capsys.readouterr().out
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_measures_of_a_connectome_without_neurons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graphs.save(Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=0), "a.npz")
    with pytest.raises(SystemExit) as stop:
        cli.main(["measure", "a.npz", "--report", "page.html"])
    assert stop.value.code == 0
    assert Reader((tmp_path / "page.html").read_text()).pictures == []


@pytest.mark.parametrize("bad", ["page.txt", "no/page.html", "folder.html"])
def test_pages_that_cannot_be_written(tmp_path, monkeypatch, capsys, bad):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    graphs.save(graphs.grid_local((2, 2), 1), "a.npz")
    with pytest.raises(SystemExit) as stop:
        cli.main(["measure", "a.npz", "--report", bad])
    assert stop.value.code == 2
    assert "--report must " in capsys.readouterr().err


def test_control_characters_and_line_breaks():
    assert page.escape("a\x00b\nc<&\"'") == "a\ufffdb<br>c&lt;&amp;&quot;&#x27;"


def test_intervals_that_are_not_finite_are_not_drawn():
    assert page.interval(0.0, -math.inf, math.inf, 1.0) == ""
    assert 'cx="118.0"' in page.interval(0.5, 0.0, 1.0, 1.0)
