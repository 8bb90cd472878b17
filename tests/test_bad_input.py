"""Every public callable is given every kind of bad value, one argument at a time.

A bad value must be refused by the packages' own code, in a message that names the argument and
says what to do. `python -m tests.test_bad_input` counts the cases and prints those that fail.
"""

import contextlib
import pathlib
import re
import resource
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch_geometric.data import Data

import graphs
import sparsebrain
from tests.bad_values import VALUES, damaged_connectomes, damaged_tensors
from tests.callables import NOT_CALLED, PACKAGES, public_calls, suits

CALLS = public_calls()
# An error about a connectome names the field that is wrong.
FIELDS = (
    *("connectome", "edge_index", "num_nodes", "edge_weight", "edge_sign", "edge_type"),
    *("node_sign", "node_type", "pos", "names", "shape"),
)
ROOTS = tuple(str(pathlib.Path(package.__file__).parent) for package in (graphs, sparsebrain))
REMEDY = re.compile(
    r"\b(pass|use|call|leave|give|choose|make|install|load|set|raise|draw|add|convert|build|remove"
    r"|lower|move|take|put|name|write|read|save|train|start|let|divide|subtract)\b"
)
SECONDS = 5
# More than any good call needs, and less than what a bad one would ask for.
ROOM = 8 * 2**30


class Hung(BaseException):
    """A call did not return in time; no handler of errors catches it."""


def bad_values(name: str, argument: str, good: Any) -> Iterator[tuple[str, Any]]:
    """Yield each kind of value that the argument cannot mean, and what nearly is a good one."""
    suited = suits(name, argument)
    values = dict(VALUES)
    if isinstance(good, torch.Tensor):
        values |= dict(damaged_tensors(good))
    if isinstance(good, Data):
        values |= dict(damaged_connectomes(good))
    return ((kind, value) for kind, value in values.items() if kind not in suited)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def hang(*_: Any) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fault(name: str, argument: str, value: Any) -> str | None:
    """Return what is wrong with the answer to a bad value; None where it is refused clearly."""
    call = CALLS[name]
    try:
        with _limited(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call.function(**{**call.arguments, argument: value})
    except Hung:
        return "hangs"
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        innermost = traceback.extract_tb(error.__traceback__)[-1].filename
        if not innermost.startswith(ROOTS) or not isinstance(error, TypeError | ValueError):
            return f"foreign: {message}"
        named = [argument, *(FIELDS if isinstance(call.arguments[argument], Data) else ())]
        if not re.search(rf"\b({'|'.join(named)})\b", message):
            return f"does not name {argument}: {message}"
        if not REMEDY.search(message):
            return f"no remedy: {message}"
        return None
    return "silent"


def faults(name: str) -> dict[tuple[str, str], str]:
    """Return what is wrong with answers of one callable, by argument and kind of value."""
    found = {}
    for argument, good in CALLS[name].arguments.items():
        for kind, value in bad_values(name, argument, good):
            told = fault(name, argument, value)
            if told is not None:
                found[argument, kind] = told
    plt.close("all")
    return found


@pytest.fixture(scope="module", autouse=True)
def _room() -> Iterator[None]:
    """Refuse what would fill the machine, so that it fails here and harms nothing else."""
    with room():
        yield


@contextlib.contextmanager
def room() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[5])
    resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_value_is_refused_by_name_and_with_a_remedy(name: str) -> None:
    assert faults(name) == {}


def test_every_public_callable_is_in_the_table() -> None:
    called = {name.split(" ")[0].split(".")[-1].split("[")[0] for name in CALLS}
    for package in PACKAGES:
        public = {name for name in package.__all__ if callable(getattr(package, name))}
        assert public - called <= NOT_CALLED, package.__name__


def test_there_are_thousands_of_cases() -> None:
    assert sum(len(list(bad_values(*case))) for case in _arguments()) >= 3000


def _arguments() -> Iterator[tuple[str, str, Any]]:
    for name, call in CALLS.items():
        for argument, good in call.arguments.items():
            yield name, argument, good


if __name__ == "__main__":
    cases, counted = 0, Counter()
    with room():
        for each in CALLS:
            if len(sys.argv) > 1 and sys.argv[1] not in each:
                continue
            cases += sum(
                len(list(bad_values(each, *argument))) for argument in CALLS[each].arguments.items()
            )
            for (argument, kind), told in faults(each).items():
                counted[told.split(":")[0].split(" ")[0]] += 1
                print(f"{each} | {argument} | {kind} | {told[:300]!r}")
    print(f"{cases} cases, {dict(counted)}")
