"""What a run was made of, beside its options: images, connectomes and code, as checksums."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch_geometric.data import Data

import graphs
import sparsebrain
from sparsebrain.experiments.checksums import checksum_of, checksum_of_files, is_of_a_package
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.training import Run, connectome_of
from sparsebrain.learning import RULES

CHECKSUMS = {
    "images_checksum": "other images",
    "connectome_checksum": "another connectome",
    "code_checksum": "other code",
}
"""The fields of a run that :func:`seal` fills, and what is told where one of them differs."""

NOT_TRAINED_BY = (
    *("cli.py", "diagnostics", "experiments/figures", "experiments/error_diffusion_study"),
    *("experiments/comparison.py", "experiments/reproduction.py", "experiments/generation.py"),
    *("experiments/report.py", "experiments/significance.py", "experiments/verdict.py"),
    *("experiments/tables.py", "experiments/results.py", "experiments/runner.py"),
    *("experiments/fingerprint.py", "experiments/occlusion.py", "experiments/recall.py"),
    *("experiments/help_texts.py", "experiments/shared_folder.py"),
    "experiments/command_options.py",
)
"""Files and folders of the package that say or keep what came out, and that no training imports."""


def seal(runs: Iterable[Run], images: Images) -> Iterator[Run]:
    """The same runs with the checksums of all that they are made of.

    A run is known again by all its fields. So a rule, a topology or a data set that was changed
    under its name, or another version of this package, makes another run of it.

    Args:
        runs: of this data set; every connectome is built, once for all rules.
        images: the data set.
    """
    built: dict[Run, str] = {}
    for run in runs:
        # What decides about a connectome; that of a file has no seed.
        alike = replace(run, rule="", learning_rate=0.0, loops=1, epochs=1)
        if run.checksum:
            alike = replace(alike, seed=0)
        if alike not in built:
            built[alike] = checksum_of_connectome(connectome_of(run, images.sheet))
        yield replace(
            run,
            images_checksum=images.checksum,
            connectome_checksum=built[alike],
            code_checksum=checksum_of_code(run.rule),
        )


def check(run: Run, images: Images, connectome: Data | None) -> None:
    """ValueError where a sealed run is to be trained with anything else than it was sealed with."""
    found = {
        "images_checksum": images.checksum,
        "connectome_checksum": checksum_of_connectome(connectome),
        "code_checksum": checksum_of_code(run.rule),
    }
    reasons = {
        "images_checksum": "give every machine the same files",
        "connectome_checksum": "let its builder return the same for the same seed, each time",
        "code_checksum": "give every process and machine the same versions, and restart those that "
        "hold older code",
    }
    for name, value in found.items():
        if getattr(run, name) not in ("", value):
            raise ValueError(
                f"{run.topology}, {run.rule}, seed {run.seed}: the training found "
                f"{CHECKSUMS[name]} than the command began with; {reasons[name]}."
            )


def checksum_of_connectome(data: Data | None) -> str:
    """Of everything that a connectome carries, in any order of its fields."""
    return "" if data is None else checksum_of(dict(sorted(data.to_dict().items())))


def checksum_of_code(rule: str, also: Iterable[Path] = ()) -> str:
    """Of all code that a training by a rule runs: this package's, torch's version, and the rule's.

    Of the package the files count and not its version, which says nothing of a changed checkout,
    and compiled files among them: what is rounded otherwise is another result. Files that no
    training imports are left out, so that a new sentence in a report costs no training. Of rules
    outside the package the code itself counts. Python, the processor and the number of machines do
    not count: they are not meant to change results.

    Args:
        rule: its name.
        also: further files that the training runs.
    """
    kind = RULES[rule]
    own = "" if is_of_a_package(kind) else checksum_of(kind)
    also = [*also]
    further = checksum_of_files(also) if also else ""
    text = f"{_checksum_of_packages()} torch {torch.__version__} {own}{further}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _checksum_of_packages() -> str:
    ours = Path(sparsebrain.__file__).parent
    theirs = Path(graphs.__file__).parent
    excluded = {ours / each for each in NOT_TRAINED_BY}
    files = [
        path
        for path in _code_in(ours, "**/*")
        if path not in excluded and excluded.isdisjoint(path.parents)
    ]
    # Connectomes have a checksum of their own; L and C of the results are measured.
    return checksum_of_files([*files, *_code_in(theirs, "measures/*"), *_code_in(theirs, "*.so")])


def _code_in(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.suffix in (".py", ".so", ".pyd"))
