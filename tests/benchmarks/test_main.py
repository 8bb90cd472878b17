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


def write(path, *rows):
    lines = ["graph,batch,peer,median_ms,torch,processor", *rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_two_files_are_compared(started, tmp_path, capsys):
    old = write(
        tmp_path / "old.csv", "grid,1,ours,2.0,2.13,a", "grid,1,PyG,8,2.13,a", "grid,2,PyG,8,2.13,a"
    )
    new = write(
        tmp_path / "new.csv", "grid,1,ours,1.0,2.14,a", "grid,1,PyG,8,2.14,a", "grid,4,PyG,8,2.14,a"
    )
    assert everything.main(["--compare", str(old), str(new)]) == 0
    told = capsys.readouterr().out
    ours = next(line for line in told.splitlines() if "ours" in line)
    assert "batch 1, ours" in ours
    assert "0.50*" in ours
    assert "geometric mean of 2 costs: 0.707" in told
    assert "only in the old run: batch 2, PyG" in told
    assert "only in the new run: batch 4, PyG" in told
    assert "warning: torch differs: 2.13 and 2.14" in told
    assert "processor" not in told
    assert not started


def test_a_process_fills_the_file_and_another_repeats_it(monkeypatch, tmp_path, capsys):
    options = ["--side", "4", "--batch", "2", "--loops", "2", "--rounds", "1", "--threads", "1"]
    monkeypatch.setattr(everything, "COMMANDS", {"tiny": ["layer", "batches", *options]})
    monkeypatch.chdir(Path(everything.__file__).parents[1])
    assert everything.main(["--out", str(tmp_path)]) == 0
    with (tmp_path / "tiny.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {(line["batch"], line["threads"]) for line in lines} == {("2", "1")}
    assert everything.main(["--compare", str(tmp_path / "tiny.csv")]) == 0
    told = capsys.readouterr().out
    assert "sparsebrain, forward" in told
    assert "geometric mean of" in told
    assert "warning" not in told
    with pytest.raises(SystemExit):
        everything.main(["--compare", str(tmp_path / "tiny.csv"), "--out", str(tmp_path)])
    assert "pass another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        ("a,b\n1,2\n", "holds no results of a benchmark"),
        ("", "holds no results of a benchmark"),
        ("graph,median_ms\nring,1\n", "have no figure in common"),
        (
            "graph,batch,peer,median_ms\ngrid,1,ours,nan\n",
            "a figure must be a number >= 0, got 'nan'",
        ),
        ("graph,batch,peer,median_ms\ngrid,1,ours,2.\x00e\n", "a figure must be a number >= 0"),
    ],
)
def test_files_that_cannot_be_compared_are_told(tmp_path, content, message, capsys):
    old, new = tmp_path / "old.csv", write(tmp_path / "new.csv", "grid,1,ours,2.0,2.13,a")
    if content is not None:
        old.write_text(content)
    with pytest.raises(SystemExit) as ended:
        everything.main(["--compare", str(old), str(new)])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_file_of_another_name_needs_its_successor(started, tmp_path, capsys):
    old = write(tmp_path / "mine.csv", "grid,1,ours,2.0,2.13,a")
    with pytest.raises(SystemExit):
        everything.main(["--compare", str(old)])
    assert "pass the newer file, too" in capsys.readouterr().err
    assert not started
