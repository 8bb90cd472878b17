"""The sizes that the messages of an Arrow file declare, before pyarrow unpacks them.

A compressed buffer begins with its unpacked length, which pyarrow allocates as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from types import ModuleType
from typing import BinaryIO

from graphs.io.limits import check_bytes

_BATCH, _DICTIONARY = "record batch", "dictionary"
# Positions of fields in the tables of Arrow's format, Message.fbs.
_HEADER, _DATA = 2, 1
_LENGTH, _BUFFERS, _COMPRESSION = 0, 2, 3
_BYTES_PER_ROW = 24


def check_messages(ipc: ModuleType, file: BinaryIO, max_bytes: int) -> None:
    """Check all messages of a file after its magic bytes, and go to the first of them.

    Raises:
        ValueError: They unpack to more than `max_bytes`.
    """
    file.seek(8)
    rows = size = 0
    reader = ipc.MessageReader.open_stream(file)
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            break
        if message.type not in (_BATCH, _DICTIONARY):
            continue
        batch = _Batch(message.metadata.to_pybytes(), of_dictionary=message.type == _DICTIONARY)
        rows += batch.length
        body = message.body
        for start, stored in batch.buffers():
            if start < 0 or stored < 0 or start + stored > body.size:
                raise ValueError("it is damaged, with half a message; take a whole copy")
            size += stored
            if batch.is_compressed and stored >= 8:
                # -1 says that this buffer is stored as it is.
                size += max(0, *struct.unpack("<q", body.slice(start, 8).to_pybytes()))
        check_bytes(f"its {rows} rows take", rows * _BYTES_PER_ROW, max_bytes)
        check_bytes("it unpacks to", size, max_bytes)
    file.seek(8)


class _Batch:
    """The table `RecordBatch` of a message in Arrow's format of metadata (FlatBuffers).

    Attributes:
        length: The number of rows.
        is_compressed: Whether buffers are compressed.
    """

    def __init__(self, raw: bytes, *, of_dictionary: bool) -> None:
        self._raw = raw
        root = self._integer("<I", 0)
        self._at = self._follow(self._field(root, _HEADER))
        if of_dictionary:
            self._at = self._follow(self._field(self._at, _DATA))
        length = self._field(self._at, _LENGTH)
        self.length = self._integer("<q", length) if length else 0
        self.is_compressed = bool(self._field(self._at, _COMPRESSION))

    def buffers(self) -> Iterator[tuple[int, int]]:
        """Yield the start and the size of each buffer in the body of the message."""
        field = self._field(self._at, _BUFFERS)
        if not field:
            return
        start = self._follow(field)
        for at in range(self._integer("<I", start)):
            place = start + 4 + 16 * at
            yield self._integer("<q", place), self._integer("<q", place + 8)

    def _field(self, table: int, number: int) -> int:
        """Return the position of a field, or 0 if the table does not have it."""
        known = table - self._integer("<i", table)
        offset = 4 + 2 * number
        if offset >= self._integer("<H", known):
            return 0
        at = self._integer("<H", known + offset)
        return table + at if at else 0

    def _follow(self, at: int) -> int:
        """Return where the reference at a position points to."""
        return at + self._integer("<I", at)

    def _integer(self, form: str, at: int) -> int:
        try:
            found: int = struct.unpack_from(form, self._raw, at)[0]
        except struct.error as error:
            raise ValueError(f"its metadata are damaged ({error}); take a whole copy") from error
        if at < 0:
            raise ValueError("its metadata are damaged; take a whole copy")
        return found
