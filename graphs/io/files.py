"""Connectomes on disk; the suffix of the file chooses its format."""

import contextlib
import inspect
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import validate
from graphs.fields import beyond
from graphs.io import edge_list, gexf, graphml, npz, pt, sonata
from graphs.io.atomic import write_together
from graphs.io.checksum import check_seal, seal
from graphs.io.edge_header import PartsDifferError
from graphs.io.limits import check_bytes

# What NumPy and torch can reshape to; the product of more sides could take hours.
_MOST_AXES = 64
_LONGEST_MESSAGE = 600
# Seconds to wait for whoever replaces the files that belong together.
_PAUSES = (0.02,)


class Format(NamedTuple):
    """How a connectome is kept in a file.

    Attributes
    ----------
    write : function
        Of the connectome, the open file, and the open files `beside` it.
    read : function
        Of the open file, how many bytes anything may take, and options as keywords.
    beside : function
        Of the path of the file: those of others that belong to it.
    sealed : bool
        Whether the file ends in a checksum of itself.
    """

    write: Callable[..., None]
    read: Callable[..., Data]
    beside: Callable[[Path], Sequence[Path]] = lambda _: ()
    sealed: bool = False

    @property
    def options(self) -> list[str]:
        """What `graphs.load` takes for it."""
        parameters = inspect.signature(self.read).parameters.values()
        return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]


FORMATS = {
    ".npz": Format(npz.write, npz.read, sealed=True),
    ".csv": Format(edge_list.write_csv, edge_list.read, edge_list.beside),
    ".tsv": Format(edge_list.write_tsv, edge_list.read, edge_list.beside),
    ".graphml": Format(graphml.write, graphml.read, sealed=True),
    ".gexf": Format(gexf.write, gexf.read, sealed=True),
    ".pt": Format(pt.write, pt.read, sealed=True),
    ".h5": Format(sonata.write, sonata.read, sealed=True),
}


def format_of(path: str | os.PathLike[str]) -> Format:
    """Return the format that the suffix of a file stands for."""
    suffix = Path(path).suffix
    if suffix.lower() not in FORMATS:
        *most, last = FORMATS
        raise ValueError(
            f"the file of a connectome must end in {', '.join(most)} or {last}, got {str(path)!r}; "
            "pass for example 'connectome.npz'"
        )
    return FORMATS[suffix.lower()]


def files_of(path: str | os.PathLike[str]) -> list[Path]:
    """Return a file, and those beside it that `load` reads too."""
    path = Path(path)
    kept = FORMATS.get(path.suffix.lower())
    return [path, *(each for each in kept.beside(path) if each.is_file())] if kept else [path]


def save(data: Data, path: str | os.PathLike[str]) -> None:
    """Write a connectome to a file.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Only fields of the contract are kept, see `graphs.contract`; a warning names
        those that are left out.
    path : str or os.PathLike
        A file whose suffix chooses the format. One that is there is replaced, and stays whole if
        writing fails. A symbolic link stays, and the file that it points to is replaced.

        ``.npz``
            NumPy, small and fast.
        ``.csv``, ``.tsv``
            An edge list for people and spreadsheets; with ``x.csv`` come ``x.neurons.csv``, a row a
            neuron, and ``x.csv.json``, the shape, the names of types, how many rows there are, and
            checksums of all three files.
        ``.graphml``, ``.gexf``
            XML that Gephi, Cytoscape and igraph read.
        ``.pt``
            A `Data` as ``torch.save`` writes it.
        ``.h5``
            SONATA edges and nodes, population ``default``; needs ``pip install h5py``.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or the suffix is unknown.
    ModuleNotFoundError
        If h5py is needed and not installed.
    OSError
        If the file cannot be written.

    Warns
    -----
    UserWarning
        If `data` has fields beyond the contract; ``del data.x`` of those that need not be kept.

    See Also
    --------
    graphs.load : reads it again.

    Notes
    -----
    In ``.npz`` every field is an array of its own name, synapses in their order. In ``.csv`` and
    ``.tsv`` synapses name their ends by ``names`` if these differ, and else by number; the columns
    are ``source``, ``target``, ``weight``, ``type`` and ``sign``, and ``neuron``, ``name``,
    ``type``, ``x``, ``y``, ``z`` and ``sign``, a type is told by its name if there is one. In
    ``.graphml`` and ``.gexf`` a field is the attribute that `graphs.to_networkx` tells, but ``pos``
    is one attribute per axis, ``pos_x``, ``pos_y`` and ``pos_z``, and the lists of the graph are
    JSON; where XML cannot carry a name, such as an empty one, all names are one such list. In
    ``.h5`` weights are ``syn_weight``, types ``edge_type_id`` and ``node_type_id``, coordinates
    ``x``, ``y`` and ``z``. All floats are exact. O(N + E) time and memory.

    Checksums let `graphs.load` refuse a damaged file. A file ends in a line with the SHA-256 of all
    that precedes it, which other programs pass over and leave out of what they write; for ``.csv``
    and ``.tsv`` it is the ``.json`` file that has the checksums. The files of these two formats are
    replaced one after the other: `graphs.load` reads them again when it meets files of two calls,
    and raises an error if they still do not belong together.

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
    kept = format_of(path)
    validate(data)
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if not folder.is_dir():
        raise FileNotFoundError(
            f"the folder of {str(path)!r} is not there; make it, "
            f"pathlib.Path({str(folder)!r}).mkdir(parents=True)"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; pass the path of a file")
    lost = beyond(data)
    if lost:
        warnings.warn(
            f"{path.name!r} is written without {', '.join(lost)}: files keep the fields of "
            f"graphs.contract only; {'; '.join(f'del data.{name}' for name in lost)} before, or "
            "torch.save(data, 'connectome.pt')",
            stacklevel=2,
        )
    write_together([path, *kept.beside(path)], lambda *asides: _fill(asides, kept, data))


def _fill(asides: Sequence[Path], kept: Format, data: Data) -> None:
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(aside.open("w+b")) for aside in asides]
        kept.write(data, *files)
        if kept.sealed:
            seal(files[0])


def load(path: str | os.PathLike[str], *, max_bytes: int = 2**30, **options: Any) -> Data:
    """Read a connectome from a file; nothing in it is executed.

    Parameters
    ----------
    path : str or os.PathLike
        A file of `graphs.save`, or of another program:

        ``.npz``
            of ``scipy.sparse.save_npz``; rows are sources.
        ``.csv``, ``.tsv``
            an edge list: a row a synapse, under a header. See the options and the notes.
        ``.graphml``, ``.gexf``
            read as `graphs.from_networkx` tells; node ids (in GEXF labels) become ``names``, unless
            they are 0 to N - 1 in order or nodes have the attribute ``name``.
        ``.pt``
            a `Data` of ``torch.save``. Its fields beyond the contract are kept; `graphs.save`
            writes none.
        ``.h5``
            SONATA edges. Where the populations of sources and targets differ, those are the node
            types.
    max_bytes : int
        A file that is larger, or unpacks to more, is refused before it is read; 1 GiB if left out.
        NetworkX may take tens of times the size of an XML file, other readers several times.
    **options
        Of some formats, as follows; a format refuses those of others.
    duplicates : {"error", "sum"}
        All but ``.pt``: whether synapses that state source, target and type of another are refused,
        or become one with the sum of their weights (1 each if there are none). What `graphs.save`
        has written repeats none.
    neurons : str or os.PathLike
        ``.csv``, ``.tsv``: a table with a row a neuron. Left out, it is ``x.neurons.csv`` if that
        lies beside ``x.csv``. ``.h5``: the file with the nodes, if not the same.
    num_nodes : int
        ``.csv``, ``.tsv``, ``.h5``: number of neurons, where there is no table; sources and targets
        are then numbers in [0, num_nodes). Without either, the neurons are those that have
        synapses, numbered in the order of their numbers or of the alphabet (in ``.h5`` those up to
        the largest number).
    columns, neuron_columns : dict
        ``.csv``, ``.tsv``: columns by their role: ``{"weight": "strength"}``, or None for none. The
        roles are source, target, weight, type, sign, transmitter; and neuron (what the edge list
        calls it), name, type, sign, transmitter, x, y, z. Left out, a column is known by the name
        of its role or usual ones, such as pre, post, synapses or cell_type, in any case. Other
        columns are left out with a warning.
    transmitter_signs : dict
        ``.csv``, ``.tsv``: what a transmitter is worth where there is no column of signs, beyond
        acetylcholine (+1), GABA and glycine (-1): ``{"glutamate": 1}`` in vertebrates. One that is
        not known is refused.
    delimiter : str
        ``.csv``, ``.tsv``: what parts values, where it is no comma or tab.
    population : str
        ``.h5``: which edges, where there are several populations of them.

    Returns
    -------
    torch_geometric.data.Data
        What was saved. Synapses have the order of an ``.npz`` or ``.pt`` file, and are else sorted
        by (target, source, edge_type).

    Raises
    ------
    ValueError
        If the suffix is unknown, or the file is damaged, too large, or breaks the contract; if
        files that belong together are not those of one call of `graphs.save`.
    TypeError
        If the format does not take an option.
    ModuleNotFoundError
        If h5py is needed and not installed.
    OSError
        If the file, or one that belongs to it, is not there or may not be read.

    Warns
    -----
    LeftOutWarning
        If the file holds something that a connectome has no field for; the warning names it. In XML
        files labels become names, and x, y and z positions, where there are no others.

    See Also
    --------
    graphs.save : writes one, with an example.

    Notes
    -----
    Tables that `graphs.save` has written, known by the ``.json`` file beside them, are read to the
    letter. In those of other programs blanks around values are not part of them, and whole numbers
    that a dataframe has written as floats are integers again: ``1.0`` is the neuron ``1``. A row
    is refused whose end is empty or another sign of a missing value, such as ``nan``, which begins
    with ``#``, ``%`` or ``//`` as comments do, or whose number has lost digits as a float
    (``7.2e+17``); so are two names that differ by case or leading zeros only, unless a table of
    neurons lists both.

    O(N + E) time and memory.
    """
    path = Path(path)
    kept = format_of(path)
    unknown = sorted(set(options) - set(kept.options))
    if unknown:
        raise TypeError(
            f"graphs.load of a {path.suffix.lower()} file takes the options max_bytes"
            f"{''.join(f', {name}' for name in kept.options)}, got {unknown[0]!r}; leave it out"
        )
    most = arguments.count("max_bytes", max_bytes, at_least=1)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not there"
        raise FileNotFoundError(
            f"the file {str(path)!r} is {what}; pass the path of one that graphs.save wrote"
        )
    for pause in _PAUSES:
        try:
            return _read(path, kept, most, options)
        except ValueError as error:
            if not isinstance(error.__cause__, PartsDifferError):
                raise
        # Another process may just be replacing them, which takes it a moment.
        time.sleep(pause)
    return _read(path, kept, most, options)


def _read(path: Path, kept: Format, most: int, options: dict[str, Any]) -> Data:
    with path.open("rb") as file:
        # Parsers of hostile input raise whatever they like, down to RecursionError.
        try:
            check_bytes("it has", os.fstat(file.fileno()).st_size, most)
            if kept.sealed:
                check_seal(file)
            data = kept.read(file, most, **options)
            if len(data.get("shape", ())) > _MOST_AXES:
                raise ValueError(f"its shape has more than {_MOST_AXES} sides")
            return validate(data)
        except (ModuleNotFoundError, FileNotFoundError, Warning):
            raise
        except Exception as error:
            told = str(error)[:_LONGEST_MESSAGE] or type(error).__name__
            raise ValueError(f"{str(path)!r} cannot be read as a connectome: {told}") from error
