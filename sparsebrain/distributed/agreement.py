"""Checks that all processes of a group take part in, so that an error is raised in every one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

Made = TypeVar("Made")

_DIED = (
    "a process of the group has ended or stopped answering ({error}); start all processes again "
    "and call sparsebrain.distributed.load_checkpoint(folder, layer)"
)


def group_of(group: object) -> distributed.ProcessGroup:
    """Return the process group of a call: the given one, or that of all processes.

    Raises:
        TypeError: If it is not a process group of this process.
        RuntimeError: If torch.distributed is not initialized.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        raise RuntimeError(
            "group is the processes of torch.distributed, which is not initialized; call "
            "torch.distributed.init_process_group('gloo') first, and start the script with torchrun"
        )
    found = distributed.group.WORLD if group is None else group
    if not isinstance(found, distributed.ProcessGroup):
        raise TypeError(
            f"group must be a process group of this process or None, got {type(group).__name__}; "
            "pass group=None for all processes"
        )
    return found


@contextmanager
def answering() -> Iterator[None]:
    """Turn the errors of communication with an ended process into one that says so."""
    try:
        yield
    except RuntimeError as error:
        # DistBackendError and the errors of gloo are RuntimeErrors.
        raise RuntimeError(_DIED.format(error=str(error).strip().splitlines()[-1])) from error


def gather(group: distributed.ProcessGroup, own: Any) -> list[Any]:
    """Return an object of each process."""
    every: list[Any] = [None] * distributed.get_world_size(group)
    with answering():
        distributed.all_gather_object(every, own, group)
    return every


def together(group: distributed.ProcessGroup, make: Callable[[], Made]) -> Made:
    """Call a function that does not communicate, and raise in all processes if it fails in one.

    Raises:
        Exception: In the process that failed, its error; in the others, one of the same class.
    """
    made: Made | None = None
    failure: Exception | None = None
    try:
        made = make()
    except Exception as error:
        failure = error
    told = None if failure is None else (type(failure).__name__, str(failure))
    for rank, other in enumerate(gather(group, told)):
        if other is not None:
            if failure is not None:
                raise failure
            kind = {"TypeError": TypeError, "ValueError": ValueError}.get(other[0], RuntimeError)
            if other[0] == "FileNotFoundError":
                kind = FileNotFoundError
            raise kind(f"process {rank} of the group failed: {other[1]}")
    return made  # type: ignore[return-value]


def require_same(group: distributed.ProcessGroup, facts: dict[str, tuple[Any, str]]) -> None:
    """Raise ValueError in all processes unless facts are the same in each.

    Args:
        group: The processes.
        facts: For each name a value that can be compared and printed, and what to do about a
            difference.
    """
    own = {name: value for name, (value, _) in facts.items()}
    every = gather(group, own)
    for name, (_, fix) in facts.items():
        values = [other.get(name) for other in every]
        for rank, value in enumerate(values):
            if value != values[0]:
                raise ValueError(
                    f"{name} must be the same in all processes of the group, got {values[0]!r:.80} "
                    f"in process 0 and {value!r:.80} in process {rank}; {fix}"
                )


class CallCheck:
    """A quick check at every call of a layer: that all processes make the same call."""

    def __init__(self, group: distributed.ProcessGroup) -> None:
        self._group = group

    def __call__(
        self, describe: Callable[[], Made], told: Callable[[Made], dict[str, Any]], like: Tensor
    ) -> Made:
        """Describe a call, and raise in all processes if that fails or differs in one.

        Args:
            describe: Checks the arguments and describes the call; it must not communicate.
            told: Returns everything that must be the same, by name.
            like: A tensor on the device of the layer.

        Raises:
            ValueError: If the calls differ.
            RuntimeError: If another process failed; in that process its own error.
        """
        made: Made | None = None
        failure: Exception | None = None
        facts: dict[str, Any] = {}
        try:
            made = describe()
            facts = told(made)
        except Exception as error:
            failure = error
        size = distributed.get_world_size(self._group)
        own = torch.tensor(
            [failure is not None, zlib.crc32(repr(facts).encode())], device=like.device
        )
        every = [torch.empty_like(own) for _ in range(size)]
        with answering():
            distributed.all_gather(every, own, self._group)
        failed, sums = torch.stack(every).t().tolist()
        if any(failed):
            if failure is not None:
                raise failure
            raise RuntimeError(
                f"the call failed in process {failed.index(1)} of the group, and is made in none; "
                "see the error of that process"
            )
        if len(set(sums)) > 1:
            fix = "make the same call with the same samples in every process"
            require_same(self._group, {name: (value, fix) for name, value in facts.items()})
        return made  # type: ignore[return-value]
