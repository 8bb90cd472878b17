"""The page of the measures of a connectome."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from torch_geometric.data import Data

import graphs
from sparsebrain.experiments.pages import page


def write_measures(
    path: Path,
    data: Data,
    found: graphs.Summary,
    file: Path,
    options: Mapping[str, object],
    *,
    full: bool,
    weight: str | None,
    seed: int,
) -> None:
    """Write the page of a connectome: its measures, its degrees and its synapses.

    Args:
        path: The page.
        data: The connectome.
        found: Its measures.
        file: The file of the connectome.
        options: Arguments of ``graphs.load`` besides the file.
        full: Argument of ``graphs.summary``, like the next two.
        weight: The field of weights, or None.
        seed: Random seed of the measures.

    Raises:
        OSError: The file cannot be written.
    """
    given = ", ".join([repr(str(file)), *(f"{name}={_text(options[name])}" for name in options)])
    program = f"import graphs\n\ndata = graphs.load({given})\n"
    weighted = "" if weight is None else f", weight={weight!r}"
    parts = [
        page.heading("Measures"),
        page.table((), found.rows(), texts=2),
        page.heading("Figures"),
        *(page.picture(figure, caption) for caption, figure in _figures(data).items()),
        page.heading("How to repeat it"),
        page.code(f"{program}print(graphs.summary(data, full={full}{weighted}, seed={seed}))"),
        page.heading("Versions"),
        page.environment(),
    ]
    page.write_page(path, f"Measures of {file.name}", parts)


def _text(value: object) -> str:
    return repr(str(value) if isinstance(value, Path) else value)


def _figures(data: Data) -> dict[str, Figure]:
    """Return the figures by their captions; none of a connectome without neurons."""
    if not data.num_nodes:
        return {}
    degrees = Figure(figsize=(7, 4), layout="constrained")
    graphs.plot_degrees(data, ax=degrees.subplots())
    matrix = Figure(figsize=(6, 6), layout="constrained")
    graphs.plot_adjacency(data, ax=matrix.subplots())
    drawn = {"Distribution of degrees.": degrees, "Adjacency matrix.": matrix}
    if "pos" in data:
        solid = data.pos.size(1) == 3
        places = Figure(figsize=(7, 6), layout="constrained")
        ax = places.add_subplot(projection="3d" if solid else None)
        graphs.plot(data, ax=ax)
        drawn["Neurons at their positions."] = places
    return drawn
