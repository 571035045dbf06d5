"""The records of a fetched batch, whatever its bytes are: some at a time, in bounded memory, each at its own offset.

Nearly all are read as they lie there. Producers may write any offset into a record, bits that are not in use, and sizes that
are odd, and brokers let it pass: so a record's place in its batch says its offset, and what is odd is read byte by byte.
"""

import struct
from collections.abc import Iterator

from aiokafka import TopicPartition

from relationship_worker.kafka.plain_records import (
    NO_HEADERS,
    RECORD_WEIGHT,
    Damaged,
    FetchedRecord,
    head_of,
    read_plain,
)
from relationship_worker.kafka.record_bytes import LARGE_BYTES, MOST_HEADERS, Bytes, RawRecord, read_record
from relationship_worker.kafka.unpacking import PIECE_BYTES, Unbounded, unpack
from relationship_worker.messages.envelope import MAX_VALUE_BYTES, Reason

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CODEC = 0x07
BEHIND_CRC = 21  # where the checksum ends in a batch, and what it sums begins


Some = tuple[list[FetchedRecord], int]
"""Some records in order, and their weight."""


class BatchRecords:
    """Reads one batch, once."""

    def __init__(self, place: TopicPartition, batch: memoryview, behind_crc: bytes) -> None:
        """`behind_crc`: what lies there in the batch."""
        self._place = place
        self._behind_crc = behind_crc
        head = _HEADER.unpack_from(batch)
        self._base, self._attributes, last, self._left = head[0], head[5], head[6], head[12]
        self._timestamp: int = head[7]  # of the first record
        self._next = self._base  # offset
        self._last = self._base + last
        self._compacted = last + 1 != self._left  # then some are gone, and those that are left say their offsets

    def some_at_a_time(self) -> Iterator[Some]:
        """In order; none at all, now and then, while what is too large to be kept is skipped. Raises Damaged."""
        if not self._attributes & _CODEC and len(self._behind_crc) <= LARGE_BYTES:
            return self._small(self._behind_crc, _HEADER.size - BEHIND_CRC, self._left)
        return self._piece_by_piece()

    def _piece_by_piece(self) -> Iterator[Some]:
        packed = memoryview(self._behind_crc)[_HEADER.size - BEHIND_CRC :]
        source = Bytes(unpack(self._attributes & _CODEC, packed))
        try:
            while self._left:
                source.hold(PIECE_BYTES)
                some, count = source.take_records(self._left)
                if count:
                    yield from self._small(some, 0, count)
                elif source.next_is_large():
                    yield from self._byte_by_byte(source, 1)
                elif not source.hold_record():
                    raise Damaged("the batch is cut off")
        except Unbounded as why:
            yield from self._without_anything(why)

    def _small(self, some: bytes, at: int, count: int) -> Iterator[Some]:
        """Records of which each is small, from there on: as they lie there, as long as they do."""
        while count and not self._compacted:
            found, weight, at = read_plain(self._place, self._next, some, at, count, self._timestamp)
            if not found:
                break
            self._next += len(found)
            self._left -= len(found)
            count -= len(found)
            yield found, weight
        if count:
            yield from self._byte_by_byte(Bytes(iter((some[at:],))), count)

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
        head = head_of(raw.headers)
        weight = RECORD_WEIGHT + len(raw.key or b"") + len(raw.value or b"") + len(head)
        return FetchedRecord(self._place, offset, raw.key, raw.value, head, weight, _unread(raw), self._timestamp)

    def _without_anything(self, why: Unbounded) -> Iterator[Some]:
        """What lies behind bytes that can't be unpacked: that there is such a record is all that is known of it."""
        if self._compacted:
            raise Damaged(str(why))
        unread = Reason.TOO_LARGE, f"its batch can't be unpacked so far ({why}): key, value and headers were left out"
        while self._left:
            yield [FetchedRecord(self._place, self._next, None, None, NO_HEADERS, RECORD_WEIGHT, unread)], RECORD_WEIGHT
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
