"""Bombs: batches of some kilobytes, taken by every broker, whose one record unpacks to hundreds of mebibytes."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import cramjam
import zstandard

from hand_made_batches import GZIP, LZ4, SNAPPY, ZSTD, a_batch
from relationship_worker.kafka.record_batch import LENGTHS, Header, record

MIB = 1024 * 1024
KEY = b"k"


def _cramjam_lz4() -> Any:
    return cramjam.lz4.Compressor(level=9, content_checksum=False, block_linked=False)


def _wide_zstd() -> Any:
    return zstandard.ZstdCompressor(level=22, write_content_size=False).compressobj()


class _Snappy:
    """Packs in one block, whatever it is given before."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def compress(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def flush(self) -> bytes:
        return bytes(cramjam.snappy.compress_raw(b"".join(self._pieces)))


# By name: the codec, what packs, and how large the value is; some can't even be unpacked up to it in bounded memory.
_KINDS: dict[str, tuple[int, Callable[[], Any], int]] = {
    "gzip": (GZIP, lambda: zlib.compressobj(wbits=31), 200 * MIB),
    "lz4": (LZ4, _cramjam_lz4, 100 * MIB),
    "snappy": (SNAPPY, _Snappy, 20 * MIB),
    "zstd": (ZSTD, lambda: zstandard.ZstdCompressor().compressobj(), 500 * MIB),
    "zstd, wide": (ZSTD, _wide_zstd, 300 * MIB),
}
BOMBS = tuple(_KINDS)
NOTHING_IS_LEFT = ("snappy", "zstd, wide")  # of the record but that it was there


def a_bomb(name: str, headers: Sequence[Header], *, size: int | None = None) -> bytes:
    """A batch of one record, its value blanks: as many bytes as its kind is known for, or `size`."""
    codec, packer, usual = _KINDS[name]
    return a_batch(_packed(packer(), _huge(size or usual, headers)), 1, codec=codec)


def _huge(size: int, headers: Sequence[Header]) -> list[bytes]:
    """A record of so many blanks, in pieces of a mebibyte."""
    behind = record(None, None, headers)[2:]
    front = b"\0\0\0" + LENGTHS[len(KEY)] + KEY + LENGTHS[size]
    whole = LENGTHS[len(front) + size + len(behind)] + front
    return [whole, *[b" " * MIB] * (size // MIB), behind]


def _packed(packer: Any, pieces: list[bytes]) -> bytes:
    """What a compressor of whichever library makes of them."""
    packed = [packer.compress(piece) for piece in pieces]
    end = packer.finish() if hasattr(packer, "finish") else packer.flush()
    return b"".join([part for part in packed if isinstance(part, bytes)]) + bytes(end)
