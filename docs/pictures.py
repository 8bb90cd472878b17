"""Pictures of the reference: what the examples of docstrings draw, or the connectomes they make."""

from __future__ import annotations

import contextlib
import doctest
import functools
import hashlib
import importlib
import inspect
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import reference
import torch
from matplotlib import pyplot as plt
from torch_geometric.data import Data

import graphs

FOLDER = f"{reference.FOLDER}/pictures"
# The sections of ``graphs`` whose examples are drawn.
DRAWN = ("Generators", "Pictures", "Real connectomes")
STYLE = {"figure.figsize": (5.4, 4.0), "figure.dpi": 110, "font.size": 9}


def drawn() -> Iterator[reference.Entry]:
    """Yield the public functions whose examples have a picture."""
    for entry in reference.entries():
        shown = entry.section in DRAWN or entry.module == "sparsebrain.diagnostics"
        if shown and not inspect.isclass(entry.value):
            yield entry


@contextlib.contextmanager
def _kept_open() -> Iterator[None]:
    """Keep the figures that an example closes."""
    close: Callable[..., None] = plt.close
    plt.close = lambda *figures: None
    try:
        yield
    finally:
        plt.close = close


@contextlib.contextmanager
def _recorded(entry: reference.Entry, results: list[Any]) -> Iterator[None]:
    """Record what a public function returns while an example runs."""
    owner = importlib.import_module(entry.module)

    @functools.wraps(entry.value)
    def call(*arguments: Any, **options: Any) -> Any:
        results.append(entry.value(*arguments, **options))
        return results[-1]

    setattr(owner, entry.name, call)
    try:
        yield
    finally:
        setattr(owner, entry.name, entry.value)


def run(entry: reference.Entry) -> list[Any]:
    """Run the example of a public function, and return all that the function returned."""
    results: list[Any] = []
    namespace: dict[str, Any] = {"__name__": "__main__"}
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(entry.value) or "")
    with _recorded(entry, results), _kept_open(), contextlib.redirect_stdout(io.StringIO()):
        for example in examples:
            if example.options.get(doctest.SKIP):
                continue
            # Some examples show an error.
            errors = (Exception,) if example.exc_msg else ()
            with contextlib.suppress(*errors):
                exec(compile(example.source, "<example>", "exec"), namespace)
    return results


def draw(entry: reference.Entry) -> bool:
    """Draw the example of a public function into the current figure; False if it shows nothing."""
    torch.manual_seed(0)
    results = run(entry)
    if plt.get_fignums():
        return True
    for result in results:
        if hasattr(result, "plot"):
            result.plot()
            return True
        if isinstance(result, Data) and result.num_edges:
            flat = "pos" in result and result.pos.size(1) < 3
            (graphs.plot if flat else graphs.plot_circular)(result)
            return True
    return False


def write(root: Path) -> dict[str, str]:
    """Draw all pictures whose docstrings have changed, and remove those that are not used.

    Args:
        root: The root of the site's sources.

    Returns:
        The pictures by public path, each a path from the root.
    """
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    with mpl.rc_context(STYLE):
        for entry in drawn():
            docstring = inspect.getdoc(entry.value) or ""
            digest = hashlib.sha256(docstring.encode()).hexdigest()[:8]
            path = folder / f"{entry.path}-{digest}.png"
            if not path.exists():
                if draw(entry):
                    plt.gcf().savefig(path, bbox_inches="tight")
                plt.close("all")
            if path.exists():
                found[entry.path] = f"{FOLDER}/{path.name}"
    for old in folder.glob("*.png"):
        if f"{FOLDER}/{old.name}" not in found.values():
            old.unlink()
    return found
