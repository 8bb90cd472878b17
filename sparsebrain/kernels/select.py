"""Which backends there are, and which one a call gets."""

from __future__ import annotations

import torch

from graphs import arguments, tensors
from sparsebrain.kernels.backend import Backend
from sparsebrain.kernels.native import NativeBackend
from sparsebrain.kernels.reference import ReferenceBackend
from sparsebrain.kernels.torch_sparse import TorchBackend
from sparsebrain.kernels.triton_backend import TritonBackend

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (NativeBackend(), TritonBackend(), TorchBackend(), ReferenceBackend())
}
"""Every backend by name, the fastest first: ``auto`` takes the first that suits."""


def check_backend(backend: object) -> str:
    """``backend`` itself; TypeError or ValueError unless it is "auto" or in :data:`BACKENDS`."""
    if isinstance(backend, str) and (backend == "auto" or backend in BACKENDS):
        return backend
    return arguments.option("backend", backend, ("auto", *BACKENDS))


def resolve(name: str, device: torch.device) -> Backend:
    """The backend called ``name`` on ``device``; "auto" is the fastest that can run there.

    Raises:
        ValueError: there is no backend of that name.
        RuntimeError: the backend cannot run on ``device``; no other is taken in its place.
    """
    if name == "auto":
        return next(backend for backend in BACKENDS.values() if backend.suits(device))
    backend = BACKENDS[check_backend(name)]
    obstacle = backend.obstacle(device)
    if obstacle is not None:
        raise RuntimeError(f"backend {name!r} was asked for, but {obstacle}; use backend='auto'.")
    return backend


def available(device: torch.device | str = "cpu") -> dict[str, str | None]:
    """For each backend None if it can run on ``device``, otherwise the reason why it cannot.

    Example:
        >>> from sparsebrain.kernels import available
        >>> available()["torch"] is None
        True
        >>> available("meta")["torch"]
        "torch has no sparse kernels on 'meta', only on 'cpu' and 'cuda'"
    """
    device = tensors.device("device", device, present=False)
    return {name: backend.obstacle(device) for name, backend in BACKENDS.items()}
