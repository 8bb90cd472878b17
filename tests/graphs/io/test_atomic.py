import fcntl
import os
import subprocess
import sys

import pytest

import graphs
from graphs.io.atomic import write_atomically, write_together
from graphs.io.formats import SAVED as FORMATS


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    write_atomically(path, lambda aside: aside.write_text("old"))

    def breaks(aside):
        aside.write_text("ne")
        assert path.read_text() == "old"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, breaks)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
    write_atomically(path, lambda aside: aside.write_text("new"))
    assert path.read_text() == "new"


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "store").mkdir()
    target = tmp_path / "store" / "table.csv"
    for name, to in (("second", target), ("first", "second")):
        (tmp_path / name).symlink_to(to)
    for text in ("created", "replaced"):
        write_atomically(tmp_path / "first", lambda aside, text=text: aside.write_text(text))
        assert os.readlink(tmp_path / "first") == "second"
        assert (tmp_path / "second").is_symlink()
        assert not target.is_symlink()
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="the symbolic links lead in a circle; remove one"):
        write_atomically(tmp_path / "circle", lambda aside: aside.write_text("lost"))
    assert (tmp_path / "circle").is_symlink()


def test_bytes_reach_the_disk_before_names_and_the_first_name_comes_last(tmp_path, monkeypatch):
    events = []
    sync, move = os.fsync, os.replace

    def noted_sync(file):
        at = os.fstat(file)
        named = {os.stat(each).st_ino: each.name for each in (tmp_path, *tmp_path.iterdir())}
        events.append(("sync", named[at.st_ino]))
        sync(file)

    def noted_move(source, target, **options):
        events.append(("move", os.path.basename(target)))
        move(source, target, **options)

    def write(*asides):
        for aside in asides:
            aside.write_text("text")

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_move)
    monkeypatch.setattr(os, "rename", noted_move)
    write_together([tmp_path / "a", tmp_path / "b"], write)
    kinds, names = zip(*events, strict=True)
    assert kinds == ("sync", "sync", "move", "move", "sync")
    assert [name.rpartition("-")[2] for name in names[:4]] == ["a", "b", "b", "a"]
    assert names[4] == tmp_path.name


@pytest.mark.parametrize("leftover", ["file", "folder", "link", "in use"])
def test_a_killed_writer_leaves_one_file_that_is_used_again(tmp_path, leftover):
    """Anything else of that name is left alone, and so is the file of a writer that is alive."""
    path, part = tmp_path / "graph.npz", tmp_path / ".part-graph.npz"
    other = tmp_path / "other"
    other.write_text("precious")
    if leftover == "folder":
        part.mkdir()
    elif leftover == "link":
        part.symlink_to(other)
    else:
        part.write_text("half of a gra")
    if leftover == "in use":
        with part.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            write_atomically(path, lambda aside: aside.write_text("whole"))
        assert part.read_text() == "half of a gra"
    else:
        write_atomically(path, lambda aside: aside.write_text("whole"))
    assert path.read_text() == "whole"
    assert other.read_text() == "precious"
    kept = set() if leftover == "file" else {part}
    assert set(tmp_path.iterdir()) == {path, other} | kept


def test_writers_of_one_path_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "table.csv"

    def write(aside):
        aside.write_text("outer")
        write_atomically(path, lambda inner: inner.write_text("inner"))
        assert path.read_text() == "inner"
        assert aside.read_text() == "outer"

    write_atomically(path, write)
    assert path.read_text() == "outer"
    assert list(tmp_path.iterdir()) == [path]


FULL = """
import resource, sys, torch, graphs
from pathlib import Path
from graphs.io.atomic import write_atomically

folder = Path(sys.argv[1])
# The disk is full after 8 KiB of any file.
resource.setrlimit(resource.RLIMIT_FSIZE, (2**13, 2**13))

def save(aside):
    with aside.open("wb") as file:
        torch.save(torch.rand(10**4), file)

large, generator = graphs.erdos_renyi(300, 0.1, seed=0), torch.Generator().manual_seed(0)
large.edge_weight = torch.rand(large.num_edges, generator=generator)
for name in sys.argv[2:]:
    try:
        if name == "state.pt":
            write_atomically(folder / name, save)
        else:
            graphs.save(large, folder / name)
    except OSError as error:
        print(error)
"""


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path):
    names = ["state.pt", *(f"graph{suffix}" for suffix in FORMATS)]
    for name in names[1:]:
        graphs.save(graphs.grid_local((4, 5), 1), tmp_path / name)
    (tmp_path / "state.pt").write_text("old")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    command = [sys.executable, "-c", FULL, tmp_path, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "[Errno 27] File too large; free some space and try again; the previous file is "
        f"unchanged: '{tmp_path / name}'"
        for name in names
    ]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
