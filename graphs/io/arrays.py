"""Conversion of arguments from any library to NumPy arrays."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphs import arguments
from graphs.contract import Index
from graphs.io.callings import fault
from graphs.io.left_out import to_float32

# Larger numbers of a few neurons are labels from a database.
_LABELS_FROM = 10**7
_LABELS_PER_VALUE = 100


def array(name: str, values: Any) -> NDArray[Any]:
    """Return an argument as an array of bools, numbers or text.

    Tensors of a dtype that NumPy does not have become float32. Objects, such as the columns of a
    pandas frame of dtype ``Float64`` or ``object``, become numbers if all of them are.

    Args:
        name: The name of the argument.
        values: The argument.

    Raises:
        TypeError: It is not an array, is sparse, or holds other values than numbers and text.
        ValueError: Its rows differ in length, it has no values, or some of them are missing.
    """
    if isinstance(values, torch.Tensor):
        values = _from_tensor(name, values)
    expected = f"{name} must be an array"
    found = arguments.array(expected, values, f"pass {name} with rows of one length")
    if found.ndim == 0:
        raise TypeError(
            f"{expected}, got {arguments.described(values)}; pass {name}=numpy.array(list(...)), "
            "the values in their order"
        )
    return _numbers(name, found) if found.dtype.kind == "O" else found


def _from_tensor(name: str, values: torch.Tensor) -> Any:
    if values.layout != torch.strided or values.is_nested:
        raise TypeError(
            f"{name} must be dense, got a tensor of layout {values.layout}; pass {name}.to_dense()"
        )
    if values.is_meta:
        raise ValueError(
            f"{name} must have values, got a tensor on the device 'meta'; pass {name} on 'cpu'"
        )
    plain = values.detach().cpu().resolve_conj().resolve_neg()
    widths = (torch.float16, torch.float32, torch.float64)
    return plain.float() if plain.is_floating_point() and plain.dtype not in widths else plain


def _numbers(name: str, objects: NDArray[Any]) -> NDArray[Any]:
    """Return objects that are all real numbers, or all text, as an array of them."""
    flat = objects.ravel().tolist()
    if flat and all(isinstance(value, str) for value in flat):
        return np.array(flat).reshape(objects.shape)
    for at, value in enumerate(flat):
        if not isinstance(value, Real):
            place = ", ".join(map(str, np.unravel_index(at, objects.shape)))
            told = f"{name} must hold numbers, got {arguments.described(value)} at [{place}]"
            if value is None or type(value).__name__ in ("NAType", "NaTType"):
                raise ValueError(f"{told}; leave it out, or pass {name}.fillna(0)")
            raise TypeError(f"{told}; pass {name} with a number in its place")
    whole = all(isinstance(value, Integral) and -(2**63) <= int(value) < 2**63 for value in flat)
    try:
        return np.array(flat, dtype=np.int64 if whole else np.float64).reshape(objects.shape)
    except OverflowError:
        raise ValueError(
            f"{name} must hold numbers that float64 can hold, got one above 1e308; pass {name} "
            "divided by its maximum"
        ) from None


def row(name: str, values: Any) -> NDArray[Any]:
    """Return an argument as an array of one axis.

    Raises:
        TypeError: As :func:`array`.
        ValueError: As :func:`array`, or the array has several axes.
    """
    found = array(name, values)
    if found.ndim != 1:
        raise ValueError(
            f"{name} must be one row with a value per synapse, got the shape {found.shape}; pass "
            f"numpy.ravel({name})"
        )
    return found


def integers(name: str, values: Any, text_fix: str) -> Index:
    """Return an argument as int64, with one value per synapse.

    Args:
        name: The name of the argument.
        values: The argument.
        text_fix: What to pass in place of text.

    Raises:
        TypeError: It does not hold integers.
        ValueError: As :func:`row`, or an integer does not fit into int64.
    """
    found = row(name, values)
    # An empty list is an array of floats.
    if found.dtype.kind not in "iu" and found.size:
        fix = f"pass the integers that {name} represents"
        if found.dtype.kind == "b":
            fix = f"pass numpy.flatnonzero({name}) if it is a mask"
        elif found.dtype.kind in "US":
            fix = text_fix
        elif found.dtype.kind == "f" and np.all(
            (np.abs(found) < 2**53) & (np.trunc(found) == found)
        ):
            fix = f"pass numpy.asarray({name}).astype(int)"
        raise TypeError(
            f"{name} must hold integers, got {found.dtype}, such as {found[0].item()!r:.60}; {fix}"
        )
    if found.dtype.kind == "u" and found.size and int(found.max()) >= 2**63:
        raise ValueError(f"{name} must fit into int64, got {found.max()}; {labels_fix()}")
    return found.astype(np.int64)


def floats(name: str, values: Any) -> NDArray[np.float32]:
    """Return an argument as float32, with one value per synapse.

    Raises:
        TypeError: It does not hold real numbers.
        ValueError: As :func:`row`, or float32 rounds a number to 0.
    """
    found = row(name, values)
    if found.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold real numbers, got {found.dtype}; pass one number per synapse, such "
            f"as {name}=numpy.ones({len(found)})"
        )
    return to_float32(name, found)


def labels_fix() -> str:
    """Return how to pass large labels of neurons."""
    return "leave num_nodes out, and they become names"


def are_labels(largest: int, values: int) -> bool:
    """Return whether numbers up to `largest` are rather labels than the numbers of neurons."""
    return largest >= max(_LABELS_FROM, _LABELS_PER_VALUE * values)


def identifiers(name: str, values: Any) -> NDArray[Any]:
    """Return ids, integers >= 0, or names of neurons, one per synapse.

    Returns:
        An array of integers or of text.

    Raises:
        TypeError: The values are neither integers nor text.
        ValueError: An id is negative or does not fit into 64 bits, or a name is missing.
    """
    found = row(name, values)
    if not found.size:
        return np.empty(0, np.int64)
    expected = f"{name} must hold ids, integers >= 0, or names"
    if found.dtype.kind == "f":
        whole = np.all((np.abs(found) < 2**53) & (np.trunc(found) == found))
        fix = f"pass numpy.asarray({name}).astype(int)"
        if not whole:
            fix = f"pass {name} as it was before it became floats, which lose digits above 2^53"
        raise TypeError(f"{expected}, got {found.dtype}, such as {found[0].item()!r:.60}; {fix}")
    if found.dtype.kind not in "iuU":
        raise TypeError(
            f"{expected}, got {found.dtype}, such as {found[0].item()!r:.60}; pass "
            f"{name}=list(map(str, {name}))"
        )
    if found.dtype.kind == "U":
        for at, text in enumerate(found.tolist()):
            if reason := fault(text):
                raise ValueError(f"{expected}, got {text[:50]!r} at position {at}; {reason}")
    elif found.min() < 0:
        at = int(np.argmin(found))
        raise ValueError(
            f"{expected}, got {found[at]} at position {at}; leave this synapse out, or number the "
            f"neurons from 0 and pass {name} again"
        )
    return found


def names_of(values: Any, num_nodes: int | None) -> list[str]:
    """Return the argument `names`: one name or id per neuron, as text.

    Raises:
        TypeError: The names are neither text nor integers.
        ValueError: There is not one per neuron.
    """
    fix = "pass names=list(map(str, names))"
    if not arguments.is_list(values) and not hasattr(values, "__array__"):
        raise TypeError(f"names must be a list of str, got {arguments.described(values)}; {fix}")
    found = array("names", values)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iuU"):
        raise TypeError(
            f"names must be a row of str or integers, got {arguments.described(found)}; {fix}"
        )
    if num_nodes is not None and len(found) != arguments.count("num_nodes", num_nodes):
        raise ValueError(
            f"names must have one name for each of the {num_nodes} neurons, got {len(found)}; pass "
            "names of that length"
        )
    return list(map(str, found.tolist()))
