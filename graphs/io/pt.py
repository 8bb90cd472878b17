"""PyG's `Data` in files of `torch.save`, read without executing anything in them."""

import io
import pickletools
import re
import zipfile
from typing import Any, BinaryIO

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
from torch_geometric.data.storage import GlobalStorage

from graphs.io.limits import check_bytes, check_neurons
from graphs.io.networkx import EDGE_FIELDS, GRAPH_FIELDS, NODE_FIELDS

_TENSORS = ("edge_index", *(field.name for field in (*NODE_FIELDS, *EDGE_FIELDS)))
_OWN = (Data, DataEdgeAttr, DataTensorAttr, GlobalStorage)
# The parts of the archive that torch needs.
_PARTS = re.compile(r"[^/]+/(data\.pkl|data/\d+|version|byteorder)")
# torch itself also allows names such as bytearray and torch.Tensor, which can claim any memory.
_NAMES = re.compile(
    "|".join(
        [
            *(re.escape(f"{each.__module__} {each.__name__}") for each in _OWN),
            r"torch\._utils _rebuild_tensor_v2",
            "collections OrderedDict",
            r"torch \w+Storage",
        ]
    )
)
# One Data and its store.
_MOST_OBJECTS = 2
# Attributes of a Data that are properties of its class and can be set.
_SETTABLE = ("x", "edge_index", "edge_attr", "edge_weight", "y", "pos", "time", "num_nodes", "face")


def write(data: Data, file: BinaryIO) -> None:
    """Write a valid connectome."""
    # Copy, because torch saves the whole storage of a view.
    fields: dict[str, Any] = {
        name: data[name].detach().cpu().clone(memory_format=torch.contiguous_format)
        for name in _TENSORS
        if name in data
    }
    fields["num_nodes"] = data.num_nodes
    fields.update({name: list(data[name]) for name in (*GRAPH_FIELDS, "names") if name in data})
    if "shape" in fields:
        fields["shape"] = tuple(fields["shape"])
    torch.save(Data(**fields), file)


def read(file: BinaryIO, max_bytes: int) -> Data:
    """Read a file of `write` or torch.save.

    The caller validates the connectome.

    Raises:
        ValueError: The file is damaged or too large, or holds something else than a `Data` with
            tensors, numbers and text.
    """
    return _connectome(load_plain(file, max_bytes), max_bytes)


def load_plain(file: BinaryIO, max_bytes: int) -> Any:
    """Read a file of torch.save that holds tensors, numbers, text, containers or a `Data` of these.

    The caller checks the types, and the sizes of tensors, which may be views of smaller storages.

    Raises:
        ValueError: The file is damaged or too large, or holds something else.
    """
    clean = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(clean, "w") as copy:
        members = archive.infolist()
        check_bytes("it unpacks to", sum(each.file_size for each in members), max_bytes)
        parts = [each for each in members if _PARTS.fullmatch(each.filename)]
        packed = [each for each in parts if each.compress_type != zipfile.ZIP_STORED]
        pickles = [each for each in parts if each.filename.endswith("/data.pkl")]
        folders = {each.filename.partition("/")[0] for each in parts}
        if packed or len(pickles) != 1 or len(folders) != 1:
            raise ValueError(
                "expected an archive of torch.save(data, path), got another; write it with "
                "graphs.save(data, path)"
            )
        _scan(archive.read(pickles[0]))
        # Torch reads only what was scanned, regardless of the rest of the file.
        for part in parts:
            copy.writestr(f"data/{part.filename.partition('/')[2]}", archive.read(part))
    clean.seek(0)
    with torch.serialization.safe_globals(list(_OWN)):
        return torch.load(clean, map_location="cpu", weights_only=True)


def _scan(pickled: bytes) -> None:
    """Refuse a pickle that holds more than a `Data` with tensors, or that multiplies its content.

    Raises:
        ValueError: The pickle names another class or function, or calls one in an unusual way.
    """
    built = 0
    before, last = "", ""
    for opcode, argument, _ in pickletools.genops(pickled):
        name = opcode.name
        if "PUT" in name:
            continue
        named = name in ("GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "NEWOBJ_EX")
        if named and not (name == "GLOBAL" and _NAMES.fullmatch(str(argument))):
            raise ValueError(
                f"expected a Data with tensors, numbers and text, got {argument or name!s}, which "
                "is not executed; write it with graphs.save(data, path)"
            )
        # torch writes OrderedDict() and tensors, whose arguments end in one. Repeated calls of
        # OrderedDict(large) would take the square of the size of the file in memory.
        if name == "REDUCE" and last != "EMPTY_TUPLE" and (before, last) != ("REDUCE", "TUPLE"):
            raise ValueError(
                "expected tensors of torch.save, got another call; write it with "
                "graphs.save(data, path)"
            )
        built += name in ("BUILD", "NEWOBJ")
        if built > 2 * _MOST_OBJECTS:
            raise ValueError("expected one Data, got more objects; save each to a file of its own")
        before, last = last, name


def _connectome(loaded: Any, max_bytes: int) -> Data:
    """Return a new `Data` with the fields of a loaded one, whose methods may be overwritten.

    Raises:
        ValueError: It is not a `Data`, or a field has a reserved name or takes too much memory.
    """
    if type(loaded) is not Data:
        raise ValueError(
            f"expected a torch_geometric.data.Data, got {type(loaded).__name__}; write it with "
            "graphs.save(data, path)"
        )
    store = vars(loaded).get("_store")
    fields = vars(store).get("_mapping") if type(store) is GlobalStorage else None
    if type(fields) is not dict:
        raise ValueError(
            "expected a Data with its fields in one store, as PyG 2 makes it; write it with "
            "graphs.save(data, path)"
        )
    data = Data()
    for name, value in fields.items():
        free = isinstance(name, str) and name.isidentifier() and not name.startswith("_")
        if not free or (hasattr(Data, name) and name not in _SETTABLE):
            raise ValueError(f"expected the name of a field, got {str(name)[:50]!r}; rename it")
        if isinstance(value, Tensor):
            # A view can repeat one value any number of times.
            check_bytes(f"{name} takes", value.numel() * value.element_size(), max_bytes)
        data[name] = value
    neurons = fields.get("num_nodes")
    if type(neurons) is int:
        check_neurons(neurons, max_bytes)
    return data
