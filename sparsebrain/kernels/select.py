"""The backends, and the choice of one for a call."""

from __future__ import annotations

import functools

import torch

from graphs import arguments, tensors
from sparsebrain.kernels.backend import Backend, LoopInputs
from sparsebrain.kernels.dense import DenseBackend
from sparsebrain.kernels.native import NativeBackend
from sparsebrain.kernels.reference import ReferenceBackend
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.torch_sparse import TorchBackend
from sparsebrain.kernels.triton_backend import TritonBackend

_NATIVE, _DENSE = NativeBackend(), DenseBackend()

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (_NATIVE, TritonBackend(), TorchBackend(), _DENSE, ReferenceBackend())
}
"""Every backend by name, the fastest first; ``auto`` chooses the first that is suitable."""


def check_backend(backend: object) -> str:
    """Return ``backend``; TypeError or ValueError unless it is "auto" or in :data:`BACKENDS`."""
    if isinstance(backend, str) and (backend == "auto" or backend in BACKENDS):
        return backend
    return arguments.option("backend", backend, ("auto", *BACKENDS))


def resolve(name: str, device: torch.device) -> Backend:
    """Return the backend of that name; "auto" is the fastest one that runs on ``device``.

    Raises:
        TypeError: If ``name`` is not a string.
        ValueError: If there is no backend of that name.
        RuntimeError: If the backend cannot run on ``device``; no other one replaces it.
    """
    if name == "auto":
        return _suitable(device) if device.type == "cpu" else suitable_elsewhere(device)
    backend = BACKENDS[check_backend(name)]
    obstacle = backend.obstacle(device)
    if obstacle is not None:
        raise RuntimeError(f"backend {name!r} cannot run, since {obstacle}; pass backend='auto'")
    return backend


def _suitable(device: torch.device) -> Backend:
    return next(backend for backend in BACKENDS.values() if backend.suits(device))


@functools.cache
def suitable_elsewhere(device: torch.device) -> Backend:
    """Return the backend that "auto" chooses on a device other than a CPU.

    The choice is kept, because every call needs it and the driver answers slowly. On a CPU it is
    quick, and a warning about missing compiled code has to reach the caller.
    """
    return _suitable(device)


def for_loops(name: str, structure: Structure, inputs: LoopInputs, *, loops: int) -> Backend:
    """Return the backend of that name for loops on these states [N, B] or [..., N].

    On a graph with few gaps "auto" is "dense" if this takes less time.
    """
    state = inputs.state
    chosen = resolve(name, state.device)
    nodes = structure.num_nodes
    if name == "auto" and 2 * structure.num_edges >= nodes * nodes > 0 and chosen is _NATIVE:
        batch = state.numel() // nodes
        if _DENSE.pays(structure, state.dtype, batch=batch, loops=loops):
            return _DENSE
    return chosen


def available(device: torch.device | str = "cpu") -> dict[str, str | None]:
    """List the backends, and why one is unavailable.

    Args:
        device: The device that they would run on.

    Returns:
        For each backend None if it can run on ``device``, otherwise the reason why it cannot.

    Raises:
        TypeError: If ``device`` is neither a string nor a ``torch.device``.
        ValueError: If torch knows no such device.

    Example:
        >>> from sparsebrain.kernels import available
        >>> available()["torch"] is None
        True
        >>> available("meta")["torch"]
        "torch has no sparse kernels on 'meta', only on 'cpu' and 'cuda'"
    """
    device = tensors.device("device", device, present=False)
    return {name: backend.obstacle(device) for name, backend in BACKENDS.items()}
