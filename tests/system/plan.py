"""What a run plays: rounds of records, fixed before the first one is sent."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zlib import crc32

from model.records import Record

PARTITIONS = 4


@dataclass(frozen=True, kw_only=True)
class Round:
    """What is sent between two moments at which all is done.

    `early` orders travel together with the inputs of the relationships: each may know any number of those about it.
    `orders` are sent once Kafka has acknowledged those inputs, so all of them count.
    """

    early: tuple[Record, ...]
    relationships: tuple[Record, ...]
    orders: tuple[Record, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A scenario that came out of a seed; `now` is the moment for which its times were made."""

    seed: int
    now: datetime
    suppliers: Mapping[str, int]  # the two digits with which a supplier's numbers begin
    rounds: tuple[Round, ...]


@dataclass
class Places:
    """Gives each planned record its place: input topics are new, so offsets can be counted ahead."""

    now: datetime
    _next: Counter[tuple[str, int]] = field(default_factory=Counter)

    def place(self, record: Record) -> Record:
        """The record with the offset that it will have."""
        spot = (record.topic, record.partition)
        placed = Record(
            topic=record.topic,
            partition=record.partition,
            offset=self._next[spot],
            key=record.key,
            value=record.value,
            headers=record.headers,
            at=self.now,
        )
        self._next[spot] += 1
        return placed


def partition_of(key: bytes) -> int:
    """One partition per key."""
    return crc32(key) % PARTITIONS
