"""The pages of the reference: one for every public name, as reStructuredText.

The names are those of ``__all__``, so that no list of them has to be kept. Sphinx reads the
docstrings.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import graphs
import sparsebrain

FOLDER = "docs/reference"
PICTURES = "docs/reference/pictures"

# Where a name stands on the page of its package: the folder of its module, in this order.
SECTIONS = {
    "graphs.generators": "Generators",
    "graphs.brains": "Real connectomes",
    "graphs.downloads": "Real connectomes",
    "graphs.io": "Files, arrays and dataframes",
    "graphs.contract": "The contract",
    "graphs.weights": "The contract",
    "graphs.measures": "Measures",
    "graphs.transforms": "Changing and combining",
    "graphs.plots": "Pictures",
}

# Tables and tuples have no docstring of their own.
TABLES = {
    "sparsebrain.kernels.BACKENDS": (
        "Kernel backends by name. :func:`sparsebrain.kernels.available` returns why one is "
        "unavailable."
    ),
    "sparsebrain.kernels.DTYPES": "The dtypes that every kernel takes.",
    "sparsebrain.learning.RULES": (
        "The rules that learn from labels, by name, as in ``sparsebrain compare --rule``. Entry "
        'points "sparsebrain.rules" of installed packages are listed as well, and '
        '``RULES["package.module:Class"]`` imports a rule.'
    ),
    "sparsebrain.models.ACTIVATIONS": (
        "The activations of :func:`sparsebrain.models.classifier` by name, as modules of torch."
    ),
    "sparsebrain.models.EJIMA_MODELS": (
        "The graph layer of each model of A. Ejima's article by name; None for the MLP, which has "
        "none."
    ),
    "sparsebrain.models.EJIMA_VARIANTS": (
        "Readings of what the article leaves open, by name, for "
        ":func:`sparsebrain.models.ejima_model`."
    ),
    "sparsebrain.plasticity.PLASTICITY": "The rules that learn without labels, by name.",
    "sparsebrain.reward.TASKS": (
        "The tasks with rewards, by name, as in ``sparsebrain reward --task``."
    ),
    "sparsebrain.spiking.SURROGATES": (
        "Surrogate derivatives of a spike by name, for the argument ``surrogate`` of "
        ":class:`sparsebrain.spiking.LIF`."
    ),
}

# What public functions take or return, without being imported by users: by package, the module
# within it and the name.
RELATED = {
    "sparsebrain.experiments": (
        ("report", "Rows"),
        ("report", "Row"),
        ("training", "Run"),
        ("training", "Epoch"),
        ("training", "Outcome"),
        ("significance", "Difference"),
        ("topology", "parse"),
        ("neuron_options", "parse_neurons"),
        ("loop_options", "parse_loops"),
        ("datasets", "load"),
        ("samples", "Images"),
        ("samples", "images_of"),
        ("wiring_study.study", "Comparison"),
        ("reward_study.training", "Score"),
    ),
    "sparsebrain.learning": (("six_problems", "Answers"),),
    "sparsebrain.nn": (("recurrence", "Recurrence"), ("recurrence", "run")),
    "sparsebrain.plasticity": (("rewiring", "Rewired"),),
}

# Modules without ``__all__`` whose docstring users are sent to.
DESCRIBED = ("graphs.contract",)


def _first_paragraph(value: object) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())


@dataclass(frozen=True)
class Entry:
    """A public name.

    Attributes:
        package: The module whose ``__all__`` has it, such as ``"graphs"``.
        name: The name within the module.
        value: What it stands for.
        within: The module of the package that has it, if ``__all__`` has not.
    """

    package: str
    name: str
    value: Any
    within: str = ""

    @property
    def module(self) -> str:
        """The module from which it is imported."""
        return f"{self.package}.{self.within}" if self.within else self.package

    @property
    def path(self) -> str:
        """The name by which users import it."""
        return f"{self.module}.{self.name}"

    @property
    def page(self) -> str:
        """The page from the folder of the reference; names may differ in case alone."""
        suffix = "-class" if inspect.isclass(self.value) else ""
        return f"{self.package}/{self.name}{suffix}"

    @property
    def kind(self) -> str:
        """The directive that describes it."""
        if not callable(self.value) or isinstance(self.value, Mapping):
            return "py:data"
        if not inspect.isclass(self.value):
            return "autofunction"
        return "autoexception" if issubclass(self.value, Exception) else "autoclass"

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring on one line."""
        if self.kind == "py:data":
            return TABLES[self.path]
        return _first_paragraph(self.value)

    @property
    def section(self) -> str:
        """The section of the page of its package."""
        if self.within:
            return "Arguments and results"
        defined = getattr(self.value, "__module__", "")
        for folder, title in SECTIONS.items():
            if defined == folder or defined.startswith(folder + "."):
                results = inspect.isclass(self.value) and folder != "graphs.generators"
                return "Results and warnings" if results else title
        return ""


def public_modules() -> list[str]:
    """Return the packages and modules with an ``__all__``, each package before its parts."""
    names = []
    for package in (graphs, sparsebrain):
        names.append(package.__name__)
        if package is sparsebrain:
            for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
                # The command line has the help of its commands.
                if not found.name.rpartition(".")[2].startswith("_") and found.name != (
                    "sparsebrain.cli"
                ):
                    module = importlib.import_module(found.name)
                    if hasattr(module, "__all__"):
                        names += [found.name, *_inside(module)]
    return names


def _inside(package: ModuleType) -> list[str]:
    """Return the modules that a package makes public."""
    values = [getattr(package, name) for name in package.__all__]
    return [
        value.__name__
        for value in values
        if isinstance(value, ModuleType) and value.__name__.startswith(f"{package.__name__}.")
    ]


def entries() -> list[Entry]:
    """Return every public name once, under the shortest of its paths."""
    seen: dict[int, Entry] = {}
    found = []
    for module in public_modules():
        owner = importlib.import_module(module)
        for name in owner.__all__:
            value = getattr(owner, name)
            if isinstance(value, (ModuleType, str)):
                continue
            if id(value) in seen and seen[id(value)].name == name:
                continue
            entry = Entry(module, name, value)
            seen[id(value)] = entry
            found.append(entry)
        for within, name in RELATED.get(module, ()):
            value = getattr(importlib.import_module(f"{module}.{within}"), name)
            found.append(Entry(module, name, value, within))
    order = {"py:data": 0, "autofunction": 1, "autoclass": 2, "autoexception": 3}
    return sorted(found, key=lambda entry: order[entry.kind])


def aliases() -> dict[str, str]:
    """Return the public path of every object by the path at which it is defined."""
    paths = {}
    for entry in entries():
        defined = getattr(entry.value, "__module__", None)
        if entry.kind != "py:data" and defined:
            paths[f"{defined}.{entry.value.__qualname__}"] = entry.path
    for module in public_modules():
        owner = importlib.import_module(module)
        for name in owner.__all__:
            value = getattr(owner, name)
            path = paths.get(f"{getattr(value, '__module__', '')}.{name}")
            if path and path != f"{module}.{name}":
                paths[f"{module}.{name}"] = path
    return paths


def _heading(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]


def _told(value: Any, public: Mapping[str, str]) -> str:
    """Return what an entry of a public table is: a link, a short text, or nothing."""
    if inspect.isclass(value):
        path = public.get(f"{value.__module__}.{value.__qualname__}")
        if path is None:
            return f"``{value.__module__}.{value.__qualname__}``"
        return f":class:`{path}`: {_first_paragraph(value)}"
    return f"``{value}``" if value is None or isinstance(value, tuple) else ""


def _table(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a public table as a list of its entries."""
    public = aliases()
    for key in values:
        told = _told(values[key], public)
        yield f"- ``{key!r}``" + (f": {told}" if told else "")


def page_of(entry: Entry, picture: str | None = None) -> str:
    """Return the page of a public name.

    Args:
        entry: The name.
        picture: The picture of its example, a path from the folder of the page.
    """
    lines = _heading(entry.path, "=")
    lines += [f".. {entry.kind}:: {entry.path}"]
    if entry.kind == "autoclass":
        lines += ["   :members:", "   :show-inheritance:"]
        # Methods that scikit-learn makes, with texts that refer to its own pages.
        made = [name for name in vars(entry.value) if name.startswith("set_") and "request" in name]
        lines += [f"   :exclude-members: {', '.join(made)}"] if made else []
    lines += [""]
    if entry.kind == "py:data":
        lines += [f"   {TABLES[entry.path]}", ""]
        named = isinstance(entry.value, Mapping)
        listed = _table(entry.value) if named else (f"- ``{each}``" for each in entry.value)
        lines += [*(f"   {line}" for line in listed), ""]
    if picture:
        lines += [f".. figure:: {picture}", f"   :alt: Drawn by the example of {entry.path}", ""]
        lines += ["   What the example draws." if _draws(entry) else "   The example, drawn.", ""]
    return "\n".join(lines)


def _draws(entry: Entry) -> bool:
    return entry.section == "Pictures" or entry.module != "graphs"


def page_of_module(module: str) -> str:
    """Return the page of a package: what it is for, and a line for every name."""
    owner = importlib.import_module(module)
    lines = [*_heading(module, "="), f".. automodule:: {module}", "", ""]
    found = [entry for entry in entries() if entry.package == module]
    sections: dict[str, list[Entry]] = {title: [] for title in SECTIONS.values()}
    for entry in found:
        sections.setdefault(entry.section, []).append(entry)
    for title, listed in sections.items():
        if not listed:
            continue
        if title:
            lines += _heading(title, "-")
        lines += [".. list-table::", "   :widths: 30 70", ""]
        for entry in listed:
            role = {"autofunction": "func", "py:data": "data"}.get(entry.kind, "class")
            lines += [f"   * - :{role}:`{entry.name} <{entry.path}>`", f"     - {entry.summary}"]
        lines += [""]
    elsewhere = _elsewhere(owner, {entry.name for entry in found})
    if elsewhere:
        lines += ["Also here: " + ", ".join(elsewhere) + ".", ""]
    lines += [".. toctree::", "   :hidden:", ""]
    lines += [f"   {entry.name} </{FOLDER}/{entry.page}>" for entry in found]
    return "\n".join([*lines, ""])


def _elsewhere(owner: ModuleType, here: set[str]) -> list[str]:
    """Return the names of a module whose pages belong to another one."""
    public = aliases()
    links = []
    for name in owner.__all__:
        value = getattr(owner, name)
        if isinstance(value, ModuleType):
            links.append(f":doc:`{value.__name__} </{FOLDER}/{value.__name__}>`")
        elif name not in here and not isinstance(value, str):
            path = public[f"{value.__module__}.{value.__qualname__}"]
            links.append(f":class:`{path}`")
    return links


def index() -> str:
    """Return the first page of the reference."""
    lines = _heading("Reference", "=")
    lines += ["Every public function and class, with its equation, source and an example.", ""]
    lines += [".. list-table::", "   :widths: 30 70", ""]
    for module in (*public_modules(), *DESCRIBED):
        first = _first_paragraph(importlib.import_module(module))
        lines += [f"   * - :doc:`{module} </{FOLDER}/{module}>`", f"     - {first}"]
    lines += ["   * - :doc:`commands`", "     - The commands of ``sparsebrain`` and their options."]
    lines += ["", ".. toctree::", "   :hidden:", ""]
    lines += [f"   {module}" for module in (*public_modules(), *DESCRIBED, "commands")]
    return "\n".join([*lines, ""])


def pages(pictures: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return all pages of the reference.

    Args:
        pictures: Pictures of examples by public path, each a path from the root of the site.

    Returns:
        The text of every page by its path within the folder of the reference, without a suffix.
    """
    drawn = pictures or {}
    written = {"index": index()}
    written |= {module: page_of_module(module) for module in public_modules()}
    for module in DESCRIBED:
        lines = [*_heading(module, "="), f".. automodule:: {module}", ""]
        written[module] = "\n".join(lines)
    for entry in entries():
        picture = drawn.get(entry.path)
        written[entry.page] = page_of(entry, f"/{picture}" if picture else None)
    return written


def write(root: Path, pictures: Mapping[str, str] | None = None) -> None:
    """Write all pages below a folder, and remove those of names that no longer exist.

    Args:
        root: The root of the site's sources.
        pictures: As in :func:`pages`.
    """
    folder = root / FOLDER
    texts = {folder / f"{name}.rst": text for name, text in pages(pictures).items()}
    for old in folder.glob("*/*.rst"):
        if old not in texts:
            old.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        # An unchanged page is not read again.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
