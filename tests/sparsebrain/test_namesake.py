import subprocess
import sys
from pathlib import Path

import pytest

import sparsebrain

MADE = "Metadata-Version: 2.1\nName: graphs\nVersion: 0.1.3\n"


def start(folder):
    """The last line that `import sparsebrain` prints where ``folder`` comes first on the path."""
    root = Path(sparsebrain.__file__).parents[1]
    code = f"import sys; sys.path[:0] = {[str(folder), str(root)]!r}; import sparsebrain"
    # Without site-packages, where an editable install finds its own packages before any folder.
    command = [sys.executable, "-S", "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    return ended.stderr.strip().rpartition("\n")[2]


def test_the_package_of_this_project_is_found(tmp_path):
    assert start(tmp_path) == ""


def test_a_file_of_ones_own_is_named(tmp_path):
    (tmp_path / "graphs.py").write_text("mine = 1\n")
    told = start(tmp_path)
    assert told.startswith(f"ImportError: `import graphs` finds {tmp_path / 'graphs.py'}, which")
    assert "rename that file or folder" in told


@pytest.mark.parametrize("content", ["__all__ = ['Graph']\n", "import there_is_no_such_module\n"])
def test_another_distribution_is_named_with_the_remedy(tmp_path, content):
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "__init__.py").write_text(content)
    made = tmp_path / "graphs-0.1.3.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(MADE)
    (made / "top_level.txt").write_text("graphs\n")
    (made / "RECORD").write_text("graphs/__init__.py,,\n")
    told = start(tmp_path)
    assert told.startswith("ImportError: the package graphs of graphs (")
    assert "call pip uninstall graphs and pip install --force-reinstall --no-deps" in told
