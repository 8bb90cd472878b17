"""README's Python is executed, block after block, in one namespace."""

import re
from pathlib import Path
from statistics import fmean

import graphs
from sparsebrain.experiments.topology import build, parse

README = Path(__file__).parents[1] / "README.md"


def test_the_python_of_the_readme_runs(capsys):
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    namespace = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)
    assert namespace["y"].shape == (32, 784)
    assert namespace["out"].shape == (2 * 784, 3)
    assert namespace["scores"].shape == (32, 3)
    assert "18,032" in capsys.readouterr().out


def test_the_table_shows_what_the_command_builds():
    """Accuracies and times are measured; all else follows from the code."""
    seeds = range(5)
    text = README.read_text(encoding="utf-8")
    for kind in ("grid", "coordinate", "small-world"):
        cells = next(line for line in text.splitlines() if line.startswith(f"| {kind} |")).split(
            "|"
        )
        _, _, neurons, synapses, length, clustering, parameters, *_ = (
            cell.strip() for cell in cells
        )
        built = [build(parse(kind), (16, 16), synapses=5476, seed=seed) for seed in seeds]
        measured = [graphs.summary(data) for data in built]
        assert int(neurons) == 256
        assert synapses == f"{fmean(data.num_edges for data in built):.0f}"
        assert length == f"{fmean(each.path_length for each in measured):.2f}"
        assert clustering == f"{fmean(each.clustering for each in measured):.3f}"
        assert int(parameters) == int(synapses) + 20234


def test_every_file_that_the_readme_shows_is_there():
    links = re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert (README.parent / link).is_file(), link
