"""The records of a fetched batch, whatever its bytes are: some at a time, in bounded memory, each at its own offset.

What is small goes through the client's fast reader, which is not to be believed in all: producers may write any offset into
a record, bits that are not in use, and header names that are no UTF-8, and brokers let it pass. So a record's place in its
batch says its offset, and where the fast reader gives up or counts otherwise, the rest is read byte by byte.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch

from relationship_worker.kafka.record_bytes import LARGE_BYTES, MOST_HEADERS, Bytes, RawRecord, read_record
from relationship_worker.kafka.unpacking import PIECE_BYTES, Damaged, Unbounded, unpack
from relationship_worker.messages.envelope import MAX_VALUE_BYTES, Headers, Reason

RECORD_WEIGHT = 300  # bytes of memory that a record takes besides its own
HEADER_WEIGHT = 130  # and each of its headers
MOST_SMALL_WEIGHT = (
    128 * 1024
)  # of one that the client's reader reads: with more headers than that it is looked at closely
HANDED_ON_WEIGHT = 1024 * 1024  # bytes of memory: some hundred records, so that the next fetch is never far

_HEADER = struct.Struct(">qiibIhiqqqhii")
_ATTRIBUTES_AT, _COUNT_AT = 21, 57  # in a batch
_CODEC = 0x07


class FetchedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as it was fetched. `weight`: about how many bytes of memory it takes. `unread`: why nobody reads it, and what
    of it is not even here."""

    place: TopicPartition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    weight: int = 0
    unread: tuple[Reason, str] | None = None

    @property
    def topic(self) -> str:
        """Its topic's name on the broker."""
        return str(self.place.topic)

    @property
    def partition(self) -> int:
        """Its partition."""
        return int(self.place.partition)


Some = tuple[list[FetchedRecord], int]
"""Some records in order, and their weight."""


class BatchRecords:
    """Reads one batch, once."""

    def __init__(self, place: TopicPartition, batch: memoryview) -> None:
        self._place = place
        self._batch = batch
        head = _HEADER.unpack_from(batch)
        self._base, self._attributes, last, self._left = head[0], head[5], head[6], head[12]
        self._next = self._base  # offset
        self._last = self._base + last
        self._compacted = last + 1 != self._left  # then some are gone, and those that are left say their offsets

    def some_at_a_time(self, fast: Iterable[Any]) -> Iterator[Some]:
        """In order; none at all, now and then, while what is too large to be kept is skipped. Raises Damaged.

        `fast`: the client's reader of the batch.
        """
        if not self._attributes & _CODEC and len(self._batch) <= LARGE_BYTES:
            return self._small(fast, self._batch[_HEADER.size :], self._left)
        return self._piece_by_piece()

    def _piece_by_piece(self) -> Iterator[Some]:
        source = Bytes(unpack(self._attributes & _CODEC, self._batch[_HEADER.size :]))
        try:
            while self._left:
                source.hold(PIECE_BYTES)
                some, count = source.take_records(self._left)
                if count:
                    yield from self._small(self._fast(some, count), memoryview(some), count)
                elif source.next_is_large():
                    yield from self._byte_by_byte(source, 1)
                elif not source.hold_record():
                    raise Damaged("the batch is cut off")
        except Unbounded as why:
            yield from self._without_anything(why)

    def _fast(self, some: bytes, count: int) -> DefaultRecordBatch:
        """The client's reader of some records of the batch, unpacked."""
        head = bytearray(self._batch[: _HEADER.size])
        struct.pack_into(">h", head, _ATTRIBUTES_AT, self._attributes & ~_CODEC)
        struct.pack_into(">i", head, _COUNT_AT, count)
        return DefaultRecordBatch(bytes(head) + some)

    def _small(self, fast: Iterable[Any], some: memoryview, count: int) -> Iterator[Some]:
        """Records of which each is small, by the client's reader as long as it gets along."""
        place, offset, done = self._place, self._next, 0
        each = RECORD_WEIGHT + len(some) // max(count, 1)
        found: list[FetchedRecord] = []
        weight = 0
        try:
            for record in fast:
                headers = record.headers
                if record.offset != offset:
                    if not (self._compacted and offset < record.offset <= self._last):
                        break
                    offset = record.offset
                weighs = each + HEADER_WEIGHT * len(headers)
                if weighs > MOST_SMALL_WEIGHT:
                    break
                found.append(FetchedRecord(place, offset, record.key, record.value, headers, weighs))
                offset += 1
                weight += weighs
                if weight > HANDED_ON_WEIGHT:
                    yield found, weight
                    done += len(found)
                    found, weight = [], 0
        except (UnicodeDecodeError, CorruptRecordException):
            pass
        done += len(found)
        self._next = offset
        self._left -= done
        if found:
            yield found, weight
        if done < count:
            source = Bytes(iter((bytes(some),)))
            source.hold(len(some))
            source.take_records(done)
            yield from self._byte_by_byte(source, count - done)

    def _byte_by_byte(self, source: Bytes, count: int) -> Iterator[Some]:
        for _ in range(count):
            for raw in read_record(source):
                if raw is None:
                    yield [], 0
                else:
                    record = self._at_its_offset(raw)
                    yield [record], record.weight

    def _at_its_offset(self, raw: RawRecord) -> FetchedRecord:
        offset = self._next
        if self._compacted:
            offset = self._base + raw.offset_delta
            if not self._next <= offset <= self._last:
                raise Damaged("a record lies outside of its batch")
        self._next = offset + 1
        self._left -= 1
        return FetchedRecord(
            self._place,
            offset,
            raw.key,
            raw.value,
            raw.headers,
            RECORD_WEIGHT + raw.kept + HEADER_WEIGHT * len(raw.headers),
            _unread(raw),
        )

    def _without_anything(self, why: Unbounded) -> Iterator[Some]:
        """What lies behind bytes that can't be unpacked: that there is such a record is all that is known of it."""
        if self._compacted:
            raise Damaged(str(why))
        unread = Reason.TOO_LARGE, f"its batch can't be unpacked so far ({why}): key, value and headers were left out"
        while self._left:
            yield [FetchedRecord(self._place, self._next, None, None, (), RECORD_WEIGHT, unread)], RECORD_WEIGHT
            self._next += 1
            self._left -= 1


def _unread(raw: RawRecord) -> tuple[Reason, str] | None:
    if raw.value_size > MAX_VALUE_BYTES:
        detail = f"the value has {raw.value_size} bytes, at most {MAX_VALUE_BYTES} are read"
    elif raw.size > LARGE_BYTES:
        detail = f"the record has {raw.size} bytes with key and headers, at most {LARGE_BYTES} are read"
    elif raw.header_count > MOST_HEADERS:
        detail = f"the record has {raw.header_count} headers, at most {MOST_HEADERS} are read"
    else:
        return None
    if raw.left_out:
        detail += f"; its {' and '.join(raw.left_out)} do not fit this topic and were left out"
    return (Reason.TOO_LARGE if raw.value_size else Reason.EMPTY_VALUE), detail
