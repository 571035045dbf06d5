"""Header names that are no UTF-8: the protocol forbids them, brokers let them pass, and aiokafka's fetch dies of them.

Where the client's own reader gives up, the batch is read again by its Python twin, with U+FFFD for what can't be decoded:
as the Java client does it. Everything else goes the client's way.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_BEFORE_LENGTH = 8  # bytes of a batch's base offset
_OVERHEAD = 12  # bytes of base offset and length


def tolerate_odd_header_names() -> None:
    """From now on, in this process. May be called again."""
    fetcher.MemoryRecords = _Records


class _Records:
    """A fetched partition's batches, each with the bytes that it lies in."""

    def __init__(self, fetched: bytes) -> None:
        self._records = MemoryRecords(fetched)
        self._fetched = memoryview(fetched)
        self._start = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> "_Batch":
        start = self._start
        length: int = struct.unpack_from(">i", self._fetched, start + _BEFORE_LENGTH)[0]
        self._start = start + _OVERHEAD + length
        return _Batch(self._records.next_batch(), self._fetched[start : self._start])


class _Batch:
    """A batch that can be read in spite of odd header names."""

    def __init__(self, batch: Any, lies_in: memoryview) -> None:
        self._batch = batch
        self._lies_in = lies_in

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                read += 1
                yield record
        except (UnicodeDecodeError, CorruptRecordException) as why:
            if not isinstance(why, UnicodeDecodeError) and not isinstance(why.__cause__, UnicodeDecodeError):
                raise
        else:
            return
        yield from islice(_TolerantBatch(self._lies_in), read, None)


class _TolerantBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka ships no types
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: Any = _Tolerant(self._buffer)


class _Tolerant(bytearray):
    """Bytes whose slices decode with U+FFFD for what is no UTF-8."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Tolerant(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return bytes(self).decode(encoding, "replace")
