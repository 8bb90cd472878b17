"""Comparisons from a file of settings, and the file that each of them writes."""

import csv
import inspect
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from sklearn.datasets import load_iris

import graphs
from sparsebrain import cli
from sparsebrain.experiments import compare, read_config
from sparsebrain.experiments.config import write_config
from sparsebrain.learning import Backprop

FAST = {"topologies": ["none"], "epochs": 1, "seeds": 1, "jobs": 1}


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", *map(str, arguments)])
    return stop.value.code


def runs(folder):
    """What was trained, without what was measured."""
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: row[name] for name in row if name != "seconds_per_epoch"} for row in rows]


VALUES = some.one_of(
    some.text(some.characters(codec="utf-8")),
    some.integers(-(2**63), 2**63 - 1),
    some.floats(allow_nan=False, allow_infinity=False),
    some.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(some.dictionaries(some.from_regex("[a-z_]+", fullmatch=True), VALUES | some.lists(VALUES)))
def test_what_is_written_is_read(tmp_path_factory, written):
    folder = tmp_path_factory.mktemp("config")
    write_config(folder, {**written, "nothing": None}, [])
    assert tomllib.loads((folder / "run.toml").read_text(encoding="utf-8")) == written


def test_odd_paths(tmp_path):
    folder = tmp_path / 'a "b"\n#c = 1'
    folder.mkdir()
    write_config(folder, {"out": folder, "data_dir": Path("a\udcffb")}, ["topologies\nx = 1"])
    found = tomllib.loads((folder / "run.toml").read_text(encoding="utf-8"))
    assert found == {"out": str(folder), "data_dir": "a?b"}


def test_a_file_has_every_argument_that_a_file_can_hold(tmp_path):
    options = {**FAST, "learning_rate": 0.01, "data_dir": tmp_path, "out": tmp_path / "out"}
    compare(**options)
    signature = inspect.signature(compare).parameters
    expected = {name: signature[name].default for name in signature} | options
    expected |= {"data_dir": str(tmp_path), "out": str(tmp_path / "out")}
    expected |= {"rules": ["backprop"], "neurons": ["rate"], "null": []}
    del expected["console"], expected["callbacks"]
    assert read_config(tmp_path / "out" / "run.toml") == expected


def test_the_same_runs_from_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    topology = ["--topology", "grid:shape=4x4,distance=1", "--topology", "none"]
    numbers = ["--epochs", "1", "--seeds", "1", "--loops", "2", "--learning-rate", "0.01"]
    rules = ["--rule", "local-errors", "--jobs", "1", "--batch-size", "100"]
    assert run(*topology, *numbers, *rules, "--out", "a") == 0
    before = (tmp_path / "a" / "run.toml").read_bytes()
    # Into the same folder, where nothing is left to train.
    results = (tmp_path / "a" / "results.csv").read_bytes()
    assert run("--config", "a/run.toml") == 0
    assert (tmp_path / "a" / "run.toml").read_bytes() == before
    assert (tmp_path / "a" / "results.csv").read_bytes() == results
    # The command line takes precedence, also with the value of a default.
    assert run("--config", "a/run.toml", "--out", "b", "--seeds", "2", "--epochs", "1") == 0
    assert [each for each in runs(tmp_path / "b") if each["seed"] != "1"] == runs(tmp_path / "a")
    found = read_config("b/run.toml")
    assert (found["seeds"], found["out"], found["rules"]) == (2, "b", ["local-errors"])
    (tmp_path / "part.toml").write_text('topologies = ["none"]\nepochs = 20\nseeds = 1\njobs = 1')
    assert run("--config", "part.toml", "--epochs", "1", "--out", "c") == 0
    assert len(runs(tmp_path / "c")) == 1
    # The same from Python.
    again = compare(**{**found, "out": "d", "seeds": 1})
    assert [row.label for row in again] == ["grid:shape=4x4,distance=1", "none"]
    assert runs(tmp_path / "d") == runs(tmp_path / "a")


class Mine(Backprop):
    """A rule of one's own."""


def test_objects_are_named_and_a_command_refuses_them(tmp_path, capsys):
    options = {**FAST, "topologies": {"mine": graphs.grid_local((2, 2), 1), "b": "none"}}
    compare(**options, data=load_iris(return_X_y=True), rules=[Mine, Backprop], out=tmp_path)
    path = tmp_path / "run.toml"
    assert path.read_text().splitlines()[2].endswith("hold: data, topologies, rules")
    found = read_config(path)
    assert (found["data"], found["topologies"]) == ("data", ["mine", "none"])
    assert found["rules"] == ["Mine", "backprop"]
    assert run("--config", path) == 2
    assert "data must be one of 'digits'" in capsys.readouterr().err
    compare(**FAST, rules=[Backprop], out=tmp_path)
    assert "hold:" not in path.read_text()


BAD = {
    "epoch = 3": "--config has the unknown key 'epoch' in bad.toml; write epochs",
    "topology = ['none']": "--config has the unknown key 'topology' in bad.toml; write topologies",
    "config = 'a.toml'": "--config has the unknown key 'config' in bad.toml; write ",
    "zzz = 1": "--config has the unknown key 'zzz' in bad.toml; write ",
    "[compare]\nepochs = 3": "--config has the unknown key 'compare' in bad.toml; write ",
    "epochs = '3'": "epochs must be an integer >= 1, got '3' of type str; pass epochs=3 in bad",
    "topologies = 'grid'": "topologies must be a list, got 'grid' in bad.toml; write ['grid']",
    "topologies = [3]": "topologies must hold texts, ",
    "out = 3": "out must be text, got 3 in bad.toml; write '3'",
    "jobs = true": "jobs must be an integer >= 1, got True",
    "neurons = ['lof']": "neurons",
    "topologies = ['gird']": "'gird'",
    "rules = ['backprob']": "pass for example rules[0]='backprop' in bad.toml",
    "save_models = 1": "save_models must be ",
    "learning_rate = nan": "learning_rate must be ",
    "device = 'meta'": "device is 'meta'",
    "data_dir = 'nowhere'": "data_dir must be a folder",
    "epochs = ": "--config must be a TOML file with settings of a comparison, but bad.toml is not",
    "epochs = 1\nepochs = 2": "--config must be a TOML file",
    "\ufeff\x00": "--config must be a TOML file",
    f"a = {'[' * 100_000}": "--config must be a TOML file",
    f"epochs = {'9' * 5000}": "--config must be a TOML file",
    f"# {'x' * 2**20}": "--config must be a TOML file",
}


@pytest.mark.parametrize("text", BAD, ids=[text[:20] for text in BAD])
def test_bad_files(tmp_path, monkeypatch, capsys, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text(text, encoding="utf-8")
    assert run("--config", "bad.toml", "--out", "out") == 2
    told = capsys.readouterr().err
    assert BAD[text] in told
    assert told.count("\n") == 1
    assert "; " in told
    assert not (tmp_path / "out").exists()


def test_files_that_are_none(tmp_path):
    for wrong, error in ((3, TypeError), (tmp_path, ValueError), (tmp_path / "no", ValueError)):
        with pytest.raises(error, match=r"^path.*; pass "):
            read_config(wrong)
    (tmp_path / "latin.toml").write_bytes(b"data = '\xe9'")
    with pytest.raises(ValueError, match="path must be a TOML file .*; pass a file such as"):
        read_config(tmp_path / "latin.toml")
