import pytest

from graphs.io.atomic import write_atomically


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
