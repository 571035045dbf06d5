"""The bare client and no features at all: every order from one topic to the other, at least once."""

import asyncio
import os
import signal

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
                    # Into the partition that it came from: its key is there already, and hashing keys, which aiokafka does
                    # in Python, would be a fifth of all this costs.
                    await producer.send(output, record.value, record.key, record.partition, headers=headers)
            if fetched:
                await producer.flush()
                await consumer.commit()
    finally:
        await producer.stop()
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main())
