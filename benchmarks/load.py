"""What the benchmarks play: relationships, written in bulk past the lane, and a backlog of orders."""

import gzip
import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from aiokafka import AIOKafkaProducer

from relationship_worker.local.demo_story import DATA

ORDER_BYTES = 1_044  # of the value of a uniform order
SUPPLIERS = 50
LOAD_BATCH = 1024 * 1024  # bytes of one produce request
CUSTOMERS_AT_ONCE = 500_000  # relationships written by one statement
Record = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""Key, value and headers."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """`orders` of a backlog over `partitions`, by the customers of `relationships`."""

    orders: int
    partitions: int = 4
    relationships: int = 20_000
    history: bool = False  # documents of a real history, 200 bytes to 68 KB, instead of uniform orders
    hot: bool = False  # all orders of one customer, in one partition


def numbers_of(load: Load) -> dict[str, str]:
    """The numbers that apply, for those who keep them in memory."""
    return {f"s{r % SUPPLIERS}/c{r}": f"N{r}" for r in range(load.relationships)}


async def fill_relationships(database_url: str, count: int) -> None:
    """Partners with a number each, written in bulk past the lane, and a default number for every supplier."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            """INSERT INTO supplier_settings (supplier_id, change, valid_from, recorded_at, settings, event_id, event_source)
               SELECT 's' || s, 1, '2020-01-01Z', now(),
                      jsonb_build_object('default_customer_number', 'D' || s, 'time_zone', 'Europe/Berlin',
                          'reminder_time', '08:00', 'partner_without_number', 'default',
                          'public_catalogue', 'individual_first', 'customer_number_max_length', 20,
                          'correction_window_hours', 72), 'bench', 'bench'
               FROM generate_series(0, $1 - 1) AS s""",
            SUPPLIERS,
        )
        for first in range(0, count, CUSTOMERS_AT_ONCE):
            await connection.execute(
                """INSERT INTO relationship_history (supplier_id, customer_id, version, type, state, previous_state,
                   customer_number, brings_number, valid_from, recorded_at, previously_rejected, event_id, event_source)
               SELECT 's' || r % $1, 'c' || r, v, 'bench', CASE v WHEN 1 THEN 'requested' ELSE 'partner' END,
                      CASE v WHEN 1 THEN 'none' ELSE 'requested' END,
                      CASE v WHEN 1 THEN NULL ELSE 'N' || r END, v = 2,
                      '2020-01-01Z'::timestamptz + v * interval '1 day', now(), false, 'bench', 'bench'
               FROM generate_series($2, $3 - 1) AS r, generate_series(1, 2) AS v""",
                SUPPLIERS,
                first,
                min(first + CUSTOMERS_AT_ONCE, count),
                timeout=600,
            )
            await connection.execute(
                """INSERT INTO relationships (supplier_id, customer_id, state, version, valid_from, customer_number)
                   SELECT 's' || r % $1, 'c' || r, 'partner', 2, '2020-01-03Z', 'N' || r
                   FROM generate_series($2, $3 - 1) AS r""",
                SUPPLIERS,
                first,
                min(first + CUSTOMERS_AT_ONCE, count),
                timeout=600,
            )
        await connection.execute("VACUUM ANALYZE relationship_history, relationships", timeout=600)
    finally:
        await connection.close()


async def fill_orders(bootstrap_servers: str, topic: str, load: Load, *, seed: int) -> None:
    """A backlog of orders, spread evenly over the partitions."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, max_batch_size=LOAD_BATCH)
    await producer.start()
    try:
        batches = {partition: producer.create_batch() for partition in range(load.partitions)}
        for i, (key, value, headers) in enumerate(orders(load, seed=seed)):
            partition = 0 if load.hot else i % load.partitions
            if not batches[partition].append(timestamp=None, key=key, value=value, headers=headers):
                await producer.send_batch(batches[partition], topic, partition=partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(timestamp=None, key=key, value=value, headers=headers)
        for partition, batch in batches.items():
            await producer.send_batch(batch, topic, partition=partition)
    finally:
        await producer.stop()


def orders(load: Load, *, seed: int) -> Iterator[Record]:
    """The orders of a load, always the same ones for the same seed."""
    rng = random.Random(seed)
    documents = [None]
    if load.history:
        with gzip.open(DATA / "orders.jsonl.gz", "rt", encoding="utf-8") as file:
            documents = [json.loads(line) for line in file]
    for i in range(load.orders):
        customer = 0 if load.hot else rng.randrange(load.relationships or 1)
        created = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(milliseconds=rng.randrange(10**9))
        order = {
            "order_id": f"PO-{seed}-{i:09}",
            "supplier_id": f"s{customer % SUPPLIERS}",
            "customer_id": f"c{customer}",
            "created_at": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "channel": rng.choice(("public", "private")),
        }
        document = documents[i % len(documents)]
        value = _uniform(order) if document is None else json.dumps({**document, **order}).encode()
        headers = [
            ("ce_id", str(uuid.UUID(int=rng.getrandbits(128))).encode()),
            ("ce_source", b"/marketplace"),
            ("ce_type", b"marketplace.order.created"),
            ("ce_specversion", b"1.0"),
            ("ce_time", order["created_at"].encode()),
            ("content-type", b"application/json"),
        ]
        yield f"c{customer}".encode(), value, headers


_LINES = json.dumps([{"sku": f"{n:06}", "quantity": 1 + n, "price": "19.90"} for n in range(10)])


def _uniform(order: dict[str, str]) -> bytes:
    before = f'{json.dumps(order)[:-1]}, "lines": {_LINES}, "note": "'
    return f'{before}{"x" * (ORDER_BYTES - len(before) - 2)}"}}'.encode()
