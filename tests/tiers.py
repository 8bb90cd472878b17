"""Which tests are slow: `pytest -m "not slow"` leaves them out, and is done within a minute.

Slow is a test that `slow.txt` lists, and of a test over combinations of arguments every case but a
sample in which each value of each argument occurs. So neither a new case nor a test that moves to
another folder needs a mark.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

# Lines of file::function, where * stands for anything; what follows a # is a remark.
LISTED = tuple(
    entry
    for line in (Path(__file__).parent / "slow.txt").read_text(encoding="utf-8").splitlines()
    if (entry := line.partition("#")[0].strip())
)


def lists(entry: str, path: Path, function: str) -> bool:
    """Tell whether a line of slow.txt names a function of a file, in whatever folder that lies."""
    return fnmatchcase(f"/{path.as_posix()}::{function}", f"*/{entry}")


def sample(cases: Sequence[Mapping[str, object]]) -> set[int]:
    """Return positions of cases in which each value of each argument occurs.

    First those where all are new, so that two arguments of n values take n cases and not 2 n.
    """
    # Values need not be hashable; of one argument each is the same object in all its cases.
    keys = [{(name, id(value)) for name, value in case.items()} for case in cases]
    seen: set[tuple[str, int]] = set()
    kept = set()
    for enough in (all, any):
        for at, values in enumerate(keys):
            if at not in kept and enough(value not in seen for value in values):
                kept.add(at)
                seen |= values
    return kept
