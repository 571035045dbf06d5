"""The bare client and no features at all: every order from one topic to the other, at least once.

By its key, as the client sends; or, with `--same-partition`, into the partition that it came from: no key is hashed then, which
aiokafka does in Python, at a fifth of all that this costs.
"""

import asyncio
import os
import signal
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

BATCH_BYTES = 1024 * 1024


async def main() -> None:
    """Run until SIGTERM."""
    servers = os.environ["BENCH_BOOTSTRAP_SERVERS"]
    output = os.environ["BENCH_OUTPUT"]
    consumer = AIOKafkaConsumer(
        os.environ["BENCH_ORDERS"],
        bootstrap_servers=servers,
        group_id=os.environ["BENCH_GROUP"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_bytes=16 * BATCH_BYTES,
        max_partition_fetch_bytes=BATCH_BYTES,
    )
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", max_batch_size=BATCH_BYTES, linger_ms=5)
    same_partition = "--same-partition" in sys.argv
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await consumer.start()
    await producer.start()
    try:
        while not stopping.is_set():
            fetched = await consumer.getmany(timeout_ms=100)
            for records in fetched.values():
                for record in records:
                    headers = [*record.headers, ("ce_causationid", b"-"), ("ce_causationsource", b"-")]
                    partition = record.partition if same_partition else None
                    await producer.send(output, record.value, record.key, partition, headers=headers)
            if fetched:
                await producer.flush()
                await consumer.commit()
    finally:
        await producer.stop()
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main())
