"""The options of the commands, which are checked before a command starts.

This module does not import torch, which takes seconds, so that ``--help`` is fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sparsebrain.experiments import command_names as names

_LONGEST_TEXT = 4096
_SUFFIXES = "Connectome file; ends in {formats}."
_NEW_SUFFIXES = "Connectome file; ends in {written_formats}."


class BadValueError(typer.BadParameter):
    """The value of an option is invalid; the message names the option."""

    def format_message(self) -> str:
        """Return the message without typer's prefix."""
        return self.message


def name_of(param: typer.CallbackParam) -> str:
    """Return the user's name of an option, such as ``--epochs``, or argument, such as FILE."""
    name = param.opts[0]
    return name if name.startswith("-") else str(param.metavar)


def checked(check: Callable[[str, Any], Any]) -> dict[str, Any]:
    """Return keyword arguments of ``typer.Option`` for an option that checks its text."""

    def callback(param: typer.CallbackParam, value: Any) -> Any:
        name = name_of(param)
        try:
            texts = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
            for text in texts:
                if text is not None:
                    _check_text(name, text)
            return check(name, value) if texts and value is not None else None
        except (ValueError, TypeError) as error:
            raise BadValueError(str(error)) from None

    return {"parser": str, "callback": callback}


def _check_text(name: str, text: str) -> None:
    if not text.strip():
        raise ValueError(f"{name} must not be empty; pass a value, or leave {name} out")
    if len(text) > _LONGEST_TEXT:
        raise ValueError(
            f"{name} must have at most {_LONGEST_TEXT} characters, got {len(text)}; pass fewer"
        )


def integer(check: str) -> dict[str, Any]:
    """Return the same for an integer that a function of ``experiments.options`` checks."""

    def read(name: str, text: str) -> int:
        from sparsebrain.experiments import options  # noqa: PLC0415

        try:
            value = int(text)
        except ValueError:
            raise ValueError(
                f"{name} must be an integer, got {text!r}; pass for example {name}=5"
            ) from None
        return int(getattr(options, check)(name, value))

    return checked(read)


def _learning_rate(name: str, text: str) -> float | None:
    from sparsebrain.experiments import options  # noqa: PLC0415

    try:
        value = float(text)
    except ValueError:
        raise ValueError(
            f"{name} must be a number > 0, got {text!r}; pass for example {name}=0.001"
        ) from None
    return options.learning_rate(name, value)


def _loops(name: str, text: str) -> int | str:
    from sparsebrain.experiments.loop_options import parse_loops  # noqa: PLC0415

    return parse_loops(text, name).spec


def _variant(name: str, text: str) -> str:
    from graphs import arguments  # noqa: PLC0415
    from sparsebrain.models import EJIMA_VARIANTS  # noqa: PLC0415

    return arguments.option(name, text, EJIMA_VARIANTS)


def _neurons(name: str, texts: Sequence[str]) -> Sequence[str]:
    from sparsebrain.experiments import options  # noqa: PLC0415
    from sparsebrain.experiments.neuron_options import parse_neurons  # noqa: PLC0415

    options.once(name, [parse_neurons(text, name).spec for text in texts])
    return texts


def _studies(name: str, texts: Sequence[str]) -> Sequence[str]:
    from sparsebrain.experiments import options  # noqa: PLC0415
    from sparsebrain.experiments.error_diffusion_study.settings import ALL_STUDIES  # noqa: PLC0415

    return options.names(name, texts, ALL_STUDIES)


def _columns(name: str, text: str) -> dict[str, str | int | None]:
    """Return columns by role; a number is a position, and None or nothing means no column."""
    pairs = _pairs(name, text, "weight=strength")
    none = {"": None, "None": None}
    return {
        role: int(each) if each.isdigit() else none.get(each, each) for role, each in pairs.items()
    }


def _signs(name: str, text: str) -> dict[str, float]:
    pairs = _pairs(name, text, "glutamate=-1")
    signs = {"-1": -1.0, "0": 0.0, "1": 1.0, "+1": 1.0}
    for transmitter, sign in pairs.items():
        if sign not in signs:
            raise ValueError(
                f"{name} must have -1, 0 (unknown) or 1 for each transmitter, got {sign!r} for "
                f"{transmitter!r}; pass for example {name}=glutamate=-1"
            )
    return {transmitter: signs[sign] for transmitter, sign in pairs.items()}


def _pairs(name: str, text: str, example: str) -> dict[str, str]:
    """Return ``key=value,key=value`` as a dict."""
    found: dict[str, str] = {}
    for item in text.split(","):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not key or not equals or key in found:
            raise ValueError(
                f"{name} must be name=value pairs of different names, separated by commas, got "
                f"{item!r}; pass for example {name}={example}"
            )
        found[key] = value
    return found


def _duplicates(name: str, text: str) -> str:
    from graphs import arguments  # noqa: PLC0415

    return arguments.option(name, text, ("error", "sum"))


def _delimiter(name: str, text: str) -> str:
    plain = {"tab": "\t", "space": " "}.get(text, text)
    if len(plain) != 1 or plain in '"\r\n':
        raise ValueError(
            f"{name} must be one character, tab or space, got {text!r}; pass for example {name}=';'"
        )
    return plain


def _device(name: str, text: str) -> str:
    from sparsebrain.experiments.devices import check_device  # noqa: PLC0415

    return check_device(name, text)


def _shape(name: str, text: str) -> str:
    from sparsebrain.experiments import options  # noqa: PLC0415

    options.sheet(name, text)
    return text


def path(check: str) -> dict[str, Any]:
    """Return the same for a path that a function of ``experiments.options`` checks."""

    def read(name: str, text: str) -> Path:
        from sparsebrain.experiments import options  # noqa: PLC0415

        return Path(getattr(options, check)(name, text))

    return checked(read)


DataSet = Annotated[
    str, typer.Option(metavar="NAME", help="Data set: {datasets}.", **checked(names.data))
]
# Eager options are checked first, before others import torch.
AnyDataSet = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Data set: {datasets}; a file such as mine.csv; or a function, module:name.",
        is_eager=True,
        **checked(names.any_data),
    ),
]
Topologies = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SPEC",
        help="Topology; can be repeated; see above. Default: grid, coordinate, small-world, none.",
        **checked(names.topologies),
    ),
]
Nulls = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Null model of every topology; can be repeated; see above. Default: none.",
        is_eager=True,
        **checked(names.nulls),
    ),
]
Rules = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Learning rule; can be repeated; see above. Default: backprop.",
        is_eager=True,
        **checked(names.rules),
    ),
]
Neurons = Annotated[
    list[str] | None,
    typer.Option(
        metavar="rate|lif",
        help="Rate or spiking neurons; can be repeated; see above. Default: rate.",
        **checked(_neurons),
    ),
]
Loops = Annotated[
    str,
    typer.Option(
        metavar="N|equilibrium", help="Loops of the graph layer; see above.", **checked(_loops)
    ),
]
Epochs = Annotated[
    int, typer.Option(metavar="N", help="Epochs of each training.", **integer("epochs"))
]
Seeds = Annotated[
    int,
    typer.Option(metavar="N", help="Trainings of each kind, one per seed.", **integer("seeds")),
]
BatchSize = Annotated[
    int, typer.Option(metavar="N", help="Samples per step.", **integer("batch_size"))
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        help="Learning rate of every rule. Default: each rule's own.",
        **checked(_learning_rate),
    ),
]
Variant = Annotated[
    str,
    typer.Option(metavar="NAME", help="Variant of the models: {variants}.", **checked(_variant)),
]
Studies = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STUDY",
        help="Study; can be repeated: {studies}. Default: all.",
        **checked(_studies),
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder with mnist.npz or the IDX files. Default: $SPARSEBRAIN_DATA, or else OpenML.",
        **path("data_folder"),
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        metavar="N", help="Simultaneous trainings; -1 for one per core.", **integer("jobs")
    ),
]
Out = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Folder for the results.", **path("out_folder"))
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="TOML file with settings; options on the command line take precedence; see above.",
        **path("config_file"),
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="Device of the trainings, such as cpu, cuda, cuda:0 or mps.",
        **checked(_device),
    ),
]
SaveModels = Annotated[
    bool, typer.Option("--save-models", help="Also write the trained models to OUT/models.")
]
Report = Annotated[
    bool, typer.Option("--report", help="Also write OUT/report.html, a page with all results.")
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Also write a page with all measures; ends in .html.",
        **path("page_file"),
    ),
]
Spec = Annotated[
    str,
    typer.Argument(
        metavar="SPEC", help="Topology; see above.", is_eager=True, **checked(names.topology)
    ),
]
NewFileOrFolder = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help=_NEW_SUFFIXES[:-1] + "; or with --parts a folder.",
        **path("new_file_or_folder"),
    ),
]
Parts = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Number of processes; writes one file for the part of each.",
        **integer("parts"),
    ),
]
Shape = Annotated[
    str, typer.Option(metavar="SIDES", help="Lattice of the neurons.", **checked(_shape))
]
Seed = Annotated[int, typer.Option(metavar="N", help="Random seed.", **integer("seed"))]
File = Annotated[Path, typer.Argument(metavar="FILE", help=_SUFFIXES, **path("saved_file"))]
Full = Annotated[
    bool, typer.Option("--full", help="Also compute the measures that may take minutes.")
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="ROLE=NAME,...",
        help="Columns of the synapses, such as source=pre,weight=strength; "
        "a position if there is no header; nothing for no column.",
        **checked(_columns),
    ),
]
NeuronColumns = Annotated[
    str | None,
    typer.Option(
        metavar="ROLE=NAME,...",
        help="Columns of the neurons, such as type=class.",
        **checked(_columns),
    ),
]
Signs = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=SIGN,...",
        help="Signs of transmitters, such as glutamate=-1; others are unknown.",
        **checked(_signs),
    ),
]
Duplicates = Annotated[
    str | None,
    typer.Option(
        metavar="error|sum",
        help="Whether rows of one synapse are refused or added up.",
        **checked(_duplicates),
    ),
]
NeuronsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Table with one row per neuron.", **path("saved_file")),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        help="Character between two values, tab or space.",
        **checked(_delimiter),
    ),
]
Variable = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Matrix of a .mat file.", **checked(lambda _, text: text)),
]
