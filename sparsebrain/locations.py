"""Objects of other packages by location, ``package.module:name``, and by entry point.

This module imports neither torch nor PyG, so that commands can list and check names quickly.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from graphs import arguments

__all__ = ["OpenTable", "is_location", "load"]

TOPOLOGIES = "sparsebrain.topologies"
RULES = "sparsebrain.rules"
DATASETS = "sparsebrain.datasets"

_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_LOCATION = re.compile(rf"{_NAME}:{_NAME}")

Entry = TypeVar("Entry")


def is_location(text: object) -> bool:
    """Return whether a text has the form ``package.module:name``.

    Example:
        >>> is_location("package.module:function"), is_location("grid:distance=2")
        (True, False)
    """
    return isinstance(text, str) and _LOCATION.fullmatch(text) is not None


def add_working_directory() -> None:
    """Make the modules in the working directory importable, as ``python -m`` does."""
    here = os.getcwd()
    if not {"", here} & {*sys.path}:
        sys.path.insert(0, here)


def load(location: str) -> Any:
    """Import the object at a location.

    Args:
        location: A text of the form ``package.module:name``.

    Returns:
        The object.

    Raises:
        ValueError: The module cannot be imported, or has no such object.
    """
    module, _, name = location.partition(":")
    check_module(location)
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise ValueError(
            f"importing {module} failed ({_described(error)}); make it importable first"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), 1)
            such = f", such as {module}:{near[0]}" if near else ""
            raise ValueError(
                f"{module} has no {name!r}; pass the name of a function or class in it{such}"
            )
        found = getattr(found, part)
    return found


def check_module(location: str) -> None:
    """Refuse a location whose package or module does not exist, without importing anything.

    Raises:
        ValueError: There is no such package or module.
    """
    top = location.partition(":")[0].partition(".")[0]
    if top not in sys.modules and find_spec(top) is None:
        raise ValueError(
            f"there is no module {top!r}; pass the name of an installed module, or of one in the "
            "working directory"
        )


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def entries(group: str) -> dict[str, list[EntryPoint]]:
    """Return the entry points of installed packages by name, without importing them.

    Args:
        group: :data:`TOPOLOGIES`, :data:`RULES` or :data:`DATASETS`.
    """
    found: dict[str, list[EntryPoint]] = {}
    for each in entry_points(group=group):
        found.setdefault(each.name, []).append(each)
    return found


class OpenTable(MutableMapping[str, Entry], Generic[Entry]):
    """Entries by name, which other packages can extend.

    A name is looked up in the table itself, as a location, and among the entry points of the
    installed packages, in this order. Iteration lists the table and the entry points, and imports
    nothing.

    Args:
        group: The group of the entry points, or "" for none.
        table: The entries of the table itself.
    """

    def __init__(self, group: str, table: Mapping[str, Entry]) -> None:
        self._group = group
        self._table: dict[str, Entry] = dict(table)

    def adapt(self, name: str, found: Any) -> Entry:
        """Return the entry for an object of another package.

        Args:
            name: Its name or location.
            found: The object.

        Raises:
            TypeError: The object cannot be an entry.
        """
        entry: Entry = found
        return entry

    def __getitem__(self, name: str) -> Entry:
        """Return an entry.

        Raises:
            KeyError: The name is unknown.
            TypeError: The object of another package is none that fits.
            ValueError: The object of another package cannot be imported.
        """
        if name in self._table:
            return self._table[name]
        if is_location(name):
            return self.adapt(name, load(name))
        points = self._points().get(name, [])
        if not points:
            raise KeyError(name)
        return self.adapt(name, self._load(name, points))

    def _points(self) -> dict[str, list[EntryPoint]]:
        return entries(self._group) if self._group else {}

    def _load(self, name: str, points: list[EntryPoint]) -> Any:
        if len(points) > 1:
            packages = ", ".join(_package(each) for each in points)
            raise ValueError(
                f"{name!r} is the name of entry points of several packages ({packages}); pass "
                f"the location of one of them, such as {points[0].value!r}"
            )
        try:
            return points[0].load()
        except Exception as error:
            raise ValueError(
                f"{name!r} of the package {_package(points[0])} cannot be imported "
                f"({_described(error)}); make {points[0].value!r} importable, or uninstall the "
                "package"
            ) from error

    def __setitem__(self, name: str, entry: Entry) -> None:
        self._table[name] = entry

    def __delitem__(self, name: str) -> None:
        del self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._table, *self._points()]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._table or name in self._points()

    def known(self) -> dict[str, Entry]:
        """Return the entries of the table itself, without those of other packages."""
        return {name: self[name] for name in self._table}

    def choose(self, argument: str, text: Any) -> str:
        """Return a text if it is the name or the location of an entry, which is then imported.

        Args:
            argument: The caller's name of the argument.
            text: What the caller passed.

        Raises:
            TypeError: It is not a text, or the object at the location does not fit.
            ValueError: The name is unknown, or the object cannot be imported.
        """
        if not isinstance(text, str) or (not is_location(text) and text not in self):
            return str(arguments.option(argument, text, self))
        try:
            # Entries of the package itself are not imported yet.
            if text not in self._table:
                self[text]
        except (TypeError, ValueError) as error:
            raise type(error)(f"{argument}: {error}") from error
        return text


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
