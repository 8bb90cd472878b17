"""Settings of a command from a file, for options that the command line does not give."""

from __future__ import annotations

from typing import Any

from sparsebrain.experiments.config import read_settings

OPTION = "config"
"""The option that names the file."""

# Options that can be repeated, and the arguments that they set.
_REPEATED = {"topology": "topologies", "rule": "rules"}


def fill(context: Any) -> list[str]:
    """Replace the defaults of a command's options by the settings in its file, if it has one.

    Args:
        context: The context of the command, whose options are parsed.

    Returns:
        The keys in the file that were used.

    Raises:
        ValueError: The file cannot be read, or has an unknown key.
    """
    path = context.params.get(OPTION)
    if path is None:
        return []
    used = []
    options = {_REPEATED.get(name, name): name for name in context.params if name != OPTION}
    for key, value in read_settings(f"--{OPTION}", path, options.keys()).items():
        if context.get_parameter_source(options[key]).name == "DEFAULT":
            context.params[options[key]] = value
            used.append(key)
    return used
