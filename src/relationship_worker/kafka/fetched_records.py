"""How what was fetched reaches the worker: cheaper than the client's way, bounded, and whatever the bytes are.

The client makes a frozen dataclass of each record, sums its CRC in a table, unpacks a compressed batch whole, and drops
what it has fetched of all partitions where it can't read the next batch of one. Here a partition hands on what has been
read so far, a bounded part of it at a time, and says by itself where it can't be read any further.
"""

import struct
from collections.abc import Iterator
from typing import Any

import google_crc32c
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from relationship_worker.kafka.batch_records import BEHIND_CRC, BatchRecords, Some
from relationship_worker.kafka.plain_records import HANDED_ON_WEIGHT, Damaged, FetchedRecord, head_of

__all__ = ["Fetched", "FetchedRecord", "Unreadable", "is_skipping", "read_our_way"]

TAKEN_WEIGHT = (
    8 * HANDED_ON_WEIGHT
)  # bytes of memory, of one partition at a time: a fetch of usual records is a third of it
MOST_OF_ALL_PARTITIONS = 64 * 1024 * 1024  # bytes of memory, of what is taken or waits: each has its share of it

_BEFORE_LENGTH = 8  # bytes of a batch's base offset
_OVERHEAD = 12  # bytes of base offset and length
_MAGIC, _CRC = 16, 17  # where they lie in a batch


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """Stands behind the last record that can be read: from this offset on the partition can't be. Nobody knows what lies
    there; the broker does not take such batches, so that they were damaged on its disk or on the way."""

    place: TopicPartition
    offset: int
    why: str


Fetched = FetchedRecord | Unreadable
"""What a fetch returns of a partition: records, and, if at all, one Unreadable behind them."""


def read_our_way() -> None:
    """From now on, in this process: every consumer returns `Fetched`. May be called again."""
    fetcher.MemoryRecords = _Batches
    fetcher.PartitionRecords = _PartitionRecords
    fetcher.FetchResult = _FetchResult


def is_skipping(consumer: AIOKafkaConsumer) -> bool:
    """Whether a partition has nothing to return yet, amid a record that is too large to be kept: it is to be asked again."""
    return any(getattr(fetched, "is_skipping", False) for fetched in consumer._fetcher._records.values())


class _Batches:
    """A fetched partition's batches, each with the bytes that it lies in."""

    def __init__(self, fetched: bytes) -> None:
        self._batches = MemoryRecords(fetched)
        self._fetched = memoryview(fetched)
        self._start = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)

    def next_batch(self) -> "_Batch":
        start = self._start
        length: int = struct.unpack_from(">i", self._fetched, start + _BEFORE_LENGTH)[0]
        self._start = start + _OVERHEAD + length
        return _Batch(self._batches.next_batch(), self._fetched[start : self._start])


class _Batch:
    """A batch of the client, and its bytes."""

    def __init__(self, client: Any, lies_in: memoryview) -> None:
        self.client = client
        self._lies_in = lies_in
        self._behind_crc = bytes(lies_in[BEHIND_CRC:])

    def is_whole(self) -> bool:
        """Whether its checksum fits."""
        if self._lies_in[_MAGIC] != 2:  # older formats sum something else
            return bool(self.client.validate_crc())
        found: int = google_crc32c.value(self._behind_crc)
        return bool(found == struct.unpack_from(">I", self._lies_in, _CRC)[0])

    def records(self, place: TopicPartition) -> Iterator[Some]:
        """Some at a time. Raises Damaged."""
        if self._lies_in[_MAGIC] == 2:
            return BatchRecords(place, self._lies_in, self._behind_crc).some_at_a_time()
        old = [
            FetchedRecord(place, r.offset, r.key, r.value, head_of(r.headers), timestamp=r.timestamp)
            for r in self.client
        ]
        return iter([(old, len(self._lies_in))])


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    next_fetch_offset: int

    def __iter__(self) -> Iterator[Some]:
        return self._records_iterator or iter(())

    def _unpack_records(self) -> Iterator[Some]:
        """Some at a time; `next_fetch_offset` is behind them. Raises Damaged."""
        while self._records.has_next():
            batch = self._records.next_batch()
            if not batch.is_whole():
                raise Damaged("the checksum of a batch does not fit its bytes")
            client = batch.client
            if not self._is_aborted(client) and not client.is_control_batch:
                for some, weight in batch.records(self._tp):
                    if (
                        some and some[0].offset < self.next_fetch_offset
                    ):  # a batch is fetched whole, whatever was asked for
                        some = [record for record in some if record.offset >= self.next_fetch_offset]
                    if some:
                        self.next_fetch_offset = some[-1].offset + 1
                    yield some, weight
            self.next_fetch_offset = client.next_offset

    def _is_aborted(self, batch: Any) -> bool:
        if self._isolation_level != fetcher.READ_COMMITTED or batch.producer_id is None:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and self._contains_abort_marker(batch):
            self._aborted_producers.discard(batch.producer_id)
        return bool(batch.is_transactional) and batch.producer_id in self._aborted_producers


class _FetchResult(fetcher.FetchResult):  # type: ignore[misc]  # aiokafka ships no types
    _partition_records: _PartitionRecords | None
    is_skipping = False  # the last look ended amid a large record

    def check_assignment(self, tp: TopicPartition) -> bool:
        if self._assignment.active and self._partition_records is not None:
            state = self._assignment.state_value(tp)
            if state.paused and state.position == self._partition_records.next_fetch_offset:
                return False  # it waits: what is unpacked already need not be unpacked again
        return bool(super().check_assignment(tp))

    def getall(self, max_records: int | None = None) -> list[Fetched]:
        """What can be had now. Never raises: that would drop what was fetched of other partitions."""
        place, records = self._topic_partition, self._partition_records
        self.is_skipping = False
        if records is None or not self.check_assignment(place):
            return []
        found: list[Fetched] = []
        taken, ended = 0, False
        most = min(TAKEN_WEIGHT, MOST_OF_ALL_PARTITIONS // len(self._assignment.tps))
        try:
            for some, weight in records:
                found += some
                taken += weight
                self.is_skipping = not weight
                if not weight or taken > most:
                    break
            else:
                ended = True
        except Exception as why:
            detail = str(why) if isinstance(why, Damaged) else type(why).__name__
            found.append(Unreadable(place, records.next_fetch_offset, detail))
            ended = True
        self._update_position()
        if ended:
            self._partition_records = None
        return found
