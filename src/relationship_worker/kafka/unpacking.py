"""What a compressed batch of records holds, piece by piece: memory stays bounded, whatever it unpacks to.

A batch of 16 KB may hold gigabytes: sizes that Kafka limits are those of what is packed. So nothing here unpacks a batch
whole; whoever reads takes as much as he wants.
"""

import struct
import zlib
from collections.abc import Iterator

import cramjam
import zstandard

from relationship_worker.kafka.plain_records import Damaged

PIECE_BYTES = 1024 * 1024  # of a piece, mostly; a block of lz4 or snappy comes whole
WINDOW_BYTES = 8 * 1024 * 1024  # what the decoder of zstd keeps of what it has unpacked; levels up to 19 ask for less
WIDEST_WINDOW_BYTES = 128 * 1024 * 1024  # what levels 20 to 22 ask for, and what the broker unpacks at the most
WIDE_BYTES = 32 * 1024 * 1024  # up to where a batch of a wider window is unpacked: the window fills up meanwhile
SNAPPY_BLOCK_BYTES = 8 * 1024 * 1024  # snappy unpacks a block at once; producers make blocks of 32 KB to 1 MB
SNAPPY_MOST = 64  # times as large as it was packed: more than the format can express

_NONE, _GZIP, _SNAPPY, _LZ4, _ZSTD = range(5)


class Unbounded(Exception):
    """What comes next can't be unpacked in bounded memory."""


def unpack(codec: int, packed: memoryview) -> Iterator[bytes]:
    """What is packed, piece by piece, for codecs as a batch names them. Raises Damaged, Unbounded.

    Sums over what is unpacked are not checked where the broker does not either: the batch has a sum of its own.
    """
    try:
        if codec == _NONE:
            yield from _slices(packed)
        elif codec == _GZIP:
            yield from _gzip(packed)
        elif codec == _SNAPPY:
            yield from _snappy(packed)
        elif codec == _LZ4:
            yield from _lz4(packed)
        elif codec == _ZSTD:
            yield from _zstd(packed)
        else:
            raise Damaged(f"no codec has the number {codec}")
    except (zlib.error, zstandard.ZstdError, cramjam.DecompressionError, struct.error, IndexError) as why:
        raise Damaged(type(why).__name__) from why


def _slices(packed: memoryview) -> Iterator[bytes]:
    for start in range(0, len(packed), PIECE_BYTES):
        yield bytes(packed[start : start + PIECE_BYTES])


def _gzip(packed: memoryview) -> Iterator[bytes]:
    """One member after another; what follows the last one and is none is ignored, as Java does."""
    rest = bytes(packed)
    while rest[:2] == b"\x1f\x8b":
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            piece = member.decompress(rest, PIECE_BYTES)
            rest = member.unconsumed_tail
            if piece:
                yield piece
            elif not rest and not member.eof:
                return  # cut off: the reader misses what is not there
        rest = member.unused_data


def _zstd(packed: memoryview) -> Iterator[bytes]:
    given = 0
    try:
        for piece in _zstd_pieces(packed, WINDOW_BYTES):
            given += len(piece)
            yield piece
        return
    except zstandard.ZstdError:
        pass  # a wider window, or no zstd at all
    unpacked = 0
    for piece in _zstd_pieces(packed, WIDEST_WINDOW_BYTES):
        unpacked += len(piece)
        if unpacked > max(WIDE_BYTES, given):
            raise Unbounded("it is packed with a window of more than 8 MiB")
        if unpacked > given:
            yield piece[given - unpacked :]
            given = unpacked


def _zstd_pieces(packed: memoryview, window: int) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=window)
    with decoder.stream_reader(packed, read_across_frames=True) as reader:
        while piece := reader.read(PIECE_BYTES):
            yield piece


_XERIAL = b"\x82SNAPPY\0"
_XERIAL_HEADER_BYTES = 16


def _snappy(packed: memoryview) -> Iterator[bytes]:
    """One block, or, as Java's producers write it, many of them behind a header."""
    if packed[: len(_XERIAL)] != _XERIAL:
        yield _snappy_block(packed)
        return
    start = 0
    while start < len(packed):
        if packed[start : start + len(_XERIAL)] == _XERIAL:
            start += _XERIAL_HEADER_BYTES
            continue
        [length] = struct.unpack_from(">I", packed, start)
        start += 4 + length
        yield _snappy_block(packed[start - length : start])


def _snappy_block(block: memoryview) -> bytes:
    size = cramjam.snappy.decompress_raw_len(block)
    if size > SNAPPY_MOST * len(block):
        raise Damaged("a block of snappy is said to be larger than it can be")
    if size > SNAPPY_BLOCK_BYTES:
        raise Unbounded(f"a block of snappy has {size} bytes")
    return bytes(cramjam.snappy.decompress_raw(block))


_LZ4_MAGIC = b"\x04\x22\x4d\x18"
_LZ4_BLOCK_BYTES = {4: 1 << 16, 5: 1 << 18, 6: 1 << 20, 7: 1 << 22}
_BLOCK_CHECKSUM, _CONTENT_SIZE = 0x10, 0x08
_STORED = 0x80000000


def _lz4(packed: memoryview) -> Iterator[bytes]:
    """A frame of blocks that stand by themselves: the broker takes no others."""
    if packed[:4] != _LZ4_MAGIC:
        raise Damaged("no frame of lz4")
    flags, most = packed[4], _LZ4_BLOCK_BYTES.get(packed[5] >> 4 & 7)
    if most is None:
        raise Damaged("lz4 knows no blocks of that size")
    unpacked = bytearray(most)
    start = 7 + (8 if flags & _CONTENT_SIZE else 0)
    while True:
        [length] = struct.unpack_from("<I", packed, start)
        if not length:
            return
        start += 4
        block = packed[start : start + (length & ~_STORED)]
        if length & _STORED:
            yield bytes(block)
        else:
            size = cramjam.lz4.decompress_block_into(block, unpacked)
            yield bytes(memoryview(unpacked)[:size])
        start += len(block) + (4 if flags & _BLOCK_CHECKSUM else 0)
