"""The trainings that a folder of scores does not hold yet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console

from sparsebrain.experiments.runner import tell_torn, train_unclaimed
from sparsebrain.experiments.scored_folder import Score, ScoredFolder, Setting


def train_missing(
    wanted: Iterable[Setting],
    kept: ScoredFolder[Setting, Score],
    function: Callable[..., tuple[Setting, Score]],
    arguments_of: Callable[[Setting], tuple[Any, ...]],
    jobs: int,
    console: Console | None,
    tell: Callable[[Setting, Score], str],
) -> None:
    """Train what a folder does not hold, and add each training as soon as it is finished.

    Args:
        wanted: The settings of the trainings; each is trained once.
        kept: The folder.
        function: Runs a training in another process, and returns its setting and score.
        arguments_of: Returns the arguments of ``function`` for a setting.
        jobs: The number of simultaneous trainings; -1 for one per core.
        console: Shows a line per training; None prints nothing.
        tell: Describes a training for its line.
    """
    if console is not None:
        tell_torn(kept, console)
    missing = [each for each in dict.fromkeys(wanted) if each not in kept]
    trainings = train_unclaimed(missing, kept, function, arguments_of, jobs, console)
    with contextlib.closing(trainings):
        for setting, score in trainings:
            kept.add(setting, score)
            if console is not None:
                number = sum(each in kept for each in missing)
                console.print(f"{number} of {len(missing)}: {tell(setting, score)}")
