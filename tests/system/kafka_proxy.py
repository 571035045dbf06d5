"""A way to Kafka on which an `EndTxn` is held back, and arrives amid the same producer's next transaction (KAFKA-17754)."""

import asyncio
import struct
from collections import Counter
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from system.proxy import HERE, Link, Proxy

_PRODUCE, _END_TXN = 0, 26  # api keys
_LENGTH = struct.Struct(">i")
_HEADER = struct.Struct(">hhih")  # api key, version, correlation, length of the client's id
_ANSWER_BOUND = 20.0  # seconds
_FIRST_WITH_TRANSACTIONS = 3  # version of Produce


@dataclass
class _Stream:
    """Puts pieces together to whole messages."""

    rest: bytes = b""

    def whole(self, piece: bytes) -> list[bytes]:
        """The messages that are complete by now, without their length."""
        data = self.rest + piece
        found = []
        while len(data) >= 4 and len(data) >= 4 + (size := _LENGTH.unpack_from(data)[0]):
            found.append(data[4 : 4 + size])
            data = data[4 + size :]
        self.rest = data
        return found


@dataclass
class _Held:
    """An EndTxn that was sent and did not arrive; and what its producer is answered meanwhile."""

    request: bytes
    produced: set[tuple[Link, int]] = field(
        default_factory=set
    )  # connection and correlation of what the next one sends


class KafkaProxy(Proxy):
    """Knows just enough of the protocol."""

    def __init__(self, port: int, server_port: int) -> None:
        super().__init__(port, server_port)
        self.late: Counter[int] = Counter()  # how the broker answered the late ones: error codes
        self._to_hold = 0
        self._held: dict[str, _Held] = {}
        self._forth: WeakKeyDictionary[Link, _Stream] = WeakKeyDictionary()
        self._back: WeakKeyDictionary[Link, _Stream] = WeakKeyDictionary()

    def hold_ends(self, count: int) -> None:
        """Hold so many of the next EndTxn back, each of another producer."""
        self._to_hold += count

    def hold_no_more(self) -> None:
        """Whatever is left to hold is let through, and what is held is dropped."""
        self._to_hold = 0
        self._held.clear()

    @property
    def is_holding(self) -> bool:
        """True while there is one that has not arrived late."""
        return self._to_hold > 0 or bool(self._held)

    async def from_client(self, link: Link, piece: bytes) -> bytes:
        passed = []
        for request in self._forth.setdefault(link, _Stream()).whole(piece):
            key, version, correlation, own = _HEADER.unpack_from(request)
            body = _HEADER.size + max(0, own)
            if key == _END_TXN and self._to_hold and (producer := _text(request, body)) not in self._held:
                self._to_hold -= 1
                self._held[producer] = _Held(request)
                link.reset()
                return b""
            if key == _PRODUCE and version >= _FIRST_WITH_TRANSACTIONS and self._held:
                held = self._held.get(_text(request, body))
                if held is not None:
                    held.produced.add((link, correlation))
            passed.append(_LENGTH.pack(len(request)) + request)
        return b"".join(passed)

    async def from_server(self, link: Link, piece: bytes) -> bytes:
        passed = []
        for answer in self._back.setdefault(link, _Stream()).whole(piece):
            [correlation] = _LENGTH.unpack_from(answer)
            for producer, held in list(self._held.items()):
                if (link, correlation) in held.produced:  # its next transaction is open, and some of it is there
                    del self._held[producer]
                    self.late[await self._deliver(held.request)] += 1
            passed.append(_LENGTH.pack(len(answer)) + answer)
        return b"".join(passed)

    async def _deliver(self, request: bytes) -> int:
        """Send it, over a connection of its own; the error code of the answer."""
        reader, writer = await asyncio.open_connection(HERE, self._server_port)
        try:
            writer.write(_LENGTH.pack(len(request)) + request)
            [size] = _LENGTH.unpack(await asyncio.wait_for(reader.readexactly(4), _ANSWER_BOUND))
            answer = await asyncio.wait_for(reader.readexactly(size), _ANSWER_BOUND)
        finally:
            writer.transport.abort()
        return int.from_bytes(answer[8:10], "big", signed=True)  # behind the correlation and the throttle time


def _text(request: bytes, at: int) -> str:
    [size] = struct.unpack_from(">h", request, at)
    return request[at + 2 : at + 2 + max(0, size)].decode()
