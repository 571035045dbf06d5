"""Events of one producer have headers that differ in id, time and trace alone: what is the same is not read again.

Kept by the length of all headers: bytes at known places are compared, and the few that differ are cut out. Whatever is new
or odd goes the general way, which alone says what is wrong with it.
"""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from relationship_worker.kafka.plain_records import FetchedRecord, read_headers
from relationship_worker.messages.envelope import (
    MAX_VALUE_BYTES,
    TRACE_NAMES,
    WHITE_SPACE,
    Envelope,
    is_structured,
    open_envelope,
)
from relationship_worker.messages.times import InvalidTime, read_time

MOST_BYTES = 1024  # of headers that are kept
MOST_KEPT = 500  # of them: a megabyte
_SAID_ONCE = {"ce_source", "ce_type", "ce_specversion", "content-type"}  # what they say is in what is kept
_TRACE = {*TRACE_NAMES, *(f"ce_{name}" for name in TRACE_NAMES)}


class _Alike(msgspec.Struct, gc=False):
    """Headers of one length: which bytes are the same, where each event's own lie, and what the same ones say."""

    same: list[tuple[bytes, int]]
    id: slice
    time: slice
    trace: list[tuple[str, slice]]
    source: str
    type: str


class AlikeHeaders:
    """Opens the events of a topic."""

    def __init__(self, types: Collection[str]) -> None:
        """`types`: those that the topic carries."""
        self._types = types
        self._kept: dict[int, _Alike] = {}

    def open(self, record: FetchedRecord) -> Envelope:
        """The record's event, as `open_envelope` opens it. Raises InvalidMessage."""
        alike = self._kept.get(len(record.head))
        event = _opened(alike, record.head, record.value) if alike is not None else None
        if event is None:
            headers = record.headers
            event = open_envelope(headers, record.value, self._types)
            if len(record.head) <= MOST_BYTES and not is_structured(headers):
                self._keep(record.head, event)
        return event

    def _keep(self, head: bytes, event: Envelope) -> None:
        headers = read_headers(head)
        names = {name.lower() for name, _, _ in headers}
        own = {n: slice(at, at + len(text)) for n, text, at in headers if text and n.lower() not in _SAID_ONCE}
        if len(names) < len(headers) or (own.keys() & _TRACE) != {name for name, _ in event.trace}:
            return  # one of several of a name counts; or a trace that is not passed on, where the next one's may be
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[len(head)] = _Alike(
            [(head[at], at.start) for at in _between(list(own.values()), len(head))],
            own["ce_id"],
            own["ce_time"],
            [(name, own[name]) for name, _ in event.trace],
            event.source,
            event.type,
        )


def _opened(alike: _Alike, head: bytes, value: bytes | None) -> Envelope | None:
    """None where anything differs from what is kept, or is odd."""
    if not value or len(value) > MAX_VALUE_BYTES:
        return None
    for same, at in alike.same:
        if not head.startswith(same, at):
            return None
    try:
        id_, time_text = head[alike.id].decode(), head[alike.time].decode()
        time = read_time(time_text)
    except (UnicodeDecodeError, InvalidTime):
        return None
    if not (id_.isascii() and id_.isprintable()):
        return None
    trace: tuple[tuple[str, bytes], ...] = ()
    if alike.trace:
        trace = tuple([(name, head[at]) for name, at in alike.trace])
        if not all(text.isascii() for _, text in trace):
            return None
    return Envelope(id_, alike.source, alike.type, time, time_text, value.strip(WHITE_SPACE), trace)


def _between(parts: Sequence[slice], end: int) -> Iterator[slice]:
    """What lies before, between and behind these parts, which lie in order."""
    start = 0
    for part in parts:
        yield slice(start, part.start)
        start = part.stop
    yield slice(start, end)
