"""Checksums of what determines a run besides its options: images, connectome and code."""

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
from sparsebrain.experiments.nulls import split_null
from sparsebrain.experiments.training import Run, connectome_of
from sparsebrain.learning import RULES

CHECKSUMS = {
    "images_checksum": "other images",
    "connectome_checksum": "another connectome",
    "code_checksum": "other code",
}
"""The fields of a run that :func:`seal` sets, and how reports describe a different value."""

NOT_TRAINED_BY = (
    *("cli", "diagnostics", "distributed", "experiments/figures"),
    "experiments/error_diffusion_study",
    *("experiments/plasticity_study", "experiments/one_shot_study"),
    *("experiments/reward_study", "reward", "experiments/wiring_study"),
    "experiments/pipeline_study",
    *("experiments/measuring.py", "experiments/measure_options.py", "experiments/study_options.py"),
    "testing.py",
    *("experiments/comparison.py", "experiments/reproduction.py", "experiments/generation.py"),
    *("experiments/report.py", "experiments/significance.py", "experiments/verdict.py"),
    *("experiments/tables.py", "experiments/results.py", "experiments/runner.py"),
    *("experiments/fingerprint.py", "experiments/occlusion.py", "experiments/recall.py"),
    *("experiments/help_texts.py", "experiments/shared_folder.py"),
    *("experiments/scored_folder.py", "experiments/scored_training.py"),
    "experiments/notebook_progress.py",
    *("experiments/command_options.py", "experiments/command_names.py", "experiments/objects.py"),
    *("experiments/callbacks.py", "experiments/run_files.py", "experiments/devices.py"),
    *("experiments/saved_models.py", "experiments/config.py", "experiments/pages"),
)
"""Files and folders of the package that store or report results, and that no training imports."""


def seal(runs: Iterable[Run], images: Images) -> Iterator[Run]:
    """Yield the same runs with the checksums of everything that determines their results.

    A finished run is used again only if all fields are equal. A rule, a topology or a data set that
    has changed while its name has not, or another version of this package, therefore gives a
    different run.

    Args:
        runs: Runs on this data set. Each connectome is built once, for all rules.
        images: The data set.

    Yields:
        The runs, in order.
    """
    built: dict[Run, str] = {}
    for run in runs:
        # Only what determines the connectome. One from a file does not depend on the seed, unlike
        # its null models.
        alike = replace(run, rule="", learning_rate=0.0, loops=1, epochs=1, neuron_model="")
        if run.checksum and not split_null(run.topology)[1]:
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
    """Check that images, connectome and code still have the checksums of a sealed run.

    Args:
        run: The run; empty checksums are not compared.
        images: The images that the training uses.
        connectome: The connectome that it uses, None for none.

    Raises:
        ValueError: A checksum differs.
    """
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
    """Return the checksum of all fields of a connectome, whatever their order."""
    return "" if data is None else checksum_of(dict(sorted(data.to_dict().items())))


def checksum_of_code(rule: str, also: Iterable[Path] = ()) -> str:
    """Return the checksum of all code that a training by a rule runs.

    It covers the source and compiled files of this package, the version of torch, and the code of a
    rule from outside the package. The version of the package is not enough, as a checkout can
    change without it; compiled files count because other rounding gives other results. Files that
    no training imports do not count, so that a change of a report does not repeat trainings. Nor do
    Python, the processor and the number of machines, which should not change results.

    Args:
        rule: The name of the rule.
        also: Further files that the training runs.

    Returns:
        16 hexadecimal digits.
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
    # Generators do not count, since connectomes have their own checksum. Measures do: path length
    # and clustering are part of the results.
    return checksum_of_files([*files, *_code_in(theirs, "measures/*"), *_code_in(theirs, "*.so")])


def _code_in(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.suffix in (".py", ".so", ".pyd"))
