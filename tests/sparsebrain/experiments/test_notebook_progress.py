"""The progress bar of notebooks."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sparsebrain.experiments import notebook_progress
from sparsebrain.experiments.notebook_progress import NotebookProgress, is_notebook


class ZMQInteractiveShell:
    """The name of a notebook's shell, whose cell someone executes, or a program."""

    def __init__(self, by_hand=True):
        request = {"content": {"allow_stdin": by_hand}}
        self.kernel = SimpleNamespace(get_parent=lambda channel: request)


@pytest.fixture
def shown(monkeypatch):
    """What a notebook shows below its cell, one text per change."""
    texts = []

    def show(item):
        texts.append(item._repr_html_())

    def display(item, display_id):
        show(item)
        return SimpleNamespace(update=show)

    module = SimpleNamespace(get_ipython=ZMQInteractiveShell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    seconds = iter(range(0, 100, 10))
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr(notebook_progress, "time", clock)
    return texts


def test_a_notebook_shows_a_bar_until_the_end(shown):
    assert is_notebook()
    with NotebookProgress(4) as progress:
        progress.update(1)
    assert shown == [
        '<progress value="0" max="4"></progress> 0 of 4 trainings',
        '<progress value="1" max="4"></progress> 1 of 4 trainings, about 60 s left',
        "",
    ]


@pytest.mark.parametrize("options", [{"total": 0}, {"total": 3, "disable": True}])
def test_nothing_is_shown_if_there_is_nothing_to_do_or_a_console(shown, options):
    with NotebookProgress(**options) as progress:
        progress.update(1)
    assert shown == []


def test_a_program_that_executes_a_notebook_sees_no_bar():
    """With a real kernel."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    place = Path(notebook_progress.__file__)
    source = f"exec(open({str(place)!r}).read()); shell = get_ipython(); print(is_notebook())"
    source += "; print(shell.kernel.get_parent('shell')['content']['allow_stdin'])"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    (cell,) = nbclient.NotebookClient(notebook, kernel_name="python3").execute().cells
    assert [out.text for out in cell.outputs] == ["False\nFalse\n"]


def test_other_programs_are_no_notebooks(monkeypatch):
    module = SimpleNamespace(get_ipython=lambda: ZMQInteractiveShell(by_hand=False))
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert not is_notebook()
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not is_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not is_notebook()
