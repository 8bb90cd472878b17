"""The options of the command that measures connectomes."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from sparsebrain.experiments.command_options import checked, integer


def _null_model(name: str, text: str) -> str:
    from graphs import arguments  # noqa: PLC0415
    from graphs.transforms.null_models import NullName  # noqa: PLC0415

    return str(arguments.option(name, text, get_args(NullName)))


Weight = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD",
        help="Field of weights that path lengths, clustering and communities read, such as "
        "edge_weight. Default: none.",
        **checked(lambda _, text: text),
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Null model to compare with: {null_models}.",
        **checked(_null_model),
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(metavar="N", help="Null graphs. Default: 100.", **integer("samples")),
]
NullJobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        help="Null graphs at the same time; -1 for one per core. Default: 1.",
        **integer("jobs"),
    ),
]
