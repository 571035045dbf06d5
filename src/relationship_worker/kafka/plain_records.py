"""Records as nearly all lie in their batch, read at a third of what the client's reader and its objects cost.

Of a record's headers most are the same for all of a producer's, and mostly nobody reads them one by one: they stay the bytes
that they were until somebody asks.

Source: https://kafka.apache.org/documentation/#record
"""

import msgspec
from aiokafka import TopicPartition

from relationship_worker.kafka.record_batch import LENGTHS, header
from relationship_worker.messages.envelope import Headers, Reason

RECORD_WEIGHT = 250  # bytes of memory that a record takes besides its own
HANDED_ON_WEIGHT = 1024 * 1024  # bytes of memory: some hundred records, so that the next fetch is never far
_MORE = 0x7F  # a byte above it is not the last of its number
VARINT_BYTES = 10  # at the most


class Damaged(Exception):
    """These are not the bytes of the format that they are said to be."""


class FetchedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as it was fetched. `head`: its headers as they lie in it. `weight`: about how many bytes of memory it takes.
    `unread`: why nobody reads it, and what of it is not even here. `timestamp`: of its batch's first record, milliseconds since
    1970 by its producer's clock; below 0: none."""

    place: TopicPartition
    offset: int
    key: bytes | None
    value: bytes | None
    head: bytes
    weight: int = 0
    unread: tuple[Reason, str] | None = None
    timestamp: int = -1

    @property
    def topic(self) -> str:
        """Its topic's name on the broker."""
        return str(self.place.topic)

    @property
    def partition(self) -> int:
        """Its partition."""
        return int(self.place.partition)

    @property
    def sent_at(self) -> int | None:
        """The timestamp, where there is one."""
        return self.timestamp if self.timestamp > 0 else None

    @property
    def headers(self) -> Headers:
        """Read anew each time."""
        return [(name, text) for name, text, _ in read_headers(self.head)]


NO_HEADERS = LENGTHS[0]


def head_of(headers: Headers) -> bytes:
    """Headers as they lie in a record."""
    return LENGTHS[len(headers)] + b"".join([header(name, text) for name, text in headers])


def read_headers(head: bytes) -> list[tuple[str, bytes | None, int]]:
    """Each header's name, its bytes, and where these begin. Of names that are no UTF-8, which brokers let pass, U+FFFD stands
    for what can't be decoded, as Java does it; of damaged headers those are left out that can't be read."""
    found: list[tuple[str, bytes | None, int]] = []
    try:
        count, at = varint(head, 0)
        for _ in range(count):
            name, at = _bytes(head, at)
            if name is None:
                break
            text, at = _bytes(head, at)
            found.append((name.decode("utf-8", "replace"), text, at - len(text or b"")))
    except Damaged:
        pass
    return found


def _bytes(head: bytes, at: int) -> tuple[bytes | None, int]:
    """Bytes with their size before them, and what follows them; a size of less than nothing stands for null."""
    size, at = varint(head, at)
    if size < 0:
        return None, at
    if at + size > len(head):
        raise Damaged("a header is cut off")
    return head[at : at + size], at + size


def varint(held: bytes, at: int) -> tuple[int, int]:
    """A number, zigzag, seven bits a byte, and what follows it. Raises Damaged."""
    number, shift = 0, 0
    for end in range(at, min(at + VARINT_BYTES, len(held))):
        byte = held[end]
        number |= (byte & 0x7F) << shift
        if byte <= _MORE:
            return number >> 1 ^ -(number & 1), end + 1
        shift += 7
    raise Damaged("a number is cut off, or too long")


def read_plain(
    place: TopicPartition, offset: int, some: bytes, at: int, count: int, timestamp: int
) -> tuple[list[FetchedRecord], int, int]:
    """Records that lie there one after the other, at most so many, their weight, and where the next one begins.

    Ends before the first one that is odd in any way, and where there are enough for once.
    """
    found: list[FetchedRecord] = []
    limit, weight, done = len(some), 0, at
    try:
        while len(found) < count and weight <= HANDED_ON_WEIGHT:
            size = some[at]
            if size <= _MORE:
                at += 1
            elif (more := some[at + 1]) <= _MORE:
                size, at = size & 0x7F | more << 7, at + 2
            else:
                size, at = _long(some, at)
            if size & 1:  # less than nothing
                break
            end = at + (size >> 1)
            at += 1  # attributes: none is in use
            while some[at] > _MORE:  # the timestamp, which nobody asks for
                at += 1
            at += 1
            while some[at] > _MORE:  # the offset: a record's place says it
                at += 1
            at += 1
            length = some[at]
            if length <= _MORE:
                at += 1
            else:
                length, at = _long(some, at)
            key = None
            if not length & 1:
                stop = at + (length >> 1)
                key, at = some[at:stop], stop
            elif length != 1:  # null
                break
            length = some[at]
            if length <= _MORE:
                at += 1
            elif (more := some[at + 1]) <= _MORE:
                length, at = length & 0x7F | more << 7, at + 2
            else:
                length, at = _long(some, at)
            value = None
            if not length & 1:
                stop = at + (length >> 1)
                value, at = some[at:stop], stop
            elif length != 1:
                break
            head = some[at:end]
            if not at < end <= limit or head[0] > _MORE or head[0] & 1:  # 64 headers and more are looked at one by one
                break
            found.append(FetchedRecord(place, offset, key, value, head, RECORD_WEIGHT + (size >> 1), None, timestamp))
            weight += RECORD_WEIGHT + (size >> 1)
            offset += 1
            at = done = end
    except (IndexError, Damaged):
        pass  # cut off, at the latest here
    return found, weight, done


def _long(some: bytes, at: int) -> tuple[int, int]:
    """A number of more bytes, still zigzag, and what follows it."""
    number, at = varint(some, at)
    return (number << 1 if number >= 0 else (-number << 1) - 1), at
