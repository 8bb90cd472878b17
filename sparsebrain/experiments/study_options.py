"""The options of the commands that study plasticity, memory, reward and wiring.

As in :mod:`~sparsebrain.experiments.command_options`, nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sparsebrain.experiments import command_names as names
from sparsebrain.experiments.command_options import checked, integer, path


def _task(name: str, text: str) -> str:
    from graphs import arguments  # noqa: PLC0415
    from sparsebrain.reward import TASKS  # noqa: PLC0415

    return arguments.option(name, text, TASKS)


def _brain(name: str, text: str) -> str:
    from sparsebrain.experiments.options import OptionError  # noqa: PLC0415
    from sparsebrain.experiments.wiring_study.study import brain_of  # noqa: PLC0415

    names.topology(name, text)
    try:
        brain_of(text)
    except OptionError as error:
        raise ValueError(error.told(name)) from None
    return text


def _text(name: str, text: str) -> str:
    return text


def _wiring_task(name: str, text: str) -> str:
    from graphs import arguments  # noqa: PLC0415
    from sparsebrain.experiments.wiring_study.tasks import TASKS  # noqa: PLC0415

    return arguments.option(name, text, TASKS)


def _handwriting(name: str, texts: Sequence[str]) -> Sequence[str]:
    from sparsebrain.experiments import options  # noqa: PLC0415
    from sparsebrain.experiments.one_shot_study.sources import parse_all  # noqa: PLC0415

    options.once(name, texts)
    parse_all(name, texts)
    return texts


def _reward_topologies(name: str, texts: Sequence[str]) -> Sequence[str]:
    from sparsebrain.experiments import options  # noqa: PLC0415

    # These two are no topologies elsewhere, or need options there.
    own = [each.strip() for each in texts if each.strip() in ("layered", "loopy")]
    others = [each for each in texts if each.strip() not in own]
    options.once(name, [*own, *(names.topology(name, text) for text in others)])
    return texts


OneShotTopologies = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SPEC",
        help="Topology of a graph layer; can be repeated. Default: grid.",
        **checked(names.topologies),
    ),
]
Handwriting = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|known:FILE|new:FILE",
        help="Handwriting, {handwriting}, or images of yours; can be repeated; see above.",
        **checked(_handwriting),
    ),
]
HandwritingDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        help="Folder with files of --data. Default: $SPARSEBRAIN_DATA, or else OpenML.",
        **path("data_folder"),
    ),
]
Omniglot = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder with images_background and images_evaluation of Omniglot.",
        **path("data_folder"),
    ),
]
RewardTopologies = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SPEC",
        help="layered, loopy or a topology of hidden neurons; can be repeated. "
        "Default: layered, loopy.",
        **checked(_reward_topologies),
    ),
]
Trials = Annotated[int, typer.Option(metavar="N", help="Trials of each bird.", **integer("trials"))]
Excitatory = Annotated[
    int,
    typer.Option(metavar="N", help="Excitatory neurons.", **integer("excitatory")),
]
TrainingImages = Annotated[
    int | None,
    typer.Option(metavar="N", help="Training images. Default: all.", **integer("images")),
]
TaskName = Annotated[
    str, typer.Option("--task", metavar="NAME", help="Task: {tasks}.", **checked(_task))
]
Batches = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Batches of 32 episodes. Default: 600 for bandit, 300 for catch, 100 for cartpole.",
        **integer("trials"),
    ),
]
Brain = Annotated[
    str,
    typer.Option(
        metavar="SPEC",
        help="Topology that states its size, such as c-elegans or file:brain.npz.",
        **checked(_brain),
    ),
]
WiringTask = Annotated[
    str,
    typer.Option("--task", metavar="NAME", help="Task: odors, digits.", **checked(_wiring_task)),
]
Inputs = Annotated[
    str | None,
    typer.Option(
        metavar="POPULATION",
        help="Population that receives. Default: P or sensory, or else all neurons.",
        **checked(_text),
    ),
]
Outputs = Annotated[
    str | None,
    typer.Option(
        metavar="POPULATION",
        help="Population that is read. Default: O or motor, or else all neurons.",
        **checked(_text),
    ),
]
