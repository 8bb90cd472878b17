"""Loading of connectomes for commands and for texts of topologies."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from torch_geometric.data import Data

import graphs
from sparsebrain.experiments.options import FILE_FIX, OptionError

# The arguments of graphs.load that ``sparsebrain measure`` has as options.
OPTIONS = {
    "columns": "--columns",
    "neuron_columns": "--neuron-columns",
    "transmitter_signs": "--signs",
    "duplicates": "--duplicates",
    "neurons": "--neurons",
    "delimiter": "--delimiter",
    "variable": "--variable",
}
_ENTRY = re.compile(r"'((?:[^'\\]|\\.)*)': ('(?:[^'\\]|\\.)*'|None|\.\.\.|-?[0-9]+)")
_GIVEN = re.compile(
    rf"\b({'|'.join(OPTIONS)})=(\{{[^}}]*\}}|'(?:[^'\\]|\\.)*'|(?=[ ,;]|$))",
)


def saved_connectome(
    path: str | os.PathLike[str], options: Mapping[str, Any] | None = None
) -> Data:
    """Load a connectome.

    Args:
        path: Path of the file.
        options: Arguments of ``graphs.load``; None for texts of topologies, which have no options.

    Raises:
        OptionError: The file cannot be read. The reason suggests options of the command in place of
            arguments of ``graphs.load``, or none of them for texts of topologies.
    """
    try:
        if options is None:
            return graphs.load(path)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", graphs.LeftOutWarning)
            data = graphs.load(path, **options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        if options is not None:
            raise OptionError("file", in_options(str(error))) from None
        # Messages of graphs have the form "what is wrong; what to pass".
        reason = str(error).partition("; ")[0]
        raise OptionError("file", f"{reason}; {FILE_FIX}") from None
    for each in caught:
        print(f"sparsebrain: {in_options(str(each.message))}", file=sys.stderr)
    return data


def in_options(message: str) -> str:
    """Return a message of ``graphs.load`` with the command's options in place of arguments.

    Example:
        >>> in_options("pass columns={'source': 'a', 'type': None}, or pass duplicates='sum'")
        'pass --columns source=a,type=, or pass --duplicates sum'
    """

    def option(match: re.Match[str]) -> str:
        name, value = OPTIONS[match[1]], match[2]
        entries = [(key, text.strip("'")) for key, text in _ENTRY.findall(value)]
        if entries:
            pairs = ",".join(f"{key}={'' if text == 'None' else text}" for key, text in entries)
            return f"{name} {pairs}" if " " not in pairs else f"{name} '{pairs}'"
        return f"{name} {value.strip(chr(39))}".rstrip()

    return _GIVEN.sub(option, message)
