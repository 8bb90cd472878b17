"""Refuses another package named ``graphs``, which would take the place of this project's."""

from __future__ import annotations

import importlib
from types import ModuleType


def check() -> None:
    """Import ``graphs`` and check that it is the package that is installed with sparsebrain.

    The package index has an older project of the same import name, and a script named graphs.py in
    the working folder also comes first.

    Raises:
        ImportError: It is another package, or it is missing.
    """
    found: ModuleType | None = None
    failure: ImportError | None = None
    try:
        found = importlib.import_module("graphs")
    except ImportError as error:
        failure = error
    if found is not None and "c_elegans" in getattr(found, "__all__", ()):
        return
    if isinstance(failure, ModuleNotFoundError) and failure.name == "graphs":
        raise ImportError(
            "the package graphs, which is installed with sparsebrain, is missing; "
            f"{_REINSTALL.format('')}"
        ) from failure
    # `sparsebrain --help` need not wait for this import.
    metadata = importlib.import_module("importlib.metadata")
    others = [
        name
        for name in metadata.packages_distributions().get("graphs", ())
        if name.lower() != "sparsebrain"
    ]
    place = getattr(found, "__file__", None) or "a file that cannot be imported"
    if others:
        names = " and ".join(sorted(set(others)))
        raise ImportError(
            f"the package graphs of {names} ({place}) has replaced that of sparsebrain; "
            f"{_REINSTALL.format(f'pip uninstall {names} and ')}"
        ) from failure
    raise ImportError(
        f"`import graphs` finds {place}, which is not the package that is installed with "
        "sparsebrain; rename that file or folder, or start Python elsewhere"
    ) from failure


_REINSTALL = "call {}pip install --force-reinstall --no-deps sparsebrain"
