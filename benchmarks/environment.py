"""On what a time was measured."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import torch

from sparsebrain.experiments.machine import processor


def machine() -> dict[str, Any]:
    """Processor, cores, the threads torch uses, how busy the machine was before, and the day."""
    return {
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "date": datetime.now(UTC).date().isoformat(),
    }


def versions(*peers: str) -> dict[str, str]:
    """Versions of what computes, and of the distributions beside it."""
    distributions = ("torch", "torch-geometric", "sparsebrain", "numpy", *peers)
    found = {name: metadata.version(name) for name in distributions}
    # Distributions give the release alone; torch also says which build it is.
    found["torch"] = str(torch.__version__)
    return {
        "python": platform.python_version(),
        **found,
        "MKL": "yes" if torch.backends.mkl.is_available() else "no",
    }


def describe(machine: dict[str, Any], versions: dict[str, str]) -> str:
    """Both as two lines of text."""
    load = "unknown" if machine["load"] is None else f"{machine['load']:.2f}"
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{machine['processor']} ({machine['system']}), {machine['cores']} cores, "
        f"{machine['threads']} threads, load {load}\n{told}"
    )
