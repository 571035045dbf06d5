"""Batches as other producers pack them, bombs and damaged ones among them: the next record goes on, in bounded memory."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bombs import BOMBS, KEY, a_bomb
from hand_made_batches import GZIP, LZ4, SNAPPY, ZSTD, a_batch, a_record, send_batch
from kafka.test_batches_that_brokers_take import lz4, snappy, zstd
from relationship_worker.kafka.record_batch import record
from roads.driving import ORDER_CREATED, ORDERS, SHOP, YESTERDAY, Road
from waiting import until

MIB = 1024 * 1024
MOST_MEMORY = 512 * MIB
PACKED = {"gzip": (GZIP, gzip.compress), "snappy": (SNAPPY, snappy), "lz4": (LZ4, lz4), "zstd": (ZSTD, zstd)}


@pytest.mark.parametrize("name", PACKED)
async def test_orders_are_answered_however_they_are_packed(road: Road, name: str):
    codec, pack = PACKED[name]
    await road.start()

    await sent(road, a_batch(pack(orders("O-1", "O-2")), 2, codec=codec))

    assert [o.cause for o in await road.told("enriched-orders", 2)] == ["O-1", "O-2"]


async def test_a_record_of_500_mib_in_16_kb_is_a_dead_letter_without_its_value(road: Road):
    await road.start()
    before = await road.order("before", partition=1)
    size = 500 * MIB

    await sent(road, a_bomb("zstd", attributes("huge"), size=size))
    behind = await road.order("behind", partition=1)
    elsewhere = await road.order("elsewhere", partition=2)

    told = await road.told("enriched-orders", 3)
    assert {o.cause for o in told} == {before, behind, elsewhere}
    [letter] = await road.told("dead-letters", 1)
    assert (letter.key, letter.value, letter.header("deadletter-reason")) == (KEY, None, "too_large")
    assert f"{size} bytes of value do not fit this topic and were left out" in str(letter.header("deadletter-detail"))
    assert letter.header("ce_id") == "huge"
    assert most_memory(road) < MOST_MEMORY


async def test_bombs_of_every_kind_on_every_partition_stay_within_memory(road: Road):
    await road.start()
    bombs = [a_bomb(name, attributes("huge")) for name in BOMBS]
    for partition in range(4):
        for bomb in bombs:
            await sent(road, bomb, partition)
        await road.order(f"behind-{partition}", partition=partition)

    letters = await road.told("dead-letters", 4 * len(bombs))

    assert {letter.header("deadletter-reason") for letter in letters} == {"too_large"}
    assert len(await road.told("enriched-orders", 4)) == 4
    assert most_memory(road) < MOST_MEMORY


async def test_a_hundred_thousand_records_in_one_small_batch_are_as_many_dead_letters(road: Road):
    await road.start()
    count = 100_000
    each = b"".join(a_record(record(None, b"", []), n) for n in range(count))

    await sent(road, a_batch(zstd(each), count, codec=ZSTD))
    behind = await road.order("behind", partition=1)

    assert [o.cause for o in await road.told("enriched-orders", 1)] == [behind]
    letters = Counter(o.header("deadletter-offset") for o in await road.told("dead-letters", count))
    assert letters == Counter(str(offset) for offset in range(count))
    assert most_memory(road) < MOST_MEMORY


async def test_offsets_that_a_producer_made_up_neither_lose_an_order_nor_skip_one(road: Road):
    await road.start()
    made_up = [an_order("O-1", 0), an_order("O-2", 0), an_order("O-3", 5_000)]

    await sent(road, a_batch(b"".join(made_up), 3))
    await road.order("O-4", id_="O-4", partition=1)

    assert [o.cause for o in await road.told("enriched-orders", 4)] == ["O-1", "O-2", "O-3", "O-4"]
    await road.settled()
    assert (await road.committed())[(road.prefix + ORDERS, 1)] == 4


@pytest.mark.parametrize(
    ("key", "headers"),
    [(b"k" * (9 * MIB // 2), []), (b"k", [("x", b"h" * (3 * MIB))]), (b"k", [("x", b"")] * 50_000)],
    ids=["a key of 4.5 MiB", "a header of 3 MiB", "50,000 headers"],
)
async def test_an_order_with_more_around_it_than_can_go_out_again_is_a_dead_letter(
    road: Road, key: bytes, headers: Any
):
    await road.start()

    await sent(road, a_batch(an_order("O-1", 0, key=key, more=headers), 1))
    behind = await road.order("behind", partition=1)

    assert [o.cause for o in await road.told("enriched-orders", 1)] == [behind]
    [letter] = await road.told("dead-letters", 1)
    assert letter.header("deadletter-reason") == "too_large"
    assert letter.key == key
    assert letter.value == order_value("O-1")
    if len(headers) < 10_000:
        assert [pair for pair in letter.headers if pair[0] == "x"] == headers
    else:
        assert "50006 headers do not fit this topic and were left out" in str(letter.header("deadletter-detail"))


async def test_a_batch_that_was_damaged_on_the_brokers_disk_stops_its_lane_by_name_and_no_other(road: Road):
    assert road.stack.kafka is not None, "this test damages the broker's files: it needs a Kafka of its own"
    before = await road.order("before", partition=1, note="let-me-be")
    await road.order("damaged", partition=1, note="damage-me")
    damage(road.stack.kafka.folder / "data" / f"{road.prefix}{ORDERS}-1", b"damage-me")

    await road.start()
    elsewhere = await road.order("elsewhere", partition=2)

    assert {o.cause for o in await road.told("enriched-orders", 2)} == {before, elsewhere}

    async def stopped() -> bool:
        return "what lies at 1 can't be read (the checksum" in road.logs[0].read_text()

    await until("the lane to say why it stands still", stopped)
    assert (await road.committed())[(road.prefix + ORDERS, 1)] == 1


def order_value(order_id: str) -> bytes:
    return json.dumps({"order_id": order_id, "supplier_id": SHOP}).encode()


def an_order(order_id: str, place: int, *, key: bytes = b"k", more: Any = ()) -> bytes:
    return a_record(record(key, order_value(order_id), [*attributes(order_id), *more]), place)


def orders(*order_ids: str) -> bytes:
    return b"".join(an_order(order_id, place) for place, order_id in enumerate(order_ids))


def attributes(id_: str) -> list[tuple[str, bytes]]:
    texts = {
        "ce_id": id_,
        "ce_source": "/test",
        "ce_type": ORDER_CREATED,
        "ce_specversion": "1.0",
        "ce_time": YESTERDAY.isoformat(),
        "content-type": "application/json",
    }
    return [(name, text.encode()) for name, text in texts.items()]


async def sent(road: Road, batch: bytes, partition: int = 1) -> None:
    code, _ = await send_batch(road.producer, road.prefix + ORDERS, partition, batch)
    assert code == "NoError"


def damage(folder: Path, where: bytes) -> None:
    """Change one byte of a partition's file."""
    [log] = folder.glob("*.log")
    at = log.read_bytes().index(where)
    with log.open("r+b") as file:
        file.seek(at)
        file.write(b"?")


def most_memory(road: Road) -> int:
    """The most that the worker ever held, in bytes."""
    [worker] = road.workers
    [line] = [line for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
