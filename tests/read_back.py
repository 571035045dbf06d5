"""Records that the worker builds by hand, read by the client's own reader."""

from collections.abc import Sequence

from aiokafka.record.memory_records import MemoryRecords

from relationship_worker.kafka.record_batch import batches

ReadBack = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]


def read_back(bodies: Sequence[bytes], *, most_bytes: int = 1024 * 1024) -> list[list[ReadBack]]:
    """Key, value and headers of each record, batch by batch."""
    found = []
    for batch in batches(bodies, most_bytes=most_bytes, timestamp=1_700_000_000_000):
        records = MemoryRecords(b"".join(batch._build().pieces))
        read = records.next_batch()
        assert read.validate_crc()
        assert not records.has_next()
        found.append([(r.key, r.value, list(r.headers)) for r in read])
    return found
