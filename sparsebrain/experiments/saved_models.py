"""Trained models of a comparison on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from graphs import arguments, paths
from graphs.fields import CONTRACT
from graphs.io import pt
from graphs.io.atomic import write_atomically
from graphs.io.limits import check_bytes, check_neurons
from sparsebrain.experiments import options
from sparsebrain.experiments.callbacks import Callback
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.run_files import stem_of
from sparsebrain.experiments.runner import train_again, train_missing
from sparsebrain.experiments.tables import parse_row
from sparsebrain.experiments.training import Run, Trained, connectome_of, make_rule
from sparsebrain.learning import RULES, Rule

FOLDER = "models"
"""The folder of the models in the output folder of a comparison."""

_FIX = "pass a file that sparsebrain compare --save-models has written"


def model_file(out: Path, run: Run) -> Path:
    """Return the file of the trained model of a run in an output folder."""
    return out / FOLDER / f"{stem_of(run)}.pt"


def save_model(out: Path, run: Run, images: Images, model: nn.Module) -> None:
    """Write the trained model of a run to its file, either completely or not at all.

    The file is a dictionary that ``torch.load(path, weights_only=True)`` reads. Its entry
    ``state_dict`` has the tensors of the model. The other entries, from which
    :func:`load_trained` makes the model, are ``run``, ``connectome``, ``sheet``, ``in_features``
    and ``num_classes``.

    Args:
        out: The output folder.
        run: The run.
        images: Its data set.
        model: The trained model, on the CPU.

    Raises:
        OSError: The file cannot be written.
    """
    connectome = connectome_of(run, images.sheet)
    # Copies, because torch saves the whole storage of a view.
    content = {
        "state_dict": {name: each.clone() for name, each in model.state_dict().items()},
        "run": asdict(run),
        "connectome": None if connectome is None else _plain(connectome),
        "sheet": list(images.sheet),
        "in_features": images.train_x.size(1),
        "num_classes": images.num_classes,
    }
    path = model_file(out, run)
    path.parent.mkdir(exist_ok=True)

    def write(aside: Path) -> None:
        # Given a path, torch would not say why the file cannot be written.
        with aside.open("wb") as file:
            torch.save(content, file)

    write_atomically(path, write)


def train_and_save(
    labels: Mapping[Run, str],
    results: Results,
    images: Images,
    *,
    data_dir: Path | None,
    jobs: int,
    callbacks: Sequence[Callback],
    console: Console | None,
) -> None:
    """Train the runs that are not finished, and write the models of all that did not diverge.

    Finished runs whose models the output folder does not have are trained again.

    Args:
        labels: As for :func:`~sparsebrain.experiments.runner.train_missing`, like all others.
        results: The finished runs.
        images: The data set of the runs.
        data_dir: Where the images are.
        jobs: The number of trainings side by side.
        callbacks: Observe the trainings.
        console: Shows progress.

    Raises:
        ValueError: A repeated training has another accuracy than the kept result, as another
            processor may give.
        OSError: A file cannot be written.
    """
    out = results.folder
    where: Any = {"data_dir": data_dir, "jobs": jobs, "callbacks": callbacks}

    def keep(run: Run, trained: Trained) -> None:
        if not trained.outcome.diverged:
            save_model(out, run, images, trained.model)

    train_missing(labels, results, console=console, finish=keep, **where)
    missing = [
        run
        for run in labels
        if not results.outcomes[run].diverged and not model_file(out, run).exists()
    ]
    for run, trained in train_again(missing, **where):
        kept, found = (each.test_accuracy for each in (results.outcomes[run], trained.outcome))
        if found != kept:
            raise ValueError(
                f"save_models: {run.topology}, {run.rule}, seed {run.seed} was kept with an "
                f"accuracy of {kept:.2%} and without its model, but its repeated training gave "
                f"{found:.2%}, as another processor may; use another folder for out"
            )
        save_model(out, run, images, trained.model)


def load_trained(path: str | os.PathLike[str]) -> Rule:
    """Load a model that a comparison with ``save_models=True`` has trained.

    Args:
        path: A file in the folder ``models`` of the output folder.

    Returns:
        The rule around the trained model, in evaluation mode: ``rule.predict(x)`` returns the class
        scores of samples x [B, in_features], and ``rule.model`` is the model.

    Raises:
        TypeError: ``path`` is not a path.
        ValueError: The file is damaged or was not written by a comparison, or :data:`RULES
            <sparsebrain.learning.RULES>` does not have the rule.
        OSError: The file does not exist or cannot be read.

    Example:
        >>> import pathlib, tempfile
        >>> from sparsebrain.experiments import compare, load_trained
        >>> from sparsebrain.experiments.datasets import load
        >>> from sparsebrain.experiments.training import evaluate
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = compare(topologies=["none"], epochs=1, seeds=1, jobs=1, out=folder,
        ...                    save_models=True)
        ...     (path,) = pathlib.Path(folder, "models").iterdir()
        ...     rule = load_trained(path)
        >>> digits = load("digits")
        >>> found = evaluate(rule, digits.test_x, digits.test_y).accuracy
        >>> found == rows[0].outcomes[0].test_accuracy
        True
    """
    file = paths.file("path", options.path("path", path), _FIX)
    try:
        with file.open("rb") as opened:
            # Nothing in the archive is compressed.
            content = pt.load_plain(opened, most := file.stat().st_size)
        run = parse_row(Run, {name: str(value) for name, value in content["run"].items()})
        data, samples = _connectome(content["connectome"], most), _no_samples(content)
        state = dict(content["state_dict"])
    except OSError:
        raise
    except Exception as error:
        # A damaged file makes zipfile, pickle and torch raise nearly anything.
        told = f"it lacks {error}" if isinstance(error, KeyError) else _first_line(error)
        raise ValueError(f"path must be a saved model, but {file} is not: {told}; {_FIX}") from None
    if run.rule not in RULES:
        raise ValueError(
            f"path has a model of the rule {run.rule!r}, which is not in RULES; write "
            f"RULES[{run.rule!r}] = MyRule with the class of the rule, and pass path again"
        )
    try:
        rule = make_rule(run, data, samples)
        rule.model.load_state_dict(state)
    except (ValueError, TypeError, RuntimeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"path must be a saved model, but {file} has other tensors than the model of its run: "
            f"{_first_line(error)}; {_FIX}"
        ) from None
    return rule.eval()


def _plain(data: Data) -> dict[str, Any]:
    """Return the fields of a connectome as tensors, numbers and lists."""
    return {
        name: value.detach().cpu().clone() if isinstance(value, Tensor) else value
        for name, value in ((name, data[name]) for name in CONTRACT if name in data)
    }


def _connectome(fields: dict[str, Any] | None, most: int) -> Data | None:
    """Return a connectome from its fields, which may take as many bytes as the file has."""
    if fields is None:
        return None
    check_neurons(arguments.count("num_nodes", fields["num_nodes"]), most)
    for name, value in fields.items():
        arguments.option("a field of the connectome", name, CONTRACT)
        if isinstance(value, Tensor):
            # A view can repeat one value any number of times.
            check_bytes(f"{name} takes", value.numel() * value.element_size(), most)
    data = Data(**fields)
    graphs.validate(data)
    return data


def _no_samples(content: dict[str, Any]) -> Images:
    """Return a data set of the shapes of a file, without samples."""
    sizes = {
        name: arguments.count(name, content[name], at_least=1, at_most=options.MOST_SAMPLES)
        for name in ("in_features", "num_classes")
    }
    sheet = tuple(
        arguments.count("sheet", side, at_least=1, at_most=options.MOST_NEURONS)
        for side in content["sheet"]
    )
    x, y = torch.empty(0, sizes["in_features"]), torch.empty(0, dtype=torch.int64)
    return Images("", sizes["num_classes"], sheet, x, y, x, y)


def _first_line(error: Exception) -> str:
    return f"{error}".partition("\n")[0] or type(error).__name__
