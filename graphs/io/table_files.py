"""Files with one table: text with a delimiter, maybe packed, and the formats of Arrow."""

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from graphs.io import arrow_file, neuron_table
from graphs.io.limits import check_bytes
from graphs.io.packing import is_packed, plain_name, unpack
from graphs.io.synapse_table import Options
from graphs.io.tables import Table
from graphs.io.text_table import TextTable

_WHAT = "the table of neurons"


def delimiter_of(path: Path) -> str:
    """Return the character between two values, by the name of a file."""
    return "\t" if plain_name(path).suffix.lower() == ".tsv" else ","


def neurons_of(
    path: str | os.PathLike[str] | None,
    options: Options,
    max_bytes: int,
    delimiter: str | None = None,
) -> tuple[neuron_table.Neurons | None, tuple[str, ...]]:
    """Return the neurons of a file, and the columns that are not read.

    Args:
        path: The file, or None for no neurons.
        options: The options of both tables.
        max_bytes: The largest size of the file, packed and unpacked.
        delimiter: The character between two values of text; by default it follows from the suffix.

    Raises:
        ValueError: The table is damaged, or options contradict each other.
    """
    if path is None:
        return None, ()
    if options.num_nodes is not None:
        raise ValueError(
            "num_nodes is the number of rows of the table of neurons; pass neurons= or num_nodes=, "
            "not both"
        )
    with contextlib.ExitStack() as stack:
        headless = any(isinstance(at, int) for at in (options.neuron_columns or {}).values())
        table = _opened(Path(path), max_bytes, delimiter, stack, headless=headless)
        population = neuron_table.read(
            table, options.neuron_columns or {}, options.transmitter_signs, None
        )
        return population, tuple(table.left_out)


def _opened(
    path: Path,
    max_bytes: int,
    delimiter: str | None,
    stack: contextlib.ExitStack,
    *,
    headless: bool,
) -> Table:
    """Open a table of neurons."""
    file: BinaryIO = stack.enter_context(path.open("rb"))
    check_bytes(f"{_WHAT} has", os.fstat(file.fileno()).st_size, max_bytes)
    if path.suffix.lower() in arrow_file.READERS:
        return arrow_file.table(_WHAT, file, max_bytes)
    if is_packed(path):
        file = unpack(file, max_bytes, stack)
    return TextTable(_WHAT, file, delimiter or delimiter_of(path), exact=False, headless=headless)
