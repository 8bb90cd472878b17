"""The site: every public name has a page, equations are drawn, and notebooks have cards.

Building it is a step of ``.ci/run``, in which each warning of Sphinx is an error.
"""

import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

from sparsebrain.cli.app import app

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        yield importlib.import_module("reference")
    finally:
        sys.path.remove(str(ROOT / "docs"))


@pytest.fixture(scope="module")
def gallery(reference):
    return importlib.import_module("gallery")


def test_every_public_name_has_a_page(reference):
    pages = reference.pages()
    public = reference.aliases()
    named = {entry.path: pages[entry.page] for entry in reference.entries()}
    modules = reference.public_modules()
    assert {"graphs", "sparsebrain", "sparsebrain.learning", "sparsebrain.sklearn"} <= {*modules}
    for module in modules:
        owner = importlib.import_module(module)
        for name in owner.__all__:
            value = getattr(owner, name)
            if name == "__version__":
                continue
            if isinstance(value, ModuleType):
                assert value.__name__ in pages
                continue
            path = public.get(f"{module}.{name}", f"{module}.{name}")
            assert f":: {path}\n" in named[path]
            assert f"{path.rpartition('.')[2]}" in pages[module]


def test_pages_differ_in_more_than_case(reference):
    pages = reference.pages()
    assert len({name.lower() for name in pages}) == len(pages)


def test_every_page_says_what_its_name_is(reference):
    for entry in reference.entries():
        assert entry.summary, entry.path


def test_functions_are_sorted_into_sections(reference):
    for entry in reference.entries():
        if entry.module == "graphs":
            assert entry.section, entry.path


def test_pages_of_names_that_no_longer_exist_are_removed(reference, tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "pages", lambda pictures: {"graphs/small_world": "new"})
    old = tmp_path / reference.FOLDER / "graphs" / "big_world.rst"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    reference.write(tmp_path)
    assert [path.name for path in old.parent.iterdir()] == ["small_world.rst"]


def test_a_picture_is_shown(reference):
    entry = next(entry for entry in reference.entries() if entry.path == "graphs.plot")
    assert ".. figure:: /plot.png" in reference.page_of(entry, "/plot.png")
    assert "figure" not in reference.page_of(entry)


def test_every_example_of_a_picture_is_a_function(reference):
    for entry in reference.entries():
        if entry.section == "Pictures":
            assert inspect.isfunction(entry.value)


def test_every_command_and_option_is_on_the_page_of_commands(reference):
    page = importlib.import_module("commands").page()
    for name, command in typer.main.get_command(app).commands.items():
        assert f"\nsparsebrain {name}\n" in page
        for parameter in command.params:
            assert f"``{parameter.opts[0]}``" in page


def test_every_notebook_has_a_card_with_a_picture(gallery):
    notebooks = [gallery.read(path) for path in sorted((ROOT / "examples").glob("*.ipynb"))]
    assert notebooks
    page = gallery.page(notebooks)
    for notebook in notebooks:
        assert notebook.title
        assert notebook.text.endswith((".", "?"))
        assert notebook.picture, notebook.path
        assert f":link: /examples/{notebook.path.stem}\n" in page
    assert {*gallery.PICTURES} <= {notebook.path.stem for notebook in notebooks}
