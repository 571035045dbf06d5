"""Produce requests whose records are copied once on their way to the socket: the client would do so ten times.

It joins a request level by level, and the records, which are all but some bytes of it, at each level anew: a tenth of what an
order cost. Here the pieces are kept apart until the client puts the request's size before them.

Source: https://kafka.apache.org/protocol.html#The_Messages_Produce
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from aiokafka.producer import sender
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import Int16, Int32, String


class Pieces:
    """Bytes that are not joined yet."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces

    def __len__(self) -> int:
        return sum([len(piece) for piece in self.pieces])


class _Body(Pieces):
    """A request's body. The client puts the header before it, then the size: only then are the bytes needed as one."""

    def __radd__(self, header: bytes) -> "_Message":
        return _Message([header, *self.pieces])


class _Message(Pieces):
    def __radd__(self, size: bytes) -> bytes:
        return b"".join([size, *self.pieces])


def send_our_way() -> None:
    """From now on, in this process: every producer's requests are made here. May be called again."""
    sender.ProduceRequest = _ProduceRequest


class _ProduceRequest(ProduceRequest):  # type: ignore[misc]  # aiokafka ships no types
    def build(self, request_struct_class: type) -> Any:
        return super().build(_in_pieces(request_struct_class))


@cache
def _in_pieces(version: type) -> type:
    return type(version.__name__, (version,), {"encode": _encode})


def _encode(request: Any) -> _Body:
    """The request's body (versions 3 to 7)."""
    pieces = [
        String("utf-8").encode(request.transactional_id),
        Int16.encode(request.required_acks),
        Int32.encode(request.timeout),
        Int32.encode(len(request.topics)),
    ]
    for topic, partitions in request.topics:
        pieces += (String("utf-8").encode(topic), Int32.encode(len(partitions)))
        for partition, batch in partitions:
            pieces += (Int32.encode(partition), Int32.encode(len(batch)))
            pieces += batch.pieces if isinstance(batch, Pieces) else (batch,)  # the client's own batches are bytes
    return _Body(pieces)
