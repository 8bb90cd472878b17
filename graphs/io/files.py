"""Connectomes on disk; the suffix of the file chooses its format."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import validate
from graphs.io import graphml, npz
from graphs.io.aside import write_aside
from graphs.io.limits import check_bytes

# What NumPy and torch can reshape to; the product of more sides could take hours.
_MOST_AXES = 64
_LONGEST_MESSAGE = 600


class Format(NamedTuple):
    """How a connectome is written to an open file, and read from one of at most so many bytes."""

    write: Callable[[Data, BinaryIO], None]
    read: Callable[[BinaryIO, int], Data]


FORMATS = {
    ".npz": Format(npz.write, npz.read),
    ".graphml": Format(graphml.write, graphml.read),
}


def format_of(path: str | os.PathLike[str]) -> Format:
    """Return the format that the suffix of a file stands for."""
    suffix = Path(path).suffix
    if suffix.lower() not in FORMATS:
        known = " or ".join(FORMATS)
        raise ValueError(
            f"the file of a connectome must end in {known}, got {str(path)!r}; "
            "pass for example 'connectome.npz'"
        )
    return FORMATS[suffix.lower()]


def save(data: Data, path: str | os.PathLike[str]) -> None:
    """Write a connectome to a file.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Only fields of the contract are kept, see `graphs.contract`.
    path : str or os.PathLike
        A file that ends in ``.npz`` (NumPy, small and fast) or ``.graphml`` (XML that Gephi,
        Cytoscape and igraph read). One that is there is replaced, and stays whole if writing fails.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or the suffix is unknown.
    OSError
        If the file cannot be written.

    See Also
    --------
    graphs.load : reads it again.

    Notes
    -----
    In ``.npz`` every field is an array of its own name, synapses in their order. In ``.graphml``
    it is the attribute that `graphs.to_networkx` tells, but ``pos`` is one attribute per axis,
    ``pos_x``, ``pos_y`` and ``pos_z``, and the lists of the graph are JSON; where XML cannot carry
    a name, such as an empty one, all names are one such list. O(N + E) time and memory.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import graphs
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "grid.npz")
    >>> graphs.save(graphs.grid_local((4, 5), 1), path)
    >>> graphs.load(path).shape
    (4, 5)
    >>> folder.cleanup()
    """
    path = Path(path)
    write = format_of(path).write
    validate(data)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"the folder of {str(path)!r} is not there; make it, "
            f"pathlib.Path({str(path.parent)!r}).mkdir(parents=True)"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; pass the path of a file")

    def fill(aside: Path) -> None:
        with aside.open("wb") as file:
            write(data, file)

    write_aside(path, fill)


def load(path: str | os.PathLike[str], *, max_bytes: int = 2**30) -> Data:
    """Read a connectome from a file; nothing in it is executed.

    Parameters
    ----------
    path : str or os.PathLike
        A file that ends in ``.npz``, of `graphs.save` or of ``scipy.sparse.save_npz`` (rows are
        sources), or in ``.graphml``, of `graphs.save` or of another program.
    max_bytes : int
        A file that is larger, or unpacks to more, is refused before it is read; 1 GiB if left out.
        NetworkX may take tens of times the size of a ``.graphml`` file.

    Returns
    -------
    torch_geometric.data.Data
        What was saved. Synapses have the order of an ``.npz`` file of `graphs.save`, and are else
        sorted by (target, source, edge_type). Another program's GraphML is read as
        `graphs.from_networkx` tells; node ids become ``names``, unless they are 0 to N - 1 in order
        or nodes have the attribute ``name``.

    Raises
    ------
    ValueError
        If the suffix is unknown, or the file is damaged, too large, or breaks the contract.
    OSError
        If the file is not there or may not be read.

    See Also
    --------
    graphs.save : writes one, with an example.

    Notes
    -----
    Fields of synapses cannot be seen in a ``.graphml`` file without edges, nor those of neurons
    without nodes. O(N + E) time and memory.
    """
    path = Path(path)
    read = format_of(path).read
    most = arguments.count("max_bytes", max_bytes, at_least=1)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not there"
        raise FileNotFoundError(
            f"the file {str(path)!r} is {what}; pass the path of one that graphs.save wrote"
        )
    with path.open("rb") as file:
        # Parsers of hostile input raise whatever they like, down to RecursionError.
        try:
            check_bytes("it has", os.fstat(file.fileno()).st_size, most)
            data = read(file, most)
            if len(data.get("shape", ())) > _MOST_AXES:
                raise ValueError(f"its shape has more than {_MOST_AXES} sides")
            return validate(data)
        except Exception as error:
            told = str(error)[:_LONGEST_MESSAGE] or type(error).__name__
            raise ValueError(f"{str(path)!r} cannot be read as a connectome: {told}") from error
