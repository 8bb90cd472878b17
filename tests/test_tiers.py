"""The quick tests are those that tiers.py tells."""

import ast
import inspect
from pathlib import Path

import pytest

import graphs
import sparsebrain.learning
import sparsebrain.models
from sparsebrain import diagnostics
from tests.tiers import LISTED, lists, sample

TESTS = Path(__file__).parent
FUNCTIONS = {
    (path, node.name): node
    for path in TESTS.rglob("test_*.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}


@pytest.mark.parametrize("entry", LISTED)
def test_each_line_names_a_test(entry):
    """If a test was renamed or removed, so must its line in slow.txt be."""
    assert any(lists(entry, *each) for each in FUNCTIONS), f"tests/slow.txt: {entry} names no test"


def test_lines_are_read_by_the_end_of_the_path():
    path = Path("/home/tests/graphs/io/test_files.py")
    assert lists("test_files.py::test_round", path, "test_round")
    assert lists("io/test_files.py::*", path, "test_round")
    assert lists("graphs/*::test_round", path, "test_round")
    assert not lists("files.py::test_round", path, "test_round")
    assert not lists("test_files.py::test_round", path, "test_rounds")
    assert not lists("kernels/*::*", path, "test_round")


def test_each_value_of_each_argument_stays():
    one, other = ["a", "b", "c"], [[1], [2]]
    cases = [{"one": each, "other": value} for each in one for value in other]
    # All new: (a, 1) and (b, 2); then what is left, c.
    assert sample(cases) == {0, 3, 4}
    assert sample([{"one": each} for each in one]) == {0, 1, 2}
    assert sample([]) == set()


@pytest.mark.parametrize(
    "package",
    [graphs, sparsebrain.learning, sparsebrain.models, diagnostics],
    ids=lambda each: each.__name__,
)
def test_quick_tests_call_every_public_function(package):
    """Or its own example does, which is a test, too."""
    quick = {
        path for path, name in FUNCTIONS if not any(lists(each, path, name) for each in LISTED)
    }
    said = {
        word
        for path in quick
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for word in (
            getattr(node, "attr", None),
            getattr(node, "id", None),
            getattr(node, "value", None),
        )
        if isinstance(word, str)
    }
    untouched = {
        name
        for name in package.__all__
        if inspect.isfunction(getattr(package, name))
        and name not in said
        and ">>>" not in (getattr(package, name).__doc__ or "")
    }
    assert not untouched
