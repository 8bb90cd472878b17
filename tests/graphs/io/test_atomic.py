import os

import pytest

from graphs.io.atomic import write_atomically, write_together


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
