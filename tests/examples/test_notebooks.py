"""The notebooks run from top to bottom, and hold what they computed.

A cell whose text differs between machines, such as a trained accuracy, has the tag "measured".
Saves notebooks anew after they were changed: ``python tests/examples/test_notebooks.py FILE...``
"""

import re
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def read(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def execute(notebook, folder):
    """In a fresh kernel; an error of a cell is raised with the cell."""
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()
    for cell in code_cells(notebook):
        complaints = [out.text for out in cell.outputs if out.get("name") == "stderr"]
        assert not complaints, f"cell {cell.id!r} writes to stderr:\n{''.join(complaints)}"
    return notebook


def save(path):
    notebook = read(path)
    tags = {cell.id: cell.metadata.get("tags") for cell in notebook.cells}
    with tempfile.TemporaryDirectory() as folder:
        execute(notebook, folder)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {"tags": tags[cell.id]} if tags[cell.id] else {}
    nbformat.write(notebook, path)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell):
    """What a cell prints and draws, in order: streams, and MIME types of results."""
    return [sorted(out.data) if "data" in out else out.name for out in cell.outputs]


def texts(cell):
    """What a reader sees of it as text; the plain text that stands behind a table is not seen."""
    return [
        out.data.get("text/html", out.data.get("text/plain")) if "data" in out else out.text
        for out in cell.outputs
    ]


@pytest.fixture
def own_folders(tmp_path, monkeypatch):
    """Neither settings of the user nor of this process change a notebook, and none are written."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    for name in ("work", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return tmp_path / "work"


def test_there_is_a_notebook():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_holds_what_it_computed(path, own_folders):
    saved = read(path)
    executed = execute(read(path), own_folders)
    for was, now in zip(code_cells(saved), code_cells(executed), strict=True):
        assert kinds(was) == kinds(now), f"outputs of cell {was.id!r} are not saved; save anew"
        if "measured" not in was.metadata.get("tags", []):
            assert texts(was) == texts(now), f"text of cell {was.id!r}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_tells_nothing_of_the_machine(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 1_500_000
    saved = read(path)
    assert set(saved.metadata) == {"kernelspec", "language_info"}
    assert saved.metadata.kernelspec.name == "python3"
    numbers = [cell.execution_count for cell in code_cells(saved)]
    assert numbers == list(range(1, len(numbers) + 1)), "not executed once, from top to bottom"
    for cell in saved.cells:
        assert set(cell.metadata) <= {"tags"}
        # Ids that are drawn at random are eight hexadecimal digits.
        assert not re.fullmatch("[0-9a-f]{8}", cell.id), f"give cell {cell.id!r} a name"
        if cell.cell_type == "code":
            shown = "\n".join(str(text) for text in texts(cell))
            assert not re.search(r"/(home|root|tmp|work|Users|var)/|\\Users\\", shown), cell.id
        longest = max(map(len, cell.source.splitlines()), default=0)
        assert longest <= 100, f"cell {cell.id!r} has a line of {longest} characters"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        save(Path(name))
