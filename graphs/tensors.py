"""Checks of tensor arguments, shared by both packages."""

from types import EllipsisType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphs import arguments, memory

FLOATS = (torch.float32, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
REAL = (*FLOATS, torch.float16, torch.bfloat16, *INTEGERS, torch.bool)

Shape = tuple[int | str | EllipsisType, ...]
"""Sizes, with a name for a size that is free, and a leading ``...`` for any batch dimensions."""

_CASTS = {
    torch.float32: "float()",
    torch.float64: "double()",
    torch.int64: "long()",
    torch.bool: "bool()",
}


def tensor(
    name: str,
    value: Any,
    shape: Shape | None = None,
    *,
    dtypes: tuple[torch.dtype, ...] = FLOATS,
    device: torch.device | None = None,
    finite: bool = False,
    like: str | None = None,
    fix: str | None = None,
) -> Tensor:
    """Return ``value`` if it is a dense tensor that has values, of that shape and dtype.

    Args:
        name: The name of the argument, for the message.
        value: What the caller passed.
        shape: The expected shape, such as ``(..., 5)`` or ``("B", 5)``; None allows any.
        dtypes: The dtypes that are allowed; the message proposes the first one.
        device: The expected device; None allows all but "meta".
        finite: Whether NaN and infinity are refused, which reads all values.
        like: The argument that the expected dtype is taken from, for the message.
        fix: What to call instead if the shape is wrong.

    Raises:
        TypeError: If it is not a dense tensor of one of the dtypes.
        ValueError: If its shape, its device or one of its values is wrong.

    Example:
        >>> import torch
        >>> from graphs import tensors
        >>> x = tensors.tensor("x", torch.ones(2, 5), (..., 5))
        >>> tensors.tensor("x", [[1.0, 2.0]], ("B", 2))
        Traceback (most recent call last):
            ...
        TypeError: x must be a float32 or float64 tensor of shape [B, 2], got list; \
pass torch.as_tensor(x, dtype=torch.float32)
    """
    # Every call of a layer runs this check, so a message is only built if there is an error.
    if not (
        isinstance(value, Tensor)
        and value.dtype in dtypes
        and value.layout is torch.strided
        and not value.is_nested
        and (value.device.type != "meta" if device is None else value.device == device)
        and (shape is None or fits(value.shape, shape))
    ):
        raise _fault(name, value, shape, dtypes, device, like, fix)
    if finite and not torch.compiler.is_compiling() and not bool(value.isfinite().all()):
        place = (~value.isfinite()).nonzero()[0]
        raise ValueError(
            f"{name} must be finite, got {value[tuple(place)].item()} at position "
            f"{place.tolist()}; pass {name}.nan_to_num() if 0 is meant"
        )
    return value


def fits(sizes: torch.Size, shape: Shape) -> bool:
    """Return whether ``sizes`` match the template ``shape``."""
    if shape and shape[0] is ...:
        shape = shape[1:]
        if len(sizes) < len(shape):
            return False
        sizes = sizes[len(sizes) - len(shape) :]
    return len(sizes) == len(shape) and all(
        type(wanted) is str or size == wanted for size, wanted in zip(sizes, shape, strict=True)
    )


def text(shape: Shape | torch.Size) -> str:
    """Write a shape as ``[..., 5]``."""
    return f"[{', '.join('...' if size is ... else str(size) for size in shape)}]"


def device(name: str, value: Any, *, present: bool = True) -> torch.device:
    """Return ``value`` as a device, which is on this machine if ``present``.

    Raises:
        TypeError: If it is neither a string, a number nor a ``torch.device``.
        ValueError: If the device is unknown to torch or not available.
    """
    if not isinstance(value, str | torch.device | int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a device, got {_told(value)}; pass {name}='cpu' or 'cuda'")
    try:
        found = torch.device(value)
    except (RuntimeError, ValueError) as error:
        known = str(error).splitlines()[0]
        raise ValueError(
            f"{name} must be a device, got {value!r} ({known}); pass {name}='cpu' or 'cuda'"
        ) from None
    if present and found.type == "cuda" and not (found.index or 0) < torch.cuda.device_count():
        raise ValueError(f"{name} is {str(found)!r}, which is not available; pass {name}='cpu'")
    return found


def generator(name: str, value: Any, where: torch.device) -> torch.Generator | None:
    """Return ``value`` if it is None or a generator for that device; TypeError or ValueError."""
    if value is None:
        return None
    fix = f"pass {name}=torch.Generator('{where}').manual_seed(0)"
    if not isinstance(value, torch.Generator):
        raise TypeError(f"{name} must be a torch.Generator or None, got {_told(value)}; {fix}")
    if value.device.type != where.type:
        raise ValueError(f"{name} must be on {where}, got one on {value.device}; {fix}")
    return value


def room(name: str, num_bytes: int, fix: str) -> None:
    """Raise ValueError if ``name`` makes a call need more memory than the machine has."""
    if not torch.compiler.is_compiling() and num_bytes > memory.available():
        raise ValueError(
            f"{name} needs {num_bytes / 2**30:.3g} GiB of memory, and this machine has "
            f"{memory.available() / 2**30:.3g}; {fix}"
        )


def _fault(
    name: str,
    value: Any,
    shape: Shape | None,
    dtypes: tuple[torch.dtype, ...],
    device: torch.device | None,
    like: str | None,
    fix: str | None,
) -> TypeError | ValueError:
    kinds = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
    kinds = "integer" if dtypes is INTEGERS else "real" if dtypes is REAL else kinds
    of_shape = "" if shape is None else f" of shape {text(shape)}"
    article = "an" if kinds.startswith("int") else "a"
    expected = f"{name} must be {article} {kinds} tensor{of_shape}"
    if not isinstance(value, Tensor) or value.is_nested or value.layout is not torch.strided:
        return TypeError(f"{expected}, got {_told(value)}; {_dense(name, value, dtypes[0])}")
    if value.dtype not in dtypes:
        real = ".real" if value.is_complex() else ""
        cast = _CASTS.get(dtypes[0], f"to({dtypes[0]})")
        as_other = "" if like is None or like == name else f", as {like} is"
        return TypeError(f"{expected}{as_other}, got {value.dtype}; pass {name}{real}.{cast}")
    if shape is not None and not fits(value.shape, shape):
        fix = fix or _reshaped(name, value, shape)
        return ValueError(f"{expected}, got {text(value.shape)}; {fix}")
    if value.is_meta:
        return ValueError(
            f"{expected}, got one on 'meta', which has no values; load its values, or pass a "
            f"tensor that has some, such as torch.zeros({list(value.shape)})"
        )
    return ValueError(f"{name} must be on {device}, got {value.device}; call {name}.to('{device}')")


def _told(value: Any) -> str:
    if isinstance(value, Tensor):
        return "a nested tensor" if value.is_nested else f"the layout {value.layout}"
    if value is None or isinstance(value, bool | int | float | str):
        kind = "" if value is None else f" of type {type(value).__name__}"
        return f"{arguments.shortened(value)}{kind}"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _dense(name: str, value: Any, dtype: torch.dtype) -> str:
    """Return the call that makes a dense tensor of ``value``, if there is one."""
    if isinstance(value, Tensor):
        padded = f"torch.nested.to_padded_tensor({name}, 0.0)"
        return f"pass {padded if value.is_nested else f'{name}.to_dense()'}"
    if isinstance(value, list | tuple | int | float | np.ndarray | np.generic):
        try:
            numeric = np.asarray(value).dtype.kind in "biuf"
        except ValueError:  # Rows of different lengths.
            numeric = False
        if numeric:
            return f"pass torch.as_tensor({name}, dtype={dtype})"
    return "pass a tensor, such as torch.zeros(...)"


def _reshaped(name: str, value: Tensor, shape: Shape) -> str:
    """Return the call that gives ``value`` its shape without reordering its values."""
    if value.dim() == 2 and fits(value.shape[::-1], shape):
        return f"pass {name}.t()"
    if len(shape) == 1 and shape[0] is not ... and fits(value.flatten().shape, shape):
        return f"pass {name}.flatten()"
    for at in (0, -1):
        if fits(value.unsqueeze(at).shape, shape):
            return f"pass {name}.unsqueeze({at})"
    return "pass a tensor of that shape"
