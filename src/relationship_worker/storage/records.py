"""Kafka headers as bytes, for rows that hold a record as it came or a message as it will go."""

import msgspec

HeaderList = list[tuple[str, bytes | None]]

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(HeaderList)


def pack_headers(headers: HeaderList) -> bytes:
    """Names, values, order and repetition are kept."""
    return _ENCODER.encode(headers)


def unpack_headers(packed: bytes) -> HeaderList:
    """What `pack_headers` packed."""
    return _DECODER.decode(packed)
