"""Figure 2: neurons at random positions, connected to nearby ones."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch_geometric.data import Data

import graphs

COLUMNS = ("source", "target", "source_x", "source_y", "target_x", "target_y")


def generate(seed: int = 0) -> Data:
    """Generate the paper's case: 2000 neurons in a 20 x 10 box, with a maximum distance of 0.8."""
    return graphs.coordinate_random(2000, (20, 10), 0.8, directed=False, seed=seed)


def draw(data: Data) -> Figure:
    """Draw the graph at the positions of its neurons."""
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    ax = graphs.plot(data, ax=figure.subplots(), node_size=5)
    pairs = int((data.edge_index[0] < data.edge_index[1]).sum())
    ax.set_title(f"{data.num_nodes} neurons, {pairs} connected pairs, d = 0.8", fontsize="medium")
    return figure


def table(data: Data) -> list[tuple[float, ...]]:
    """List :data:`COLUMNS`: every synapse with the positions of both ends."""
    pos = data.pos.tolist()
    return [(s, t, *pos[s], *pos[t]) for s, t in data.edge_index.T.tolist()]
