"""Compiled helpers, which speed up some functions if they were built.

The results are identical bit for bit with and without them: NumPy draws all random numbers, and
compiled code only processes them.
"""

import functools
import importlib
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

REMEDY = (
    "install with a C++17 compiler (GCC 9 or newer, or Clang), and call pip install -v . to see "
    "why a build fails"
)


class MissingCompiledWarning(RuntimeWarning):
    """Some compiled code is missing, so slower code replaces it."""


def load(name: str, what: str) -> tuple[ModuleType | None, str | None]:
    """Import a compiled module, or return the reason why it is missing.

    Args:
        name: The full name of the module.
        what: What it contains, for the reason, such as "the compiled kernels".

    Returns:
        The module and None, or None and a sentence with the reason and the remedy.
    """
    try:
        return importlib.import_module(name), None
    except ImportError as error:
        report = build_report(name)
        failed, compiler = report.get("error"), report.get("compiler", "none")
        by = "" if compiler == "none" else f" with compiler {compiler}"
        told = "" if failed is None else f"; the build failed{by}: {failed}"
        return None, f"{what} cannot be loaded ({error}{told}); {REMEDY}"


def build_report(name: str) -> dict[str, str]:
    """Return what the build recorded about a compiled module; empty if there is no record.

    Args:
        name: The full name of the module.

    Returns:
        ``compiler``, and ``error`` if the build failed.
    """
    package, _, module_name = name.rpartition(".")
    # The import of the package may be what fails.
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        try:
            lines = Path(folder, f"{module_name}.txt").read_text(errors="replace").splitlines()
        except OSError:
            continue
        pairs = (line.partition(": ") for line in lines)
        return {key: value for key, separator, value in pairs if separator}
    return {}


def warn_missing(consequence: str, reason: str) -> None:
    """Warn that compiled code is missing, with the reason and how to silence the warning."""
    warnings.warn(
        f"compiled code is missing, so {consequence}: {reason}. The command sparsebrain doctor "
        "shows more. To silence this warning, call warnings.filterwarnings('ignore', "
        "'compiled code is missing')",
        MissingCompiledWarning,
        stacklevel=3,
    )


@functools.cache
def module() -> ModuleType | None:
    """Return the compiled helpers, or None, after a warning, if they were not built."""
    found, reason = load("graphs._compiled", "the compiled helpers of graphs")
    if reason is not None:
        warn_missing("graphs are generated, read and measured more slowly", reason)
    return found


def plain(*arrays: NDArray[Any]) -> list[NDArray[np.int64]]:
    """Return arrays of integers in the form that the helpers take."""
    return [np.ascontiguousarray(each, dtype=np.int64) for each in arrays]


def rows(matrix: csr_array) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the pointers and indices of a sparse matrix in the form that the helpers take."""
    return (
        np.ascontiguousarray(matrix.indptr, dtype=np.int64),
        np.ascontiguousarray(matrix.indices, dtype=np.int32),
    )
