"""How the kernels of the ``triton`` backend are loaded, tiled and launched."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import Any, NamedTuple

import torch

ELEMENTS = {9: 1024, 10: 1024, 12: 1024}
"""The entries of a tile by the major compute capability of the GPU."""
_USUAL = 512
"""The entries of a tile on every other GPU."""
_MOST_COLUMNS, _MOST_SYNAPSES, _FEWEST_SYNAPSES = 128, 32, 4
_COLUMNS_OF_ALL_ROWS = 8
_OLDEST = 70


class Tile(NamedTuple):
    """The numbers of synapses and columns per step of a program, and its rows; powers of two.

    A fixed table chooses them, and not ``triton.autotune``: the number of synapses determines the
    order of a sum, which must not depend on a measurement.
    """

    synapses: int
    columns: int
    rows: int = 1

    @classmethod
    def of_row(cls, batch: int, degree: float, device: torch.device) -> Tile:
        """Return the tile of a program for one row of a matrix with a mean ``degree``."""
        columns = min(_power_of_two(batch), _MOST_COLUMNS)
        fitting = max(_FEWEST_SYNAPSES, min(_MOST_SYNAPSES, _power_of_two(degree)))
        return cls(max(1, min(fitting, _elements(device) // columns)), columns)

    @classmethod
    def of_all_rows(cls, neurons: int, batch: int, device: torch.device) -> Tile:
        """Return the tile of a program for all rows, with few columns so that programs are many."""
        columns = min(_power_of_two(batch), _COLUMNS_OF_ALL_ROWS)
        rows = min(_power_of_two(neurons), _elements(device) // columns)
        # One row would mean a program for one row.
        return cls(1, columns, max(2, rows))

    def blocks(self, batch: int) -> int:
        """Return the number of blocks of columns."""
        return -(-batch // self.columns)


def launch(name: str, programs: int, tile: Tile, device: torch.device, **arguments: Any) -> None:
    """Run a kernel of :mod:`.triton_code`, whose arguments are given by name."""
    if not programs:
        return
    module, obstacle = load()
    if module is None:
        raise RuntimeError(obstacle)
    if tile.rows > 1:
        arguments["ROWS"] = tile.rows
    # Triton launches on the current device, not on that of the tensors.
    with torch.cuda.device(device if device.type == "cuda" else -1):
        getattr(module, name)[(programs,)](
            **arguments,
            SYNAPSES=tile.synapses,
            COLUMNS=tile.columns,
            num_warps=max(1, min(4, tile.rows * tile.synapses * tile.columns // 128)),
        )


@functools.cache
def load() -> tuple[ModuleType | None, str | None]:
    """Return the kernels, or None and the reason why they are missing."""
    try:
        return importlib.import_module("sparsebrain.kernels.triton_code"), None
    except ImportError as error:
        return None, (
            f"triton cannot be imported ({error}); torch's CUDA builds for Linux bring it, "
            "otherwise call pip install triton"
        )


@functools.cache
def obstacle_on_gpu(index: int | None) -> str | None:
    """Return what triton lacks on a GPU or the machine, or None; allocates nothing on the GPU."""
    driver: Any = importlib.import_module("triton.runtime.driver").driver
    try:
        with torch.cuda.device(index):
            target = driver.active.get_current_target()
    # A missing C compiler, header or driver library raises different errors.
    except Exception as error:
        return f"triton cannot reach the GPU ({error}); it needs a C compiler and Python's headers"
    if target.backend == "cuda" and target.arch < _OLDEST:
        return f"triton needs compute capability 7.0, the GPU has {target.arch / 10}"
    return None


def _elements(device: torch.device) -> int:
    return ELEMENTS.get(_capability(device), _USUAL) if device.type == "cuda" else _USUAL


@functools.cache
def _capability(device: torch.device) -> int:
    return torch.cuda.get_device_capability(device)[0]


def _power_of_two(number: float) -> int:
    """Return the smallest power of two that is not below a number."""
    power = 1
    while power < number:
        power *= 2
    return power
