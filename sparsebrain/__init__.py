"""Neural networks on brain graphs: layers, kernels, models, learning rules and experiments."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sparsebrain import namesake

if TYPE_CHECKING:
    from sparsebrain import (
        diagnostics,
        distributed,
        energy,
        error_diffusion,
        kernels,
        learning,
        models,
        plasticity,
    )
    from sparsebrain.equilibrium import Equilibrium
    from sparsebrain.nn.graph_layer import GraphLayer
    from sparsebrain.nn.maxout import Maxout

__all__ = [
    "Equilibrium",
    "GraphLayer",
    "Maxout",
    "__version__",
    "diagnostics",
    "distributed",
    "energy",
    "error_diffusion",
    "kernels",
    "learning",
    "models",
    "plasticity",
]

_PACKAGES = tuple(name for name in __all__ if name.islower() and name != "__version__")

namesake.check()


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds, and `sparsebrain --help` does not need it.
    if name == "Equilibrium":
        return importlib.import_module("sparsebrain.equilibrium").Equilibrium
    if name == "GraphLayer":
        return importlib.import_module("sparsebrain.nn.graph_layer").GraphLayer
    if name == "Maxout":
        return importlib.import_module("sparsebrain.nn.maxout").Maxout
    if name in _PACKAGES:
        return importlib.import_module(f"sparsebrain.{name}")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("sparsebrain")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
