"""The gallery of notebooks: a card for each, with its title, first sentences and a picture."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "docs/gallery"

# The picture of a card, by the id of the cell that draws it; otherwise the first one.
PICTURES = {
    "02_connectomes": "fly-draw",
    "03_loops": "inside-draw",
    "05_spikes": "digits-spikes",
    "06_plasticity": "spiking-digits",
    "07_energy": "ising",
    "11_prune_regrow_resume": "regrow-draw",
}


@dataclass(frozen=True)
class Notebook:
    """What a card shows.

    Attributes:
        path: The notebook.
        title: Its title.
        text: The first two sentences of its first paragraph.
        picture: The picture as a PNG file, or None.
    """

    path: Path
    title: str
    text: str
    picture: bytes | None


def _pictures(cells: list[dict[str, Any]]) -> dict[str, bytes]:
    """Return the last picture of each cell that draws, by the id of the cell."""
    found = {}
    for cell in cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                found[cell["id"]] = base64.b64decode("".join(output["data"]["image/png"]))
    return found


def read(path: Path) -> Notebook:
    """Read what a card shows of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    title, _, text = "".join(cells[0]["source"]).partition("\n")
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    sentences = re.findall(r".+?[.?](?= |$)", paragraph)
    drawn = _pictures(cells)
    picture = drawn.get(PICTURES.get(path.stem, ""), next(iter(drawn.values()), None))
    return Notebook(path, title.lstrip("# "), " ".join(sentences[:2]), picture)


def page(notebooks: list[Notebook]) -> str:
    """Return the page with all cards."""
    lines = ["# Notebooks", ""]
    lines += ["Each runs from top to bottom in less than two minutes on two cores.", ""]
    lines += ["::::{grid} 1 1 2 2", ":gutter: 3", ""]
    for notebook in notebooks:
        lines += [f":::{{grid-item-card}} {notebook.title}"]
        lines += [f":link: /examples/{notebook.path.stem}", ":link-type: doc"]
        if notebook.picture:
            lines += [f":img-top: /{FOLDER}/{notebook.path.stem}.png"]
        lines += [":class-img-top: card-picture", "", notebook.text, ":::", ""]
    lines += ["::::", "", "```{toctree}", ":hidden:", ""]
    lines += [f"/examples/{notebook.path.stem}" for notebook in notebooks]
    return "\n".join([*lines, "```", ""])


def write(root: Path) -> None:
    """Write the page and its pictures below the root of the site's sources."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    notebooks = [read(path) for path in sorted((root / "examples").glob("*.ipynb"))]
    (folder / "index.md").write_text(page(notebooks), encoding="utf-8")
    for notebook in notebooks:
        if notebook.picture:
            (folder / f"{notebook.path.stem}.png").write_bytes(notebook.picture)
