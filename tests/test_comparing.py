"""The page on comparisons: its Python runs, and its commands and settings are those of the app."""

import re
import tomllib
from pathlib import Path

import pytest

from sparsebrain import cli
from sparsebrain.experiments import compare, read_config

PAGE = (Path(__file__).parents[1] / "docs" / "comparing.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_python_runs_and_the_files_are_those_of_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"topologies": ["none"], "epochs": 1, "seeds": 1, "jobs": 1}
    (row,) = compare(**options, save_models=True, report=True)
    table = re.findall(r"^\| (`.*?) \|", PAGE, flags=re.MULTILINE)
    named = [name.strip("`/") for each in table for name in each.split(", ")]
    written = [each.name for each in Path("results").iterdir() if each.name != ".lock"]
    assert sorted(named) == sorted(written)
    Path("results", "run.toml").rename("run.toml")
    namespace = {}
    for block in blocks("python"):
        exec(compile(block, "comparing.md", "exec"), namespace)
    assert namespace["rows"][0].accuracy() == row.accuracy()
    assert namespace["scores"].shape == (360, 10)
    assert namespace["accuracy"] == row.outcomes[0].test_accuracy
    for seed in range(2):
        assert 0.1 < float((tmp_path / f"best-{seed}.txt").read_text()) <= 1
    assert len(list((tmp_path / "logs").glob("*.csv"))) == 2


def test_the_settings_are_known(tmp_path):
    (settings,) = blocks("toml")
    (tmp_path / "run.toml").write_text(settings)
    assert read_config(tmp_path / "run.toml") == tomllib.loads(settings)


def test_the_options_exist(capsys):
    with pytest.raises(SystemExit):
        cli.main(["compare", "--help"])
    told = capsys.readouterr().out
    for option in set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", PAGE)) - {"--logdir"}:
        assert option in told, option
