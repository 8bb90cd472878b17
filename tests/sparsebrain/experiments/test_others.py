"""Topologies, rules and data of other packages, by location, entry point or file."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

import graphs
from sparsebrain import cli, locations
from sparsebrain.experiments import compare, help_texts
from sparsebrain.experiments.datasets import DATASETS, load
from sparsebrain.experiments.kinds import KINDS
from sparsebrain.experiments.topology import break_options, build, parse
from sparsebrain.learning import RULES

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
FAST = {"epochs": 1, "seeds": 2, "loops": 1}
MODULE = """
import graphs
from sklearn.datasets import load_iris
from sparsebrain.learning import Backprop

class MyRule(Backprop):
    pass

def wire(num_nodes, rewire=0.2, *, seed):
    return graphs.small_world(num_nodes, 4, rewire, seed=seed)

def iris():
    return load_iris(return_X_y=True)

wrong = 3
"""
POINTS = """
[sparsebrain.topologies]
ring = {name}:wire
broken = nowhere_at_all:wire

[sparsebrain.rules]
mine = {name}:MyRule
no-rule = {name}:wire

[sparsebrain.datasets]
flowers = {name}:iris
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """An installed package with entry points; returns the name of its module."""
    name = f"others_{os.urandom(4).hex()}"
    site = tmp_path / "site"
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(MODULE)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS.format(name=name))
    monkeypatch.syspath_prepend(site)
    return name


def test_locations_in_a_comparison(tmp_path, module):
    options = {"data": f"{module}:iris", "jobs": 1, "out": tmp_path / "out", **FAST}
    specs = [f"{module}:wire,num_nodes=12", f"{module}:wire,num_nodes=12,rewire=0"]
    rows = compare(topologies=specs, rules=[f"{module}:MyRule", "backprop"], **options)
    assert [(row.rule, row.label) for row in rows] == [
        (rule, spec) for rule in (f"{module}:MyRule", "backprop") for spec in specs
    ]
    assert [row.outcomes[0].synapses for row in rows] == [48] * 4
    assert break_options("m.o:wire,a=1,b=2", "\n") == "m.o:wire,\na=1,\nb=2"
    # Without num_nodes=, it is that of the sheet.
    assert build(parse(f"{module}:wire"), (3, 4), num_edges=0, seed=0).num_nodes == 12


def test_entry_points_are_listed_and_used(tmp_path, module):
    assert {"ring", "broken"} <= {*KINDS}
    assert {"mine", "no-rule"} <= {*RULES}
    assert "flowers" in DATASETS
    assert "mine" in help_texts.rules()
    assert "broken" in help_texts.kinds()
    assert "flowers" in help_texts.datasets()
    (row,) = compare(
        data="flowers",
        topologies=["ring:num_nodes=12"],
        rules=["mine"],
        jobs=1,
        out=tmp_path / "out",
        **FAST,
    )
    assert (row.rule, row.label, row.runs[0].data) == ("mine", "ring:num_nodes=12", "flowers")
    assert load("flowers").train_x.shape == (120, 4)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"topologies": ["broken"]},
            "'broken' of the package {name} cannot be imported .ModuleNotFoundError: .*; make",
        ),
        ({"rules": ["no-rule"]}, "the rule 'no-rule' must be a subclass of .*pass the class"),
        ({"rules": ["{name}:MyRul"]}, "{name} has no 'MyRul'; pass .* such as {name}:MyRule"),
        ({"rules": ["{name}:wire"]}, "must be a subclass of .*Rule, got <function wire"),
        ({"rules": ["nowhere_at_all:MyRule"]}, "there is no module 'nowhere_at_all'; pass"),
        ({"topologies": ["{name}:wrong"]}, "'{name}:wrong' must be a function .*write"),
        ({"topologies": ["{name}:wire,rewir=1"]}, "cannot read .*; did you mean rewire=?"),
        ({"topologies": ["nowhere:wire"]}, "unknown kind 'nowhere'; choose one of"),
        ({"topologies": ["no.where:wire"]}, "there is no module 'no'; pass"),
        ({"data": "{name}:nothing"}, "data: {name} has no 'nothing'; pass"),
        ({"data": "{name}:wrong"}, "data must be a name or a pair, got 3 of type int; pass"),
    ],
)
def test_what_cannot_be_used_is_told_when_it_is_used(tmp_path, module, given, told):
    def fill(each):
        return [*map(fill, each)] if isinstance(each, list) else each.format(name=module)

    given = {key: fill(each) for key, each in given.items()}
    with pytest.raises((ValueError, TypeError), match=told.format(name=module)):
        compare(**{"topologies": ["none"], **given}, jobs=1, out=tmp_path / "out", **FAST)


def test_two_packages_with_one_name(tmp_path, module):
    info = tmp_path / "site" / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS.format(name=module))
    with pytest.raises(ValueError, match=f"several packages .*pass the location .*'{module}:wire'"):
        KINDS["ring"]


def test_a_module_that_fails_is_told(tmp_path, monkeypatch):
    (tmp_path / "failing_module.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="importing failing_module failed .ZeroDivisionError: div"):
        locations.load("failing_module:wire")


def write_table(path, delimiter=","):
    lines = [delimiter.join(["a", "b", "c", "d", "species"])]
    lines += [
        delimiter.join([*map(repr, map(float, x)), name]) for x, name in zip(X, NAMES, strict=True)
    ]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def test_files_hold_the_same_samples(tmp_path):
    np.savez(tmp_path / "one.npz", x=X, y=NAMES)
    np.savez_compressed(tmp_path / "two.npz", data=X, target=Y)
    given = [str(tmp_path / "one.npz"), str(tmp_path / "two.npz")]
    given += [write_table(tmp_path / name) for name in ("a.csv", "b.csv.gz", "C.CSV")]
    given += [write_table(tmp_path / "d.tsv", "\t"), f"{tmp_path / 'a.csv'},label=species"]
    made = [load(each) for each in given]
    assert [each.name for each in made] == given
    assert len({each.checksum for each in made}) == 1
    assert made[0].test_y.bincount().tolist() == [10, 10, 10]
    np.savez(
        tmp_path / "parts.npz", x_train=X[:100], y_train=Y[:100], x_test=X[100:], y_test=Y[100:]
    )
    assert len(load(str(tmp_path / "parts.npz")).test_x) == 50


def test_labels_that_are_numbers_are_in_their_order(tmp_path):
    (tmp_path / "a.csv").write_text("y,x\n" + "10,1\n9,2\n" * 5)
    images = load(f"{tmp_path / 'a.csv'},label=y")
    assert images.train_x[images.train_y == 0].unique().tolist() == [2.0]


@pytest.mark.parametrize(
    ("text", "suffix", "told"),
    [
        ("a,b\n1,x\n2\n", "", "must have 2 values in each row"),
        (
            "a,b\nz,x\n",
            "",
            "the column 'a' has 'z' in row 1; write finite numbers, or pass ,label=a",
        ),
        ("a,b\n1,x\nnan,y\n", "", "the column 'a' has 'nan' in row 2"),
        ("a,b\n1,x\n1,\n", "", "row 2 has no label; write one"),
        ("a\n1\n", "", "it has 1 columns; write a header"),
        ("", "", "it has 0 columns; write a header"),
        ("a,b\n1,x\n", ",label=c", "it has 0 columns 'c'; pass label= with one of a, b"),
        ("a,b\n1,x\n", "", "at least two samples of each class.*pass"),
        ("a,b\n", "", r"x must be \[n, ...\].*pass"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, suffix, told):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=f"data: .*a.csv cannot be used: .*{told}"):
        load(f"{tmp_path / 'a.csv'}{suffix}")


def test_hostile_archives(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([object()]), y=Y)
    with pytest.raises(ValueError, match="holds Python objects, which could execute anything"):
        load(str(path))
    np.savez(path, z=X)
    with pytest.raises(ValueError, match="it has the arrays z; write it with numpy.savez"):
        load(str(path))
    path.write_bytes(b"PK")
    with pytest.raises(ValueError, match="damaged or not an .npz file"):
        load(str(path))
    (tmp_path / "b.csv.gz").write_bytes(b"a,b\n1,x\n")
    with pytest.raises(ValueError, match="not packed by gzip"):
        load(str(tmp_path / "b.csv.gz"))
    with pytest.raises(ValueError, match="cannot be read: No such file or directory; pass another"):
        load(str(tmp_path / "c.csv"))


def test_own_things_from_the_command_line(tmp_path):
    """In a folder of the user's own, with a script that is not installed, in two processes."""
    (tmp_path / "mine.py").write_text(MODULE)
    write_table(tmp_path / "iris.csv")
    program = "import sys; sys.path.remove(''); import sparsebrain.cli as c; c.main()"
    options = ["--data=iris.csv", "--topology=mine:wire,num_nodes=12", "--rule=mine:MyRule"]
    options += ["--epochs=1", "--seeds=2", "--loops=1", "--jobs=2"]
    done = subprocess.run(
        [sys.executable, "-c", program, "compare", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "results" / "results.csv").read_text().count("\n") == 3
    assert "mine:MyRule" in done.stdout


def test_generate_takes_a_location(tmp_path, module, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(["generate", f"{module}:wire,num_nodes=12", "--out", "a.npz", "--seed", "3"])
    assert not stop.value.code
    assert "12 neurons, 48 synapses" in capsys.readouterr().out
    data = graphs.small_world(12, 4, 0.2, seed=3)
    assert torch.equal(graphs.load("a.npz").edge_index, data.edge_index)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--rule=backprob", "--rule='backprop'"),
        ("--data=digitz", "--data='digits'"),
        ("--topology=smal-world", "did you mean 'small-world'?"),
        ("--topology=grid:distanse=1", "did you mean distance=?"),
        ("--topology=no.module:wire", "there is no module 'no'"),
        ("--data=nix.csv", "the file 'nix.csv' does not exist; pass --data="),
    ],
)
def test_a_typo_is_found_before_torch_is_imported(option, told):
    program = (
        "import sys, sparsebrain.cli\n"
        f"try: sparsebrain.cli.main(['compare', '--topology=grid', {option!r}])\n"
        "except SystemExit as stop: assert stop.code == 2\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told in done.stderr


def test_the_working_directory_is_searched_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/somewhere"])
    locations.add_working_directory()
    locations.add_working_directory()
    assert sys.path == [str(Path.cwd()), "/somewhere"]
