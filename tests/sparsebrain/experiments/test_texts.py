"""Values out of texts, by types."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pytest

from sparsebrain.experiments.texts import reader_of, readers_of


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (int, "3", 3),
        (int | None, "3", 3),
        (float, "3", 3.0),
        (float | None, "1e-3", 1e-3),
        (bool, "True", True),
        (bool, "false", False),
        (str, "a:b", "a:b"),
        (str | Callable[[float], float], "step", "step"),
        (Literal["a", "b"], "b", "b"),
        (Literal["a", "b"] | None, "b", "b"),
        (Sequence[int], "4", (4,)),
        (Sequence[int] | None, "4x5", (4, 5)),
        (int | Sequence[int], "4", 4),
        (float | Sequence[float], "2.5", 2.5),
        (float | Sequence[float] | None, "2.5x1", (2.5, 1.0)),
        (bool | Sequence[bool], "true", True),
        (bool | Sequence[bool], "truexfalse", (True, False)),
        (tuple[float, ...], "1x2", (1.0, 2.0)),
    ],
)
def test_a_text_is_read_by_the_type(hint, text, value):
    found = reader_of("option", hint)(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("hint", [Callable[[float], float], np.random.Generator, Sequence[str]])
def test_what_no_text_states_is_no_option(hint):
    assert reader_of("option", hint) is None


@pytest.mark.parametrize(
    ("hint", "text", "match"),
    [
        (int, "3.0", "is not an integer; write for example 5"),
        (float, "wide", "is not a number"),
        (bool, "1", "is neither true nor false"),
        (int | Sequence[int], "4x", "does not consist of integers; write for example 28x28"),
        (float | Sequence[float], "", "does not consist of numbers; write for example 2.5, or"),
        (Literal["a", "b"], "c", "option must be one of 'a', 'b', got 'c'"),
    ],
)
def test_a_text_of_another_type_is_refused(hint, text, match):
    with pytest.raises(ValueError, match=match):
        reader_of("option", hint)(text)


def test_options_come_in_the_order_of_the_arguments():
    def make(b: int, a: float = 1.0, *others: int, seed: int, **more: int) -> None:
        pass

    assert list(readers_of(make)) == ["b", "a", "seed"]
    assert list(readers_of(make, without=("seed",))) == ["b", "a"]
