"""What the benchmarks play: a backlog of orders, of so many customers' relationships."""

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

from relationship_worker.storage.known_facts import RELATIONSHIPS, _Recent

ORDER_BYTES = 1_044  # of the value of a uniform order
WARM = 0.15  # of a backlog, by which imports are done, connections made, statements prepared, caches filled
LOAD_BATCH = 1024 * 1024  # bytes of one produce request
FEWEST_SUPPLIERS = 50
CUSTOMERS_OF_A_SUPPLIER = 1_000  # where there are more relationships than fifty suppliers would have
SUPPLIERS_OF_A_CUSTOMER = 10
HISTORY = Path(__file__).parent / "history.jsonl.gz"
FIRST_CREATED = datetime(2026, 6, 1, tzinfo=UTC)
CREATED_WITHIN = timedelta(days=10)  # after that; in no order: a backlog of many sources


class Record(NamedTuple):
    """An order as it is sent, and the number of the relationship that it is of."""

    relationship: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, kw_only=True)
class Load:
    """`orders` of a backlog over `partitions`, by the customers of `relationships`."""

    orders: int
    partitions: int = 4
    relationships: int = 20_000
    skew: float = (
        0.0  # exponent of Zipf's law, by which customers order: 0 all alike, 1 a tenth of them nearly everything
    )
    history: bool = False  # documents of a real history, 188 bytes to 68 KB, instead of uniform orders
    hot: bool = False  # all orders of one customer, in one partition
    changes_per_second: int = 0  # of relationships, while the orders are answered
    traced: bool = False  # each order comes with a trace's context, of a trace that is recorded

    @property
    def suppliers(self) -> int:
        """How many there are."""
        return max(FEWEST_SUPPLIERS, self.relationships // CUSTOMERS_OF_A_SUPPLIER)

    def pair(self, relationship: int) -> tuple[str, str]:
        """Supplier and customer of a relationship; its number is `N{relationship}`."""
        return f"s{relationship % self.suppliers}", f"c{relationship // SUPPLIERS_OF_A_CUSTOMER}"


def numbers_of(load: Load) -> dict[str, str]:
    """The numbers that apply, for those who keep them in memory."""
    return {"/".join(load.pair(r)): f"N{r}" for r in range(load.relationships)}


async def fill_orders(bootstrap_servers: str, topic: str, load: Load, *, seed: int) -> float:
    """A backlog of orders, spread evenly over the partitions. Returns for how many of a hundred, once the backlog is warm,
    one worker holds their relationship's facts in memory already: all others cost a question to the database."""
    held: _Recent[int, int] = _Recent(RELATIONSHIPS)
    found = 0
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, max_batch_size=LOAD_BATCH)
    await producer.start()
    try:
        batches = {partition: producer.create_batch() for partition in range(load.partitions)}
        for i, order in enumerate(orders(load, seed=seed)):
            partition = 0 if load.hot else i % load.partitions
            if held.get(order.relationship) is None:
                held.put({order.relationship: i})
            elif i >= WARM * load.orders:
                found += 1
            record = {"timestamp": None, "key": order.key, "value": order.value, "headers": order.headers}
            if not batches[partition].append(**record):
                await producer.send_batch(batches[partition], topic, partition=partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(**record)
        for partition, batch in batches.items():
            await producer.send_batch(batch, topic, partition=partition)
    finally:
        await producer.stop()
    return 100 * found / ((1 - WARM) * load.orders)


def orders(load: Load, *, seed: int) -> Iterator[Record]:
    """The orders of a load, always the same ones for the same seed."""
    rng = random.Random(seed)
    documents = _documents() if load.history else []
    for i in range(load.orders):
        relationship = 0 if load.hot else _relationship(load, rng.random())
        supplier, customer = load.pair(relationship)
        created = FIRST_CREATED + rng.random() * CREATED_WITHIN
        time = f"{created:%Y-%m-%dT%H:%M:%S}.{created.microsecond // 1000:03}Z"
        order = (
            f'"order_id": "PO-{seed}-{i:09}", "supplier_id": "{supplier}", '
            f'"customer_id": "{customer}", "created_at": "{time}", "channel": "{"private" if i % 2 else "public"}"'
        )
        document = documents[i % len(documents)] if documents else _uniform(len(order))
        headers = [
            ("ce_id", f"{rng.getrandbits(128):032x}".encode()),
            ("ce_source", b"/marketplace"),
            ("ce_type", b"marketplace.order.created"),
            ("ce_specversion", b"1.0"),
            ("ce_time", time.encode()),
            ("content-type", b"application/json"),
        ]
        if load.traced:
            headers.append(("traceparent", f"00-{rng.getrandbits(128):032x}-{rng.getrandbits(64):016x}-01".encode()))
        yield Record(relationship, customer.encode(), f"{{{order}{document}".encode(), headers)


_SCATTER = 7_368_787  # a prime: who orders most is spread over suppliers and over the database's pages


def _relationship(load: Load, drawn: float) -> int:
    """By Zipf's law: there are orders of the one of rank k in proportion to 1 / k^skew (drawn from its continuous form)."""
    count = load.relationships
    rank = count**drawn - 1 if load.skew == 1 else count * drawn ** (1 / (1 - load.skew))
    return int(rank) * _SCATTER % count


def _documents() -> list[str]:
    """What follows the fields that every order of ours has."""
    ours = ("order_id", "supplier_id", "customer_id", "created_at", "channel")
    with gzip.open(HISTORY, "rt", encoding="utf-8") as lines:
        found = [{k: v for k, v in json.loads(line).items() if k not in ours} for line in lines]
    random.Random(0).shuffle(found)  # they lie there by size
    return [f", {json.dumps(rest)[1:]}" for rest in found]


_LINES = json.dumps([{"sku": f"{n:06}", "quantity": 1 + n, "price": "19.90"} for n in range(10)])


def _uniform(before: int) -> str:
    rest = f', "lines": {_LINES}, "note": "'
    return f'{rest}{"x" * (ORDER_BYTES - before - len(rest) - 3)}"}}'
