"""Columns out of HDF5 files that nobody vouches for."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, BinaryIO

from numpy.typing import NDArray

from graphs.io.limits import check_bytes

# By HDF5's numbers; others may be plugins, and unpack to whatever they like.
_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3


def library() -> ModuleType:
    """Return h5py, or say how to get it."""
    try:
        import h5py  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "files in HDF5 need h5py; pip install 'sparsebrain[sonata]', or pip install h5py"
        ) from None
    return h5py


@contextmanager
def open_columns(file: BinaryIO, max_bytes: int) -> Iterator[Columns]:
    """Open a file for reading."""
    with library().File(file, "r") as root:
        if root.userblock_size:
            raise ValueError("it begins with something else; cut it off, h5unjam")
        yield Columns(root, file, max_bytes)


class Columns:
    """Reads datasets of one file, together of at most `max_bytes`, and nothing outside it."""

    def __init__(self, root: Any, file: BinaryIO, max_bytes: int) -> None:
        self.root = root
        self._file = file
        self._max_bytes = max_bytes
        self._read = 0

    def find(self, group: Any, name: str, kind: type) -> Any:
        """Return a member of a group, None if there is none."""
        h5py = library()
        link = group.get(name, getlink=True)
        if link is None:
            return None
        found = group[name] if isinstance(link, h5py.HardLink) else None
        if not isinstance(found, kind):
            raise ValueError(f"expected a {kind.__name__.lower()} {name!r} of the file itself")
        return found

    def column(self, group: Any, name: str, kinds: str, length: int | None) -> NDArray[Any] | None:
        """Return a row of values whose dtype is one of `kinds`, None if there is none."""
        dataset = self.find(group, name, library().Dataset)
        if dataset is None:
            return None
        shape: tuple[int, ...] = () if dataset.shape is None else dataset.shape
        if len(shape) != 1 or length not in (None, shape[0]) or dataset.dtype.kind not in kinds:
            raise ValueError(
                f"{dataset.name} must be {'a row' if length is None else f'{length}'} values of "
                f"the kind {kinds!r}, got {dataset.dtype} {list(shape)}"
            )
        return self.values(dataset)

    def values(self, dataset: Any) -> Any:
        """Return a dataset, once it is known how much it takes."""
        self._read += math.prod(dataset.shape) * dataset.dtype.itemsize
        check_bytes("it unpacks to", self._read, self._max_bytes)
        if dataset.external or dataset.is_virtual:
            raise ValueError(f"{dataset.name} lies in another file; copy it into this one")
        if dataset.dtype.hasobject:
            raise ValueError(f"{dataset.name} has values of any length; store text of a fixed one")
        if dataset.chunks:
            self._check_chunks(dataset)
        return dataset[()]

    def _check_chunks(self, dataset: Any) -> None:
        """Unpack the chunks as far as they should reach: HDF5 would go on without a bound."""
        size = math.prod(dataset.chunks) * dataset.dtype.itemsize
        check_bytes(f"a chunk of {dataset.name} has", size, self._max_bytes)
        properties = dataset.id.get_create_plist()
        filters = [properties.get_filter(at)[0] for at in range(properties.get_nfilters())]
        allowed = [each for each in filters if each in (_DEFLATE, _SHUFFLE, _CHECKSUM)]
        if allowed != filters or filters.count(_DEFLATE) > 1:
            raise ValueError(f"{dataset.name} is packed by other means than gzip; repack it")
        if _DEFLATE not in filters:
            return

        def check(chunk: Any) -> None:
            self._file.seek(chunk.byte_offset)
            unpacking = zlib.decompressobj()
            unpacking.decompress(self._file.read(chunk.size), size)
            # One byte more may come, or the end that has not been looked at yet.
            if chunk.filter_mask or unpacking.decompress(unpacking.unconsumed_tail, 1):
                raise ValueError(f"a chunk of {dataset.name} unpacks to more than {size} bytes")

        dataset.id.chunk_iter(check)
