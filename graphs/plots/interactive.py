"""Interactive plot of a connectome as an HTML page."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index
from graphs.io.atomic import write_atomically
from graphs.plots import colors, lines
from graphs.plots.positions import arcs, coordinates, slim, span_of, title

_SUFFIXES = (".html", ".htm")
_LONGEST_NAME = 60
_MOST_POPULATIONS = 100
_ARC_POINTS = 13

# The page loads nothing and runs only the two scripts with these digests, whatever a name contains.
# Plotly needs 'unsafe-eval' because it compiles functions for WebGL.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
script-src 'unsafe-eval' {digests}; style-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title>
<style>html, body, #view {{ height: 100%; margin: 0 }}</style>
</head>
<body>
<div id="view"></div>
<script>{library}</script>
<script>{program}</script>
</body>
</html>
"""


def plot_html(
    data: Data,
    path: str | os.PathLike[str],
    *,
    max_edges: int = 100_000,
    max_nodes: int = 50_000,
    seed: int | np.random.Generator | None = 0,
) -> None:
    """Write an HTML page that shows a connectome by ``pos``, to rotate, zoom and hover over.

    The page is a single file that loads nothing else. Neurons are colored by ``node_type`` and
    synapses by ``edge_sign``, or by the ``node_sign`` of their source. A click in the legend hides
    or shows a population or sign, and a double click shows it alone. Hovering over a neuron shows
    its name, population and degrees, and the number of other neurons at the same place.

    Args:
        data: A connectome with ``pos`` [N, D], D = 1, 2 or 3.
        path: A file ending in ``.html`` or ``.htm``. An existing file is replaced, and stays intact
            if writing fails.
        max_edges: Largest number of synapses to draw. If there are more, a random sample is drawn,
            and the page states its size.
        max_nodes: Largest number of neurons to draw, likewise.
        seed: Source of randomness of the samples.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract or has no ``pos``, the suffix is unknown, or an
            argument is out of range.
        ModuleNotFoundError: If Plotly is not installed.
        OSError: If the file cannot be written.

    Note:
        Self-loops are not drawn. The page needs WebGL. Names are shortened to 60 characters, so the
        file has at most about 5 MB (the size of Plotly) plus 48 bytes per synapse drawn (150 on one
        axis, where it is an arc) and some hundreds of bytes per neuron drawn. O(N log N + E) time
        and O(N + E) memory.

    Example:
        >>> import pathlib, tempfile
        >>> import graphs
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name, "worm.html")
        >>> graphs.plot_html(graphs.c_elegans(), path)
        >>> "ADAL" in path.read_text(encoding="utf-8")
        True
        >>> folder.cleanup()
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"path must be a str or os.PathLike, got {path!r} of type {type(path).__name__}; "
            "pass path='connectome.html'"
        )
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(
            f"path must end in {' or '.join(_SUFFIXES)}, got {str(path)!r}; "
            "pass path='connectome.html'"
        )
    pos = coordinates(data)
    most = arguments.count("max_nodes", max_nodes)
    rng = arguments.generator(seed)
    edges = lines.sample(data.num_edges, arguments.count("max_edges", max_edges), rng)
    neurons = lines.sample(data.num_nodes, most, rng)
    told = title(data, len(edges))
    if len(neurons) < data.num_nodes:
        told += f" ({len(neurons):,} neurons drawn)"
    traces = [*_synapses(data, pos, edges), *_neurons(data, pos, neurons)]
    page = _page(traces, _layout(pos, told), told)
    write_atomically(path, lambda aside: aside.write_bytes(page.encode()))


def _synapses(data: Data, pos: NDArray[np.float32], shown: Index) -> list[dict[str, Any]]:
    """Return the traces of the synapses by sign, or of all synapses without signs."""
    groups = {name: (color, shown[own[shown]]) for name, color, own in colors.by_sign(data)}
    groups = groups or {"synapses": (colors.SYNAPSE, shown)}
    deep = pos.shape[1] == 3
    opacity = float(np.clip((60 if deep else 30) / np.sqrt(1 + len(shown)), 0.1, 0.4))
    traces = []
    for name, (color, which) in groups.items():
        line = {
            "type": "scatter3d" if deep else "scattergl",
            "mode": "lines",
            "line": {"color": color, "width": 1},
            "hoverinfo": "skip",
            "legendgroup": name,
        }
        paths = _paths(pos[data.edge_index.cpu().numpy()[:, which]])
        traces.append({**line, "opacity": opacity, "showlegend": False, **_by_axis(paths)})
        # An opaque trace without points for the legend, where faint lines would be invisible.
        nowhere = {axis: [None] for axis in ("xyz" if deep else "xy")}
        traces.append({**line, "name": f"{name} ({len(which):,})", **nowhere})
    return traces


def _paths(ends: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lines between ``ends`` [2, E, D] as one path [points, D] with a gap after each."""
    path = arcs(ends[..., 0], _ARC_POINTS) if ends.shape[2] == 1 else ends.transpose(1, 0, 2)
    gap = np.full((len(path), 1, path.shape[2]), np.nan)
    return np.concatenate((path, gap), axis=1, dtype=np.float32).reshape(-1, path.shape[2])


def _neurons(data: Data, pos: NDArray[np.float32], shown: Index) -> list[dict[str, Any]]:
    """Return the traces of the populations, or of all neurons if there are too many populations."""
    kinds = colors.populations(data)
    number, named = len(kinds), "node_type" in data
    text = np.array(_texts(data, kinds, pos), dtype=object)
    points = np.pad(pos, ((0, 0), (0, 1))) if pos.shape[1] == 1 else pos
    kept = np.zeros(data.num_nodes, bool)
    kept[shown] = True
    groups = [(_name(each.name), each.color, each.members[kept[each.members]]) for each in kinds]
    if not named or number > _MOST_POPULATIONS:
        color = colors.of_neurons(kinds, data.num_nodes)[shown].tolist()
        groups = [("neurons", colors.NEURON if not named else color, shown)]
    size = float(np.clip(120 / np.sqrt(1 + len(np.unique(pos, axis=0))), 2, 9))
    return [
        {
            "type": "scatter3d" if pos.shape[1] == 3 else "scattergl",
            "mode": "markers",
            "name": name,
            "marker": {"color": color, "size": size, "line": {"width": 0}, "opacity": 1},
            "hoverinfo": "text",
            "hovertext": text[members].tolist(),
            **_by_axis(points[members]),
        }
        for name, color, members in groups
    ]


def _texts(data: Data, kinds: list[colors.Population], pos: NDArray[np.float32]) -> list[str]:
    """Return the text that is shown for each neuron."""
    _, place, together = np.unique(pos, axis=0, return_inverse=True, return_counts=True)
    others = (together[place.reshape(-1)] - 1).tolist()
    source, target = data.edge_index.cpu().numpy()
    sent = np.bincount(source, minlength=data.num_nodes).tolist()
    received = np.bincount(target, minlength=data.num_nodes).tolist()
    population = [""] * data.num_nodes
    for each in kinds:
        if each.name:
            line = f"{_name(each.name)}<br>"
            for member in each.members.tolist():
                population[member] = line
    names = data.get("names") or [f"neuron {number}" for number in range(data.num_nodes)]
    return [
        f"<b>{_name(name)}</b><br>{kind}{inward:,} in, {outward:,} out"
        + (f"<br>{more:,} more at the same place" if more else "")
        for name, kind, inward, outward, more in zip(
            names, population, received, sent, others, strict=True
        )
    ]


def _name(name: str) -> str:
    """Shorten a name and escape it so that Plotly does not read it as markup."""
    return html.escape(name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…")


def _by_axis(points: NDArray[np.float32]) -> dict[str, Any]:
    """Return coordinates [points, D] in Plotly's binary encoding, by axis."""
    return {
        axis: {
            "dtype": "f4",
            "bdata": base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode(),
        }
        for axis, values in zip("xyz", points.T, strict=False)
    }


def _layout(pos: NDArray[np.float32], told: str) -> dict[str, Any]:
    plain = {"showgrid": False, "zeroline": False}
    layout = {
        "title": {"text": told, "font": {"size": 15}},
        "margin": {"l": 40, "r": 20, "t": 50, "b": 40},
        "hovermode": "closest",
        "dragmode": "pan",
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "legend": {"itemsizing": "constant", "tracegroupgap": 0},
        "showlegend": True,
    }
    if pos.shape[1] == 3:
        axis = {"backgroundcolor": "white", "gridcolor": "#e5e5e5", "zeroline": False}
        box = _box(pos)
        scene = {
            # The numbers along a short side would overlap.
            **{
                f"{name}axis": {**axis, "nticks": max(2, round(10 * side))}
                for name, side in zip("xyz", box, strict=True)
            },
            "aspectmode": "manual",
            "aspectratio": dict(zip("xyz", box, strict=True)),
            "camera": {"eye": dict(zip("xyz", _eye(box), strict=True))},
        }
        return {**layout, "dragmode": "orbit", "scene": scene}
    across = plain if slim(pos) else {**plain, "scaleanchor": "x"}
    return {**layout, "xaxis": plain, "yaxis": {**across, "visible": pos.shape[1] > 1}}


def _box(pos: NDArray[np.float32]) -> list[float]:
    """Return the sides of the box around the neurons, scaled to fit Plotly's camera."""
    span = span_of(pos)
    sides = np.maximum(span / (span.max() or 1.0), 0.05)
    # A cube has sides of 1. A long, thin box may be longer.
    longest = min(1.8, float(sides.prod()) ** (-1 / 6))
    return [longest * float(side) for side in sides]


def _eye(box: list[float]) -> list[float]:
    """Return the position of Plotly's camera from which the long sides of the box are visible."""
    toward = np.array(box) ** -0.5
    return [float(side) for side in toward * (1.25 * np.sqrt(3) / np.linalg.norm(toward))]


def _page(traces: list[dict[str, Any]], layout: dict[str, Any], told: str) -> str:
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415
    except ImportError as error:
        raise ModuleNotFoundError(
            'graphs.plot_html needs plotly, which is not installed; run pip install "plotly>=6"'
        ) from error
    # With "<" escaped, no name can close the script element.
    figure = json.dumps({"data": traces, "layout": layout}).replace("<", "\\u003c")
    config = json.dumps(
        {
            "responsive": True,
            "scrollZoom": True,
            "displaylogo": False,
            # Tips would cover the legend after the first click on it.
            "showTips": False,
            # The button would send the connectome to Plotly's server.
            "showSendToCloud": False,
            "plotlyServerURL": "",
        }
    )
    program = f'Plotly.newPlot("view", {{...{figure}, config: {config}}});'
    # Browsers normalize line ends before they compute digests.
    scripts = [get_plotlyjs().replace("\r\n", "\n"), program]
    digests = (
        base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts
    )
    return _PAGE.format(
        title=html.escape(told),
        digests=" ".join(f"'sha256-{digest}'" for digest in digests),
        library=scripts[0],
        program=scripts[1],
    )
