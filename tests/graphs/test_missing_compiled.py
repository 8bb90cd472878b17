"""What happens where compiled code was not built, or cannot be imported."""

import subprocess
import sys

import pytest

from graphs import compiled

REMEDY = (
    "install with a C++17 compiler (GCC 9 or newer, or Clang), and call pip install -v . to see "
    "why a build fails"
)


@pytest.fixture
def part(tmp_path, monkeypatch):
    """A package whose compiled module ``_part`` was not built; a function writes its report."""
    folder = tmp_path / "made_up"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield (folder / "_part.txt").write_text
    sys.modules.pop("made_up", None)


def test_the_reason_is_that_of_the_build(part):
    part("compiler: GNU 8.5.0\nerror: cells.cpp:7:2: error: no <=> here\n")
    assert compiled.load("made_up._part", "the part") == (
        None,
        "the part cannot be loaded (No module named 'made_up._part'; the build failed with "
        f"compiler GNU 8.5.0: cells.cpp:7:2: error: no <=> here); {REMEDY}",
    )


def test_without_a_compiler_none_is_named(part):
    part("compiler: none\nerror: no C++ compiler was found\n")
    assert compiled.load("made_up._part", "the part") == (
        None,
        "the part cannot be loaded (No module named 'made_up._part'; the build failed: no C++ "
        f"compiler was found); {REMEDY}",
    )


@pytest.mark.parametrize("text", [None, "", "compiler: GNU 12.2.0\n", "no colon\n\n"])
def test_without_a_recorded_error_the_reason_is_that_of_the_import(part, text):
    if text is not None:
        part(text)
    reason = f"the part cannot be loaded (No module named 'made_up._part'); {REMEDY}"
    assert compiled.load("made_up._part", "the part") == (None, reason)


def test_a_report_names_the_compiler(part):
    part("compiler: Clang 14.0.6\n")
    assert compiled.build_report("made_up._part") == {"compiler": "Clang 14.0.6"}


def test_a_module_that_is_there_has_no_reason_to_be_missing():
    assert compiled.load("graphs.memory", "the memory") == (sys.modules["graphs.memory"], None)


def test_one_warning_at_the_first_use_and_none_at_import():
    program = (
        "import sys, warnings; sys.modules['graphs._compiled'] = None\n"
        "import graphs; graphs.small_world; print('begin', file=sys.stderr)\n"
        "for seed in range(3): graphs.summary(graphs.small_world(9, 2, 0.5, seed=seed))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    before, _, after = done.stderr.partition("begin")
    assert before == ""
    assert after.count("MissingCompiledWarning") == 1
    assert (
        "compiled code is missing, so graphs are generated, read and measured more slowly: the "
        "compiled helpers of graphs cannot be loaded (import of graphs._compiled halted; None in "
        f"sys.modules); {REMEDY}. The command sparsebrain doctor shows more. To silence this "
        "warning, call warnings.filterwarnings('ignore', 'compiled code is missing')"
    ) in after
