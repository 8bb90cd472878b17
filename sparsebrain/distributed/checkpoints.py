"""Checkpoints of a layer that load on another number of processes, or into one layer."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from graphs import arguments, paths
from sparsebrain.distributed.agreement import answering, together
from sparsebrain.distributed.layer import DistributedGraphLayer
from sparsebrain.nn.graph_layer import GraphLayer

_DIGITS = 8
_KEPT = 2


class _Table(NamedTuple):
    """Values of one process, and the numbers in the whole graph that they belong to.

    Attributes:
        numbers: Ascending order is not required, [k] int64.
        order: The permutation that sorts ``numbers``.
    """

    numbers: Tensor
    order: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> _Table:
        return cls(numbers, torch.argsort(numbers))

    def take(self, values: Tensor, saved: Tensor, into: Tensor) -> int:
        """Copy the saved values of numbers that are here, and return how many there were."""
        ordered = self.numbers[self.order]
        if not len(ordered) or not len(saved):
            return 0
        at = torch.searchsorted(ordered, saved).clamp_max(len(ordered) - 1)
        found = ordered[at] == saved
        into[self.order[at[found]].to(into.device)] = values[found].to(into)
        return int(found.sum())


def save_checkpoint(
    folder: str | Path,
    layer: DistributedGraphLayer | GraphLayer,
    optimizer: torch.optim.Optimizer | None = None,
) -> Path:
    """Save the parameters of a layer, and optionally the state of its optimizer.

    All processes call this together, and each writes its own values with
    ``torch.distributed.checkpoint``. The files are written to a new folder, which gets its final
    name only when all of them are complete. The last two checkpoints are kept.

    Args:
        folder: The folder of all checkpoints of a training.
        layer: The layer.
        optimizer: An optimizer over parameters of the layer alone.

    Returns:
        The folder of this checkpoint.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``optimizer`` has parameters of other modules.
        OSError: In all processes, if the files cannot be written.
        RuntimeError: If a process has ended. The checkpoint before is unchanged.
    """
    place, group = _checked(folder, layer, optimizer)
    rank, size = _rank_and_size(group)
    number = 1 + max(_numbers(place), default=0)
    final, aside = place / _name(number), place / f".part-{_name(number)}"
    _all(group, lambda: _prepare(place, aside) if rank == 0 else None)
    content: dict[str, Any] = {f"{rank}/{name}": value for name, value in _own(layer, optimizer)}
    if rank == 0:
        content["processes"] = torch.tensor(size)
    with answering(), _quiet():
        state_dict_saver.save(
            content, checkpoint_id=aside, process_group=group, no_dist=group is None
        )
    _all(group, lambda: _finish(place, aside, final) if rank == 0 else None)
    return final


def load_checkpoint(
    folder: str | Path,
    layer: DistributedGraphLayer | GraphLayer,
    optimizer: torch.optim.Optimizer | None = None,
) -> Path:
    """Load the last checkpoint, which any number of processes may have saved.

    Every process reads the saved parts one after another, and keeps the values of its own synapses
    and neurons. A :class:`~sparsebrain.GraphLayer` loads all of them.

    Args:
        folder: The folder of the checkpoints.
        layer: A layer of the same connectome, with the same options.
        optimizer: The optimizer, if it was saved.

    Returns:
        The folder of the checkpoint.

    Raises:
        TypeError: If an argument has the wrong type.
        FileNotFoundError: In all processes, if there is no checkpoint.
        ValueError: In all processes, if it does not fit the layer.
    """
    place, group = _checked(folder, layer, optimizer)

    def load() -> Path:
        numbers = _numbers(place)
        if not numbers:
            raise FileNotFoundError(
                f"folder {str(place)!r} has no checkpoint; call save_checkpoint(folder, layer) "
                "first"
            )
        found = place / _name(max(numbers))
        _read(found, layer, optimizer)
        return found

    return _all(group, load)


def _all(group: distributed.ProcessGroup | None, make: Any) -> Any:
    return make() if group is None else together(group, make)


def _checked(
    folder: Any, layer: Any, optimizer: Any
) -> tuple[Path, distributed.ProcessGroup | None]:
    place = paths.path("folder", folder)
    if not isinstance(layer, DistributedGraphLayer | GraphLayer):
        raise TypeError(
            f"layer must be a DistributedGraphLayer or a GraphLayer, got "
            f"{arguments.described(layer)}; pass the layer of this process"
        )
    if optimizer is not None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                f"optimizer must be an optimizer of torch or None, got "
                f"{arguments.described(optimizer)}; pass torch.optim.Adam(layer.parameters())"
            )
        known = {id(each) for each in layer.parameters()}
        taught = [each for every in optimizer.param_groups for each in every["params"]]
        if any(id(each) not in known for each in taught):
            raise ValueError(
                "optimizer must have parameters of the layer alone; pass an optimizer of "
                "layer.parameters(), and save other modules by torch.save"
            )
    return place, layer.group if isinstance(layer, DistributedGraphLayer) else None


def _rank_and_size(group: distributed.ProcessGroup | None) -> tuple[int, int]:
    if group is None:
        return 0, 1
    return distributed.get_rank(group), distributed.get_world_size(group)


def _name(number: int) -> str:
    return f"checkpoint-{number:0{_DIGITS}d}"


def _numbers(place: Path) -> list[int]:
    """Return the numbers of the complete checkpoints in a folder."""
    found = (each.name.removeprefix("checkpoint-") for each in place.glob("checkpoint-*"))
    return sorted(int(each) for each in found if each.isdecimal())


def _prepare(place: Path, aside: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    # A process that was killed while it saved has left it.
    shutil.rmtree(aside, ignore_errors=True)


def _finish(place: Path, aside: Path, final: Path) -> None:
    aside.rename(final)
    for number in _numbers(place)[:-_KEPT]:
        shutil.rmtree(place / _name(number), ignore_errors=True)


def _numbers_of(layer: DistributedGraphLayer | GraphLayer, name: str) -> Tensor:
    """Return the numbers in the whole graph that the values of a parameter belong to."""
    parameter = dict(layer.named_parameters())[name]
    if isinstance(layer, GraphLayer):
        return torch.arange(len(parameter))
    numbers = layer.numbers_of(name)
    return torch.arange(len(parameter)) if numbers is None else numbers


def _states(
    layer: nn.Module, optimizer: torch.optim.Optimizer | None
) -> Iterator[tuple[str, str, Tensor]]:
    """Yield a key, the name of its parameter, and the tensor: parameters and optimizer states."""
    for name, parameter in layer.named_parameters():
        yield name, name, parameter.detach()
        state = {} if optimizer is None else optimizer.state.get(parameter, {})
        for key, value in state.items():
            if isinstance(value, Tensor):
                yield f"{name}/{key}", name, value.detach()


def _own(
    layer: DistributedGraphLayer | GraphLayer, optimizer: torch.optim.Optimizer | None
) -> Iterator[tuple[str, Any]]:
    for key, name, value in _states(layer, optimizer):
        yield key, value
        if key == name:
            yield f"numbers/{name}", _numbers_of(layer, name)


def _read(
    found: Path,
    layer: DistributedGraphLayer | GraphLayer,
    optimizer: torch.optim.Optimizer | None,
) -> None:
    reader = FileSystemReader(found)
    saved = reader.read_metadata().state_dict_metadata
    count = torch.zeros((), dtype=torch.int64)
    _load({"processes": count}, reader)
    if optimizer is not None:
        _fill(optimizer)
    loaded: list[tuple[Tensor, Tensor]] = []
    for key, name, value in _states(layer, optimizer):
        table = _Table.of(_numbers_of(layer, name))
        into = torch.empty_like(value)
        taken = 0
        for rank in range(int(count)):
            entry = saved.get(f"{rank}/{key}")
            held = saved.get(f"{rank}/numbers/{name}")
            if not isinstance(entry, TensorStorageMetadata) or not isinstance(
                held, TensorStorageMetadata
            ):
                raise ValueError(
                    f"folder {str(found)!r} has no {key} of part {rank}; pass a layer and an "
                    "optimizer of the same kind as those that were saved"
                )
            values = torch.empty(entry.size, dtype=entry.properties.dtype)
            numbers = torch.empty(held.size, dtype=torch.int64)
            content = {f"{rank}/{key}": values, f"{rank}/numbers/{name}": numbers}
            _load(content, reader)
            if value.dim() == 0:
                into, taken = values.to(value), 0
                break
            taken += table.take(values, numbers, into)
        # Shared weights are saved by every process, with the same values.
        if value.dim() and taken < len(value):
            raise ValueError(
                f"folder {str(found)!r} has {taken} of the {len(value)} values of {key}; pass a "
                "layer of the connectome that was saved"
            )
        loaded.append((value, into))
    # Nothing changes unless everything has been found.
    for value, into in loaded:
        value.copy_(into)


def _load(content: dict[str, Any], reader: FileSystemReader) -> None:
    with _quiet():
        state_dict_loader.load(content, storage_reader=reader, no_dist=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore torch's warning that a process reads and writes by itself, which is intended."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        yield


def _fill(optimizer: torch.optim.Optimizer) -> None:
    """Make the states of an optimizer that has taken no step, without changing parameters."""
    kept: list[tuple[Tensor, Tensor, Tensor | None]] = []
    for every in optimizer.param_groups:
        for parameter in every["params"]:
            if parameter not in optimizer.state:
                kept.append((parameter, parameter.detach().clone(), parameter.grad))
                parameter.grad = torch.zeros_like(parameter)
    if not kept:
        return
    optimizer.step()
    with torch.no_grad():
        for parameter, value, grad in kept:
            parameter.copy_(value)
            parameter.grad = grad
