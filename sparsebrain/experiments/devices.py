"""The device that a comparison trains on."""

from __future__ import annotations

import torch

from graphs import arguments, tensors


def check_device(name: str, value: object) -> str:
    """Return the text of a device of this machine that can train.

    Args:
        name: The caller's name of the device.
        value: "cpu", or an accelerator such as "cuda", "cuda:0" or "mps", or a ``torch.device``.

    Raises:
        TypeError: ``value`` is neither a string nor a ``torch.device``.
        ValueError: torch does not know the device, this machine does not have it, or its tensors
            have no values.

    Example:
        >>> from sparsebrain.experiments.devices import check_device
        >>> check_device("device", "cpu")
        'cpu'
    """
    if not isinstance(value, str | torch.device):
        raise TypeError(
            f"{name} must be the name of a device, got {arguments.described(value)}; pass "
            f"{name}='cpu' or 'cuda'"
        )
    found = tensors.device(name, value, present=False)
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    devices = {"cpu": 1}
    if accelerator is not None:
        devices[accelerator.type] = torch.accelerator.device_count()
    if (found.index or 0) >= devices.get(found.type, 0):
        known = [
            each if count == 1 else f"{each}:{number}"
            for each, count in devices.items()
            for number in range(count)
        ]
        raise ValueError(
            f"{name} is {str(found)!r}, which cannot train on this machine; pass {name}="
            f"{' or '.join(map(repr, known))}"
        )
    return "cpu" if found.type == "cpu" else str(found)
