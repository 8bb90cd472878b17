"""Checks of arguments that both packages share.

Every check returns the value in its canonical type. Otherwise it raises an error whose message
states what was passed, what was expected, and the argument to pass instead.
"""

import difflib
import math
import operator
import reprlib
import sys
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any, Literal, TypeGuard, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

# Which synapses of a neuron its degree counts: incoming, outgoing, or all.
Direction = Literal["in", "out", "both"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

_Option = TypeVar("_Option")

# No machine has the memory or the time for more neurons, synapses or rounds.
MOST = 2**40


class _Shortened(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to print integers of thousands of digits.
        if x.bit_length() > 256:
            return f"an integer of {x.bit_length()} bits"
        return super().repr_int(x, level)


_SHORT = _Shortened()
_SHORT.maxstring = _SHORT.maxother = 60


def described(value: Any) -> str:
    """Describe a value for an error message.

    Args:
        value: Any object.

    Returns:
        The type with the shape and dtype of an array or tensor; otherwise a shortened repr and the
        type.

    Example:
        >>> described(1.5), described(np.zeros((3, 2)))
        ('1.5 of type float', 'ndarray of shape (3, 2) and dtype float64')
    """
    kind = type(value).__name__
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None and not isinstance(value, np.generic):
        kind = f"sparse {kind}" if getattr(value, "is_sparse", False) else kind
        where = " without values (device meta)" if getattr(value, "is_meta", False) else ""
        return f"{kind} of shape {tuple(shape)} and dtype {dtype}{where}"
    return f"{shortened(value)} of type {kind}"


def shortened(value: Any) -> str:
    """Return the repr of a value, shortened to about a line."""
    return _SHORT.repr(value)


def count(name: str, value: Any, *, at_least: int = 0, at_most: float = MOST) -> int:
    """Return `value` as an int in [at_least, at_most].

    Args:
        name: Name of the argument.
        value: What the caller passed.
        at_least: Smallest allowed value.
        at_most: Largest allowed value.

    Returns:
        The value as a Python int.

    Raises:
        TypeError: `value` is not an integer. Arrays and tensors are refused, even if they hold a
            single integer.
        ValueError: `value` is out of range.

    Example:
        >>> count("num_nodes", np.int32(5))
        5
        >>> count("num_nodes", 5.0)
        Traceback (most recent call last):
            ...
        TypeError: num_nodes must be an integer >= 0, got 5.0 of type float; pass num_nodes=5
    """
    # Kernels check counts at every call, and almost always receive a valid int.
    if type(value) is int and at_least <= value <= at_most:
        return value
    expected = f"{name} must be an integer >= {at_least}"
    # bool is a subclass of int, but True as a size is a mistake of the caller.
    if isinstance(value, bool | np.bool_) or not _is_index(value):
        number = _number(value)
        whole = number is not None and int(number) == number and at_least <= number <= at_most
        fix = f"pass {name}={int(number)}" if whole and number is not None else ""
        raise TypeError(
            f"{expected}, got {described(value)}; {fix or f'pass an int, {name}={at_least + 1}'}"
        )
    number = operator.index(value)
    if number < at_least:
        raise ValueError(f"{expected}, got {shortened(number)}; pass {name}={at_least} or more")
    if number > at_most:
        raise ValueError(
            f"{expected} and at most {at_most}, got {shortened(number)}; "
            f"pass {name}={at_most} or less"
        )
    return number


def _is_index(value: Any) -> bool:
    # Arrays and tensors have __index__ too, and fail in it unless they hold one integer.
    if hasattr(value, "dtype") and not isinstance(value, np.generic):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def _number(value: Any) -> float | None:
    """Return the finite number that a value of another type represents, or None."""
    if isinstance(value, bool | np.bool_):
        return None
    item = getattr(value, "item", None)
    try:
        number = item() if callable(item) else value
        number = None if isinstance(number, bool) else float(number)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
    return number if number is not None and math.isfinite(number) else None


def real(name: str, value: Any, *, positive: bool = False, at_most: float = math.inf) -> float:
    """Return `value` as a finite float in [0, at_most], or in (0, at_most] if `positive`.

    Args:
        name: Name of the argument.
        value: What the caller passed.
        positive: Whether 0 is refused.
        at_most: Largest allowed value.

    Returns:
        The value as a Python float.

    Raises:
        TypeError: `value` is not a real number. Arrays and tensors are refused, even if they hold a
            single number.
        ValueError: `value` is NaN, infinite or out of range.
    """
    if at_most < math.inf:
        bound = f"in {'(' if positive else '['}0, {at_most:g}]"
    else:
        bound = "> 0" if positive else ">= 0"
    expected = f"{name} must be a finite number {bound}"

    def fits(number: float) -> bool:
        return math.isfinite(number) and 0 <= number <= at_most and (number > 0 or not positive)

    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        number = _number(value)
        fix = f"{name}={number!r}" if number is not None and fits(number) else ""
        raise TypeError(
            f"{expected}, got {described(value)}; pass {fix or f'a number, {name}=1.0'}"
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not fits(number):
        raise ValueError(f"{expected}, got {number}; pass for example {name}={min(1.0, at_most)}")
    return number


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool.

    Args:
        name: Name of the argument.
        value: What the caller passed.

    Returns:
        The value as a Python bool.

    Raises:
        TypeError: `value` is not a bool; values that are merely truthy or falsy are refused.
    """
    # Every call of a layer comes through here, almost always with one of them.
    if value is True or value is False:
        return value
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"{name} must be True or False, got {described(value)}; "
            f"pass {name}={bool(value) if isinstance(value, int | float) else True}"
        )
    return bool(value)


def directed(value: Any, *, by_default: bool) -> bool:
    """Return whether a random graph is directed.

    Args:
        value: The argument ``directed``; None selects the model's own definition.
        by_default: Whether the model is defined as a directed graph.

    Returns:
        Whether the graph is directed.

    Raises:
        TypeError: `value` is neither a bool nor None.
    """
    return by_default if value is None else flag("directed", value)


def is_list(value: Any) -> bool:
    """Return whether `value` is a sequence of values: a list, tuple or array, but not text."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def is_function(value: Any) -> TypeGuard[Callable[..., Any]]:
    """Return whether `value` is a function, and neither a class nor a connectome.

    Classes can be called too, and so can PyG's ``Data``.
    """
    # Commands check their options before they import torch, and without torch there is no Data.
    module = sys.modules.get("torch_geometric.data")
    return callable(value) and not isinstance(value, (type, *([module.Data] if module else ())))


def flags(name: str, value: Any, axes: int) -> tuple[bool, ...]:
    """Return one bool per axis from one bool for all axes, or from one per axis.

    Args:
        name: Name of the argument.
        value: A bool or a sequence of bools.
        axes: Number of axes.

    Returns:
        One bool per axis.

    Raises:
        TypeError: `value` is neither a bool nor a sequence of bools.
        ValueError: The sequence does not have one bool per axis.
    """
    if isinstance(value, bool | np.bool_):
        return (bool(value),) * axes
    if not is_list(value):
        raise TypeError(
            f"{name} must be True, False or one of them per axis, got {described(value)}; "
            f"pass {name}=True"
        )
    if len(value) != axes:
        raise ValueError(
            f"{name} must have one bool for each of the {axes} axes, got {len(value)}; "
            f"pass {name}={(True,) * axes}"
        )
    return tuple(flag(f"{name}[{axis}]", each) for axis, each in enumerate(value))


def counts(name: str, value: Any, example: str) -> list[int]:
    """Return a sequence of integers >= 1 as a list.

    Args:
        name: Name of the argument.
        value: What the caller passed.
        example: A valid value for the error message, such as "[300, 100]".

    Returns:
        One int per element, at least one.

    Raises:
        TypeError: `value` is not a sequence of integers.
        ValueError: `value` is empty, or an element is < 1.
    """
    if not is_list(value):
        raise TypeError(
            f"{name} must be a sequence of int, got {described(value)}; pass {name}={example}"
        )
    if len(value) == 0:
        raise ValueError(f"{name} must have at least one element, got none; pass {name}={example}")
    return [count(f"{name}[{number}]", each, at_least=1) for number, each in enumerate(value)]


def array(expected: str, value: Any, fix: str) -> NDArray[Any]:
    """Return `value` as a NumPy array of any dtype.

    Args:
        expected: What the argument must be, such as "positions must be an array [N, D]".
        value: What the caller passed.
        fix: What to pass instead.

    Returns:
        The array, which shares memory with `value` where NumPy can do so.

    Raises:
        TypeError: NumPy cannot convert `value` to an array, for example a sparse tensor.
        ValueError: `value` has rows of different lengths.
    """
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{expected}, got rows of different lengths; {fix}") from error
    except Exception as error:  # whatever the __array__ method of another library raises
        raise TypeError(f"{expected}, got {described(value)}; {fix}") from error


def option(name: str, value: Any, options: Iterable[_Option]) -> _Option:
    """Return `value` if it is one of `options`.

    Args:
        name: Name of the argument.
        value: What the caller passed.
        options: The allowed values: strings, None, True or False.

    Returns:
        The option.

    Raises:
        TypeError: `value` is not an option, and not a string.
        ValueError: `value` is a string that is not an option.
    """
    known = list(options)
    for each in known:
        if value is each or (isinstance(value, str) and value == each):
            return each
    expected = f"{name} must be one of {', '.join(map(repr, known))}"
    if not isinstance(value, str):
        raise TypeError(f"{expected}, got {described(value)}; pass {name}={known[0]!r}")
    strings = [each for each in known if isinstance(each, str)]
    nearest = [*difflib.get_close_matches(value[:100], strings, 1), known[0]][0]
    raise ValueError(f"{expected}, got {shortened(value)}; pass for example {name}={nearest!r}")


def node_numbers(name: str, numbers: NDArray[Any], num_nodes: int) -> None:
    """Check that numbers are those of neurons.

    Args:
        name: Name of the argument.
        numbers: Integers [K].
        num_nodes: Number of neurons N.

    Raises:
        ValueError: A number is not in [0, N). The message lists the first eight of them.
    """
    wrong = numbers[(numbers < 0) | (numbers >= num_nodes)].tolist()
    if wrong:
        listed = ", ".join(map(str, wrong[:8]))
        listed += f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise ValueError(
            f"{name} must be from 0 to {num_nodes - 1}, the numbers of {num_nodes} neurons, but "
            f"{len(wrong)} of {len(numbers)} are not: {listed}; pass {name} without these"
        )


def generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    """Return the only source of randomness of a call, ``numpy.random.default_rng(seed)``.

    Args:
        seed: An int >= 0, a generator, which is returned as it is, or None.

    Returns:
        The generator.

    Raises:
        TypeError: `seed` is of another type.
        ValueError: `seed` is negative.
    """
    if seed is None or isinstance(seed, np.random.Generator):
        return np.random.default_rng(seed)
    if isinstance(seed, bool | np.bool_) or not _is_index(seed):
        raise TypeError(
            "seed must be an int >= 0, a numpy.random.Generator or None, "
            f"got {described(seed)}; pass seed=0"
        )
    return np.random.default_rng(count("seed", seed, at_most=math.inf))
