import csv
import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as everything


@pytest.fixture
def started(monkeypatch):
    """The commands, none of which runs; all but ``fly`` succeed."""
    commands = []

    def run(command, *, check):
        assert not check
        commands.append(command)
        return SimpleNamespace(returncode=int("fly" in command))

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_all_run_and_a_failure_stops_none(started, tmp_path, capsys):
    folder = tmp_path / "deep" / "folder"
    assert everything.main(["--out", str(folder)]) == 1
    assert folder.is_dir()
    assert started == [
        [sys.executable, "-m", f"benchmarks.{module}", *options, "--csv", str(folder / file)]
        for (module, *options), file in zip(
            everything.COMMANDS.values(),
            (f"{name}.csv" for name in everything.COMMANDS),
            strict=True,
        )
    ]
    told = capsys.readouterr()
    assert told.err == "error: these failed: fly\n"
    assert "== python -m benchmarks.layer sizes\n" in told.out


def test_single_ones_can_be_chosen(started, tmp_path, capsys):
    assert everything.main(["--out", str(tmp_path), "--only", "kernels", "--only", "sizes"]) == 0
    assert [Path(command[-1]).name for command in started] == ["kernels.csv", "sizes.csv"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", everything.COMMANDS)
def test_every_command_takes_its_options(name, capsys):
    module, *options = everything.COMMANDS[name]
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.{module}").main([*options, "--help"])
    assert ended.value.code == 0
    assert "--csv" in capsys.readouterr().out


def test_a_process_fills_the_file(monkeypatch, tmp_path):
    options = ["--side", "4", "--batch", "2", "--loops", "2", "--rounds", "1", "--threads", "1"]
    monkeypatch.setattr(everything, "COMMANDS", {"tiny": ["layer", "batches", *options]})
    monkeypatch.chdir(Path(everything.__file__).parents[1])
    assert everything.main(["--out", str(tmp_path)]) == 0
    with (tmp_path / "tiny.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {(line["batch"], line["threads"]) for line in lines} == {("2", "1")}


@pytest.mark.parametrize(
    "options", [[], ["--only", "nothing"], ["--ou", "folder"], ["extra"]], ids=" ".join
)
def test_bad_options_are_refused(started, tmp_path, options, capsys):
    given = options if options in ([], ["--ou", "folder"]) else ["--out", str(tmp_path), *options]
    with pytest.raises(SystemExit) as ended:
        everything.main(given)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
    assert not started


def test_a_file_in_the_place_of_the_folder_is_told(started, tmp_path, capsys):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(SystemExit) as ended:
        everything.main(["--out", str(path)])
    assert ended.value.code == 2
    assert "--out must be a folder, or free for one" in capsys.readouterr().err
    assert not started
