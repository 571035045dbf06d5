"""Quix Streams: JSON in, a look into a dict, JSON out, exactly once; its own Python, see `quix`."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from quixstreams import Application

Headers = list[tuple[str, bytes]]

NUMBERS: dict[str, str] = json.loads(Path(os.environ["BENCH_NUMBERS"]).read_text())
CAUSE: Headers = [("ce_causationid", b"-"), ("ce_causationsource", b"-")]

BATCH_BYTES = 1024 * 1024
LARGEST_REQUEST = 1_048_588  # the broker's own default; librdkafka's smaller one would cut the batches
LINGER_MS = 10  # batches fill before that under load; the flush of a commit waits for none
COMMIT_SECONDS = 0.5  # the longest that peers may take: each commit is a pause, everything under way is waited for

POLL_SECONDS = 0.1  # a commit that is due waits for it where no orders are left


def enrich(order: dict[str, Any]) -> dict[str, Any]:
    """The order with its customer's number, or without one."""
    number = NUMBERS.get(f"{order['supplier_id']}/{order.get('customer_id')}")
    return {"customer_number": {"number": number, "source": "partner" if number else "none"}, "order": order}


def name_the_cause(_value: Any, _key: bytes, _timestamp: int, headers: Headers) -> Headers:
    """What came with the order, and two more."""
    return headers + CAUSE


def main(state: str) -> None:
    """Run until SIGTERM, which Quix Streams takes itself: the open transaction is committed first."""
    app = Application(
        broker_address=os.environ["BENCH_BOOTSTRAP_SERVERS"],
        consumer_group=os.environ["BENCH_GROUP"],
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        consumer_poll_timeout=POLL_SECONDS,
        auto_create_topics=False,
        state_dir=state,
        loglevel="WARNING",
        consumer_extra_config={
            "max.partition.fetch.bytes": BATCH_BYTES,
            "fetch.max.bytes": 16 * BATCH_BYTES,
        },
        producer_extra_config={
            "acks": "all",
            "batch.size": BATCH_BYTES,
            "message.max.bytes": LARGEST_REQUEST,
            "linger.ms": LINGER_MS,
        },
    )
    # "json" is orjson in Quix Streams, both ways.
    orders = app.topic(os.environ["BENCH_ORDERS"], value_deserializer="json")
    output = app.topic(os.environ["BENCH_OUTPUT"], value_serializer="json")
    app.dataframe(orders).apply(enrich).set_headers(name_the_cause).to_topic(output)
    app.run()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
