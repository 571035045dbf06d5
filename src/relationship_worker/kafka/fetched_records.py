"""How fetched bytes become records: cheaper than the client's way, and in spite of odd header names.

The client makes a frozen dataclass of each record and sums its CRC in a table: together half of what it costs to fetch an
order. And of header names that are no UTF-8, which the protocol forbids and brokers let pass, its fetch dies: where its own
reader gives up, the batch is read again by its Python twin, with U+FFFD for what can't be decoded, as the Java client does.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import google_crc32c
import msgspec
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_BEFORE_LENGTH = 8  # bytes of a batch's base offset
_OVERHEAD = 12  # bytes of base offset and length
_MAGIC, _CRC, _BEHIND_CRC = 16, 17, 21  # where they lie in a batch


class FetchedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as it was fetched."""

    place: TopicPartition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    @property
    def topic(self) -> str:
        """Its topic's name on the broker."""
        return str(self.place.topic)

    @property
    def partition(self) -> int:
        """Its partition."""
        return int(self.place.partition)


def read_our_way() -> None:
    """From now on, in this process: every consumer's records are FetchedRecords. May be called again."""
    fetcher.MemoryRecords = _Records
    fetcher.PartitionRecords = _PartitionRecords


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    def _consumer_record(self, tp: TopicPartition, record: Any) -> FetchedRecord:
        return FetchedRecord(tp, record.offset, record.key, record.value, record.headers)

    def __iter__(self) -> Iterator[FetchedRecord]:
        return self._records_iterator or iter(())  # straight, not by a method for each record


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

    def validate_crc(self) -> bool:
        if self._lies_in[_MAGIC] != 2:  # older formats sum something else
            return bool(self._batch.validate_crc())
        found: int = google_crc32c.value(bytes(self._lies_in[_BEHIND_CRC:]))
        return bool(found == struct.unpack_from(">I", self._lies_in, _CRC)[0])

    def __iter__(self) -> Iterator[Any]:
        read: list[Any] = []
        try:
            for record in self._batch:
                read.append(record)
        except (UnicodeDecodeError, CorruptRecordException) as why:
            if not isinstance(why, UnicodeDecodeError) and not isinstance(why.__cause__, UnicodeDecodeError):
                raise
            read += islice(_TolerantBatch(self._lies_in), len(read), None)
        return iter(read)


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
