"""A record read byte by byte, as Java reads it: slow, and of any size. What is too large to be kept is skipped.

Source: https://kafka.apache.org/documentation/#record
"""

from collections.abc import Generator, Iterator

import msgspec

from relationship_worker.kafka.plain_records import VARINT_BYTES, Damaged, varint
from relationship_worker.kafka.unpacking import PIECE_BYTES
from relationship_worker.messages.outgoing import MOST_IN_DEAD_LETTER

LARGE_BYTES = (
    2 * 1024 * 1024
)  # of a whole record; a value that is read has half of it. What is smaller fits every output
MOST_HEADERS = 10_000  # of a record; in memory each costs a hundred bytes, with two on the wire
PAUSE_BYTES = 2 * PIECE_BYTES  # skipped at once: up to 6 ms of unpacking (gzip), then the others have their turn


class Bytes:
    """What is unpacked, as one row of bytes, of which only the next few are in memory."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""
        self._at = 0
        self.ended = False  # nothing follows what is held
        self.read = 0  # bytes so far

    @property
    def held(self) -> int:
        """Bytes that are in memory and not yet read."""
        return len(self._held) - self._at

    def hold(self, count: int) -> bool:
        """Have so many bytes in memory; False where there are not so many."""
        if self.held < count and not self.ended:
            held, some = self.held, [self._held[self._at :]]
            while held < count and not self.ended:
                piece = next(self._pieces, None)
                if piece is None:
                    self.ended = True
                else:
                    some.append(piece)
                    held += len(piece)
            self._held, self._at = b"".join(some), 0
        return self.held >= count

    def take(self, count: int) -> bytes:
        """The next bytes. Raises Damaged where there are not so many."""
        if not self.hold(count):
            raise Damaged("a record is cut off")
        self._at += count
        self.read += count
        return self._held[self._at - count : self._at]

    def skip(self, count: int) -> None:
        """Go past the next bytes. Raises Damaged where there are not so many."""
        self.read += count
        while self.held < count and not self.ended:
            count -= self.held
            self._held, self._at = b"", 0
            self.hold(1)
        if self.held < count:
            raise Damaged("a record is cut off")
        self._at += count

    def varint(self) -> int:
        """The next number, zigzag, seven bits a byte."""
        self.hold(VARINT_BYTES)
        number, end = varint(self._held, self._at)
        self.read += end - self._at
        self._at = end
        return number

    def take_records(self, most: int) -> tuple[bytes, int]:
        """Whole records, all that are in memory, at most so many, up to the next that is large; and how many they are."""
        at, count = self._at, 0
        while count < most and at < len(self._held):
            try:
                size, start = varint(self._held, at)
            except Damaged:
                break
            if not 0 <= size <= LARGE_BYTES or start + size > len(self._held):
                break
            at, count = start + size, count + 1
        return self.take(at - self._at), count

    def hold_record(self) -> bool:
        """Have the next record, which is none of the large ones, in memory; False where it is cut off."""
        self.hold(VARINT_BYTES)
        size, start = varint(self._held, self._at)
        return size >= 0 and self.hold(start - self._at + size)

    def next_is_large(self) -> bool:
        """Whether the next record is. Raises Damaged where there is none."""
        self.hold(VARINT_BYTES)
        return varint(self._held, self._at)[0] > LARGE_BYTES


class RawRecord(msgspec.Struct, gc=False):
    """A record as it lies in its batch. `left_out`: what was too large to be kept, and so is None, or no headers."""

    offset_delta: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    size: int  # bytes of the whole record
    value_size: int
    header_count: int
    left_out: list[str]


def read_record(source: Bytes) -> Iterator[RawRecord | None]:
    """The next record; None, now and then, while much of it is skipped. Raises Damaged, Unbounded.

    What would not fit a dead letter is left out: first the value, then the headers, then the key.
    """
    size = source.varint()
    start = source.read
    source.take(1)  # attributes: none is in use
    source.varint()  # the timestamp, which nobody asks for
    offset_delta = source.varint()
    key_size, key = yield from _take_or_skip(source, MOST_IN_DEAD_LETTER)
    room = MOST_IN_DEAD_LETTER - len(key or b"")
    value_size, value = yield from _take_or_skip(source, room)
    header_count = source.varint()
    header_bytes = size - (source.read - start)
    keep_headers = 0 <= header_count <= MOST_HEADERS and header_bytes <= room
    if value is not None and keep_headers and header_bytes + value_size > room:
        value = None
    if keep_headers:
        headers = [_header(source) for _ in range(header_count)]
    else:
        yield from _skip(source, header_bytes)
        headers = []
    if header_count < 0 or source.read - start != size:
        raise Damaged("a record is of another size than it says")
    left_out = [f"{value_size} bytes of value"] if value_size > 0 and value is None else []
    left_out += [] if keep_headers else [f"{header_count} headers"]
    left_out += [f"{key_size} bytes of key"] if key_size > 0 and key is None else []
    yield RawRecord(offset_delta, key, value, headers, size, max(value_size, 0), header_count, left_out)


def _take_or_skip(source: Bytes, most: int) -> Generator[None, None, tuple[int, bytes | None]]:
    """Its size (less than none stands for null), and the bytes, where they are not too many."""
    size = source.varint()
    if size < 0:
        return size, None
    if size <= most:
        return size, source.take(size)
    yield from _skip(source, size)
    return size, None


def _header(source: Bytes) -> tuple[str, bytes | None]:
    size = source.varint()
    if size < 0:
        raise Damaged("a header has no name")
    name = source.take(size).decode("utf-8", "replace")
    size = source.varint()
    return name, source.take(size) if size >= 0 else None


def _skip(source: Bytes, count: int) -> Generator[None, None, None]:
    if count < 0:
        raise Damaged("a record is of another size than it says")
    done = 0
    while done < count:
        step = min(count - done, PIECE_BYTES)
        source.skip(step)
        if done // PAUSE_BYTES != (done + step) // PAUSE_BYTES:
            yield None
        done += step
