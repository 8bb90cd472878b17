"""Checks of arguments: what came, what was expected, and the call that fixes it."""

import math
import operator
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

# Which of a neuron's synapses its degree counts: received, sent, or all.
Direction = Literal["in", "out", "both"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

_Option = TypeVar("_Option")

# More neurons, synapses or rounds than any machine has room or time for.
MOST = 2**40


def count(name: str, value: Any, *, at_least: int = 0, at_most: float = MOST) -> int:
    """Return `value` as an int, or say why it is no whole number in [at_least, at_most]."""
    # Kernels count at every call, and nearly always get what they expect.
    if type(value) is int and at_least <= value <= at_most:
        return value
    expected = f"{name} must be an integer >= {at_least}"
    # bool is an int to Python, and a True that slips in as a size is a bug at the caller's.
    if isinstance(value, bool | np.bool_) or not _is_index(value):
        fix = _whole(value)
        raise TypeError(
            f"{expected}, got {value!r} of type {type(value).__name__}; "
            + (f"pass {name}={fix}" if fix is not None else f"pass an int, {name}={at_least + 1}")
        )
    number = operator.index(value)
    if number < at_least:
        raise ValueError(f"{expected}, got {number}; pass {name}={at_least} or more")
    if number > at_most:
        raise ValueError(f"{expected} and at most {at_most}, got {number}; pass a smaller one")
    return number


def _is_index(value: Any) -> bool:
    # Arrays have the method, and most of them no index.
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def _whole(value: Any) -> int | None:
    if isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer():
        return int(float(value))
    return None


def real(name: str, value: Any, *, positive: bool = False, at_most: float = math.inf) -> float:
    """Return `value` as a finite float in [0, at_most], or (0, at_most] if `positive`."""
    bound = f"in [0, {at_most:g}]" if at_most < math.inf else "> 0" if positive else ">= 0"
    expected = f"{name} must be a finite number {bound}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(
            f"{expected}, got {value!r} of type {type(value).__name__}; pass a number, {name}=1.0"
        )
    number = float(value)
    too_small = number <= 0 if positive else number < 0
    if not math.isfinite(number) or too_small or number > at_most:
        raise ValueError(f"{expected}, got {number}; pass for example {name}={min(1.0, at_most)}")
    return number


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool; anything that is merely truthy is refused."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"{name} must be True or False, got {value!r} of type {type(value).__name__}; "
            f"pass {name}={bool(value) if isinstance(value, int | float) else True}"
        )
    return bool(value)


def directed(value: Any, *, by_default: bool) -> bool:
    """Return whether a random graph is directed; None leaves that to the model's own definition."""
    return by_default if value is None else flag("directed", value)


def flags(name: str, value: Any, axes: int) -> tuple[bool, ...]:
    """Return one bool per axis from one bool for all, or from one per axis."""
    if isinstance(value, bool | np.bool_):
        return (bool(value),) * axes
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        raise TypeError(
            f"{name} must be True, False or one of them per axis, got {value!r} "
            f"of type {type(value).__name__}; pass {name}=True"
        )
    if len(value) != axes:
        raise ValueError(
            f"{name} must have one bool for each of the {axes} axes, got {len(value)}; "
            f"pass {name}={(True,) * axes}"
        )
    return tuple(flag(f"{name}[{axis}]", each) for axis, each in enumerate(value))


def option(name: str, value: Any, options: Iterable[_Option]) -> _Option:
    """Return `value` if it is one of `options`: strings, None, True or False."""
    known = list(options)
    for each in known:
        if value is each or (isinstance(value, str) and value == each):
            return each
    expected = f"{name} must be one of {', '.join(map(repr, known))}"
    if not isinstance(value, str):
        raise TypeError(
            f"{expected}, got {value!r} of type {type(value).__name__}; pass {name}={known[0]!r}"
        )
    raise ValueError(f"{expected}, got {value!r}; pass for example {name}={known[0]!r}")


def node_numbers(name: str, numbers: NDArray[Any], num_nodes: int) -> None:
    """Say which of `numbers` [K] are not those of neurons, if some are not."""
    wrong = numbers[(numbers < 0) | (numbers >= num_nodes)].tolist()
    if wrong:
        told = ", ".join(map(str, wrong[:8]))
        told += f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise ValueError(
            f"{name} must be from 0 to {num_nodes - 1}, the numbers of {num_nodes} neurons, but "
            f"{len(wrong)} of {len(numbers)} are not: {told}; leave these out"
        )


def generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    """Return the only source of randomness of a call: `numpy.random.default_rng(seed)`."""
    if seed is None or isinstance(seed, np.random.Generator):
        return np.random.default_rng(seed)
    if isinstance(seed, bool | np.bool_) or not _is_index(seed):
        raise TypeError(
            "seed must be an int >= 0, a numpy.random.Generator or None, "
            f"got {seed!r} of type {type(seed).__name__}; pass seed=0"
        )
    return np.random.default_rng(count("seed", seed, at_most=math.inf))
