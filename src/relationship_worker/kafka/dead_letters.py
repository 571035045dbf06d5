"""Dead letters: what can't be read or believed is set aside as it came, and the records behind it go on."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.fetched_records import FetchedRecord
from relationship_worker.kafka.lanes import Lane
from relationship_worker.messages.envelope import InvalidMessage, Reason
from relationship_worker.messages.outgoing import Message, dead_letter

T = TypeVar("T")
SetAside = list[tuple[FetchedRecord, InvalidMessage]]
"""Records that are to be dead letters, each with its reason."""

CONFLICT = InvalidMessage(
    Reason.CONFLICTING_EVENT_ID,
    "another event has the same source and id, with other data: give this one an id of its own",
)

FAILED = InvalidMessage(Reason.PROCESSING_FAILED, "the worker failed on this record, again and again")


def read_all(
    lane: Lane, records: Sequence[FetchedRecord], read: Callable[[FetchedRecord], T]
) -> tuple[list[T], SetAside]:
    """What can be read of a batch, and what is to be set aside: `read` raises InvalidMessage for it.

    So is a record on which the worker itself has failed as often as it tries.
    """
    readable: list[T] = []
    set_aside: SetAside = []
    has_failed = lane.has_failed
    for record in records:
        if has_failed and lane.is_given_up(record.offset):
            set_aside.append((record, FAILED))
            continue
        try:
            if record.unread is not None:
                raise InvalidMessage(*record.unread)
            readable.append(read(record))
        except InvalidMessage as why:
            set_aside.append((record, why))
    return readable, set_aside


def dead_letters(kafka: Connection, set_aside: SetAside) -> list[Message]:
    """The records as they came, each with its reason and its coordinates."""
    return [
        dead_letter(
            why,
            topic=kafka.plain(record.topic),
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=record.headers,
            to_partition=record.partition,
        )
        for record, why in set_aside
    ]
