"""Settings of a command from a file, for options that the command line does not give."""

from __future__ import annotations

from typing import Any

from sparsebrain.experiments.command_options import BadValueError
from sparsebrain.experiments.config import read_settings

OPTION = "config"
"""The option that names the file."""

# Options whose arguments have other names, because they can be repeated.
_REPEATED = {"topology": "topologies", "rule": "rules"}
# Of these, typer would convert a value of the wrong type.
_LISTS = ("topologies", "rules", "neurons", "null")
_TEXTS = ("data", "data_dir", "out", "device")


def fill(context: Any) -> list[str]:
    """Replace the defaults of a command's options by the settings in its file, if it has one.

    Args:
        context: The context of the command, whose options are parsed.

    Returns:
        The keys in the file that were used.

    Raises:
        BadValueError: The file cannot be read, has an unknown key, or a value of the wrong type.
    """
    path = context.params.get(OPTION)
    if path is None:
        return []
    used = []
    options = {_REPEATED.get(name, name): name for name in context.params if name != OPTION}
    try:
        found = read_settings(f"--{OPTION}", path, options.keys())
    except ValueError as error:
        raise BadValueError(str(error)) from None
    for key, value in found.items():
        if key in _LISTS and not isinstance(value, list):
            raise BadValueError(f"{key} must be a list, got {value!r} in {path}; write [{value!r}]")
        if key in _TEXTS and not isinstance(value, str):
            raise BadValueError(f"{key} must be text, got {value!r} in {path}; write '{value}'")
        if context.get_parameter_source(options[key]).name == "DEFAULT":
            context.params[options[key]] = value
            used.append(key)
    return used
