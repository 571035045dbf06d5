"""Batches of records made by hand, also such as no client would make, and sent as they are."""

import struct
from collections.abc import Sequence

import google_crc32c
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest

from relationship_worker.kafka.record_batch import LENGTHS, record

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
_HEAD = struct.Struct(">hiqqqhii")  # what stands behind the checksum


def a_record(body: bytes, place: int = 0, *, attributes: int = 0, timestamp: bytes = b"\0") -> bytes:
    """A record at its place in a batch; `body` as `record` writes it."""
    inner = bytes((attributes,)) + timestamp + LENGTHS[place] + body
    return LENGTHS[len(inner)] + inner


def some_records(values: Sequence[bytes | None], headers: Sequence[tuple[str, bytes | None]] = ()) -> bytes:
    """Records with these values, one after the other."""
    return b"".join(a_record(record(b"k", value, headers), n) for n, value in enumerate(values))


def a_batch(
    records: bytes,
    count: int,
    *,
    codec: int = 0,
    attributes: int = 0,
    last_offset: int | None = None,
    magic: int = 2,
    checksum: int | None = None,
    length: int | None = None,
    base_offset: int = 0,
) -> bytes:
    """A batch around records, which are packed already where a codec is named."""
    last = count - 1 if last_offset is None else last_offset
    behind = _HEAD.pack(codec | attributes, last, 1_700_000_000_000, 1_700_000_000_000, -1, -1, -1, count) + records
    summed = google_crc32c.value(behind) if checksum is None else checksum
    said = len(behind) + 9 if length is None else length
    return struct.pack(">qiibI", base_offset, said, -1, magic, summed) + behind


async def send_batch(producer: AIOKafkaProducer, topic: str, partition: int, batch: bytes) -> tuple[str, int]:
    """Send it as it is: the broker's answer by name, and the first record's offset."""
    await producer.partitions_for(topic)
    node = producer.client.cluster.leader_for_partition(TopicPartition(topic, partition))
    answer = await producer.client.send(node, ProduceRequest(None, -1, 15_000, [(topic, [(partition, batch)])]))
    [[_, [[_, code, offset, *_]]]] = answer.topics
    return for_code(code).__name__, offset
