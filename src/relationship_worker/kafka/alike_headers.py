"""Events of one producer have headers that differ in id, time and trace alone: what is the same is not read again.

Kept by the length of all headers: bytes at known places are compared, and the few that differ are cut out. Whatever is new
or odd goes the general way, which alone says what is wrong with it.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec

from relationship_worker.kafka.plain_records import FetchedRecord, read_headers
from relationship_worker.messages.envelope import TRACE_NAMES, Envelope, begin_key, is_structured

MOST_BYTES = 1024  # of headers that are kept
MOST_KEPT = 500  # of them: a megabyte
_SAID_ONCE = {"ce_source", "ce_type", "ce_specversion", "content-type"}  # what they say is in what is kept
_TRACE = {*TRACE_NAMES, *(f"ce_{name}" for name in TRACE_NAMES)}


class Alike(msgspec.Struct, gc=False):
    """Headers of one length: which bytes are the same, where each event's own lie, and what the same ones say."""

    same: list[tuple[bytes, int]]
    id: slice
    time: slice
    trace: list[tuple[str, slice]]
    source: str
    key_begun: blake2b


class AlikeHeaders(dict[int, Alike]):
    """Those of the events of a topic, by their length in bytes."""

    def __init__(self, topic: str) -> None:
        """`topic`: its name in the contract."""
        super().__init__()
        self._topic = topic

    def learn(self, record: FetchedRecord, event: Envelope) -> None:
        """The record's headers, read the general way, are those of this event: the next ones may be alike."""
        headers = read_headers(record.head)
        if len(record.head) > MOST_BYTES or is_structured([(name, text) for name, text, _ in headers]):
            return
        names = {name.lower() for name, _, _ in headers}
        own = {n: slice(at, at + len(text)) for n, text, at in headers if text and n.lower() not in _SAID_ONCE}
        if len(names) < len(headers) or (own.keys() & _TRACE) != {name for name, _ in event.trace}:
            return  # one of several of a name counts; or a trace that is not passed on, where the next one's may be
        if len(self) >= MOST_KEPT:
            self.clear()
        self[len(record.head)] = Alike(
            [(record.head[at], at.start) for at in _between(list(own.values()), len(record.head))],
            own["ce_id"],
            own["ce_time"],
            [(name, own[name]) for name, _ in event.trace],
            event.source,
            begin_key(self._topic, event.source),
        )


def _between(parts: Sequence[slice], end: int) -> Iterator[slice]:
    """What lies before, between and behind these parts, which lie in order."""
    start = 0
    for part in parts:
        yield slice(start, part.start)
        start = part.stop
    yield slice(start, end)
