"""What the benchmark plays: relationships and a backlog of uniform orders."""

import json
import random
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
from aiokafka import AIOKafkaProducer

ORDER_BYTES = 1_044  # of value
PARTITIONS = 4
SUPPLIERS = 50
LOAD_BATCH = 1024 * 1024  # bytes of one produce request


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
        await connection.execute(
            """INSERT INTO relationship_history (supplier_id, customer_id, version, type, state, previous_state,
                   customer_number, brings_number, valid_from, recorded_at, previously_rejected, event_id, event_source)
               SELECT 's' || r % $1, 'c' || r, v, 'bench', CASE v WHEN 1 THEN 'requested' ELSE 'partner' END,
                      CASE v WHEN 1 THEN 'none' ELSE 'requested' END,
                      CASE v WHEN 1 THEN NULL ELSE 'N' || r END, v = 2,
                      '2020-01-01Z'::timestamptz + v * interval '1 day', now(), false, 'bench', 'bench'
               FROM generate_series(0, $2 - 1) AS r, generate_series(1, 2) AS v""",
            SUPPLIERS,
            count,
        )
        await connection.execute("VACUUM ANALYZE relationship_history")
    finally:
        await connection.close()


async def fill_orders(bootstrap_servers: str, topic: str, count: int, relationships: int, *, seed: int) -> None:
    """A backlog of orders of the same size, spread evenly over the partitions."""
    rng = random.Random(seed)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, max_batch_size=LOAD_BATCH)
    await producer.start()
    try:
        batches = {partition: producer.create_batch() for partition in range(PARTITIONS)}
        for i in range(count):
            partition = i % PARTITIONS
            value, headers, key = _order(rng, i, relationships)
            if not batches[partition].append(timestamp=None, key=key, value=value, headers=headers):
                await producer.send_batch(batches[partition], topic, partition=partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(timestamp=None, key=key, value=value, headers=headers)
        for partition, batch in batches.items():
            await producer.send_batch(batch, topic, partition=partition)
    finally:
        await producer.stop()


def _order(rng: random.Random, i: int, relationships: int) -> tuple[bytes, list[tuple[str, bytes]], bytes]:
    customer = rng.randrange(relationships)
    created = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(milliseconds=rng.randrange(10**9))
    order = {
        "order_id": f"PO-{i:09}",
        "supplier_id": f"s{customer % SUPPLIERS}",
        "customer_id": f"c{customer}",
        "created_at": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "channel": rng.choice(("public", "private")),
        "lines": [{"sku": f"{n:06}", "quantity": 1 + n, "price": "19.90"} for n in range(10)],
        "note": "",
    }
    short = ORDER_BYTES - len(json.dumps(order))
    order["note"] = "x" * short
    headers = [
        ("ce_id", str(uuid.UUID(int=rng.getrandbits(128))).encode()),
        ("ce_source", b"/marketplace"),
        ("ce_type", b"marketplace.order.created"),
        ("ce_specversion", b"1.0"),
        ("ce_time", order["created_at"].encode()),  # type: ignore[attr-defined]
        ("content-type", b"application/json"),
    ]
    return json.dumps(order).encode(), headers, f"c{customer}".encode()
