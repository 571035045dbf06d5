"""The shadow run: orders of a time span once more, by today's facts or by changed settings. It leaves no trace."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from relationship_worker.storage.database import open_database, rows, transaction
from roads.driving import SHOP, YESTERDAY, Road

ANNA, BEN = "anna", "ben"  # a partner with a number, and one without


@pytest_asyncio.fixture
async def history(road: Road) -> Road:
    """Orders of two partners, a stranger and a walk-in; the default is D-1. One order came twice, one can't be read."""
    await road.start()
    change = {"supplier_id": SHOP, "default_customer_number": "D-1"}
    await road.send("supplier.settings.changed", change, at=YESTERDAY, key=SHOP.encode())
    for customer, number in ((ANNA, "A-1"), (BEN, None)):
        await road.request(customer)
        await road.accept(customer, number)
    await road.settled()
    at = (YESTERDAY + timedelta(hours=1)).isoformat()
    await road.order("O-anna-public", ANNA, channel="public", created_at=at)
    await road.order("O-anna-private", ANNA, channel="private", created_at=at)
    await road.order("O-ben-public", BEN, channel="public", created_at=at)
    await road.order("O-ben-private", BEN, channel="private", created_at=at)
    await road.order("O-stranger", "zoe", created_at=at)
    await road.order("O-walk-in", created_at=at)
    await road.settled()
    await road.order("O-walk-in", created_at=at, note="again")
    await road.send("marketplace.order.created", b"{", key=b"k")
    await road.settled()
    return road


async def shadow(road: Road, *arguments: str, expect: int = 0) -> dict[str, Any]:
    code, out, err = await road.command("shadow", "--since", "1h", "--json", *arguments)
    assert code == expect, err
    found: dict[str, Any] = json.loads(out)
    return found


def tried(folder: Path, **settings: Any) -> tuple[str, str]:
    """The arguments that try these settings for the shop."""
    path = folder / "settings.json"
    path.write_text(json.dumps({SHOP: settings}))
    return "--settings", str(path)


def orders(found: dict[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    """Of the examples: what was told, and what would be."""
    return {one["order_id"]: (one["told"]["number"], one["would_be"]["number"]) for one in found["examples"]}


async def test_by_todays_facts_plain_history_would_be_told_the_same(history: Road):
    found = await shadow(history)

    counts = {name: found[name] for name in ("records", "compared", "same", "differ", "told_again", "unreadable")}
    assert counts == {"records": 8, "compared": 6, "same": 6, "differ": 0, "told_again": 1, "unreadable": 1}


async def test_a_suppliers_switch_is_tried_on_real_history_and_says_which_orders_it_would_reach(
    history: Road, tmp_path: Path
):
    found = await shadow(history, *tried(tmp_path, public_catalogue="default_always"), expect=1)
    assert orders(found) == {"O-anna-public": ("A-1", "D-1")}

    found = await shadow(history, *tried(tmp_path, partner_without_number="none"), expect=1)
    assert orders(found) == {"O-ben-private": ("D-1", None)}
    assert found["by_rule"] == [{"supplier_id": SHOP, "told_rule": 3, "rule": 3, "orders": 1}]

    found = await shadow(history, *tried(tmp_path, default_customer_number="D-2"), expect=1)
    assert set(orders(found).values()) == {("D-1", "D-2")}
    assert found["differ"] == 4


async def test_a_switch_that_changes_no_number_says_so(history: Road, tmp_path: Path):
    found = await shadow(history, *tried(tmp_path, time_zone="Europe/Vienna"))

    assert (found["same"], found["differ"]) == (6, 0)


async def test_a_fact_that_came_too_late_to_correct_an_order_shows(history: Road, tmp_path: Path):
    window = {"supplier_id": SHOP, "correction_window_hours": 0}
    await history.send("supplier.settings.changed", window, at=YESTERDAY, key=SHOP.encode())
    await history.settled()
    number = {"supplier_id": SHOP, "customer_id": BEN, "customer_number": "B-1"}
    await history.send("supplier.customer-number.assigned", number, at=YESTERDAY)
    await history.settled()

    found = await shadow(history, expect=1)

    assert orders(found) == {"O-ben-public": ("D-1", "B-1"), "O-ben-private": ("D-1", "B-1")}


async def test_orders_of_another_time_or_another_supplier_are_left_out(history: Road):
    assert (await shadow(history, "--supplier", "shop-2"))["compared"] == 0
    assert (await shadow(history, "--until", "2020-01-01T00:00:00Z"))["records"] == 0


async def test_an_order_that_no_worker_has_answered_yet_is_counted_apart(history: Road):
    await history.stop()
    await history.order("O-new", ANNA)

    found = await shadow(history)

    assert (found["compared"], found["unanswered"]) == (6, 1)


async def everything(road: Road) -> tuple[object, ...]:
    """All that a shadow run might leave behind: rows, records, positions."""
    database = open_database(road.database_url, connections=1)
    try:
        async with transaction(database) as tx:
            tables = [
                row.tablename for row in await rows(tx, "SELECT tablename FROM pg_tables WHERE schemaname='public'")
            ]
            counts = {name: (await rows(tx, f"SELECT count(*) AS n FROM {name}"))[0].n for name in tables}
    finally:
        await database.dispose()
    topics = ("enriched-orders", "relationship-events", "reminders", "dead-letters")
    told = {topic: len(await road.read(topic, isolation="read_uncommitted")) for topic in topics}
    return counts, told, await road.committed()


async def test_it_leaves_no_trace(history: Road, tmp_path: Path):
    await history.stop()
    before = await everything(history)

    await shadow(history, *tried(tmp_path, default_customer_number="D-2"), expect=1)

    assert await everything(history) == before


async def test_a_person_reads_it_on_80_columns(history: Road, tmp_path: Path):
    code, out, _ = await history.command("shadow", "--since", "1h", *tried(tmp_path, public_catalogue="default_always"))

    assert code == 1
    assert "O-anna-public of shop-1/anna" in out
    assert "A-1 (partner, rule 1) → D-1 (default, rule 1)" in out
    assert max(map(len, out.splitlines())) <= 80


NONSENSE = {
    "not JSON": b"{",
    "no UTF-8": b'{"shop-1": {"public_catalogue": "\xff"}}',
    "nested without end": b'{"shop-1": {"rules": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
    "no object by supplier": b'{"shop-1": 7}',
    "a value that no setting takes": b'{"shop-1": {"public_catalogue": "never"}}',
    "a setting that is none": b'{"shop-1": {"public_catalog": "default_always"}}',
}


@pytest.mark.parametrize("content", NONSENSE.values(), ids=NONSENSE)
async def test_settings_that_make_no_sense_are_refused_in_one_line(road: Road, tmp_path: Path, content: bytes):
    path = tmp_path / "settings.json"
    path.write_bytes(content)

    code, out, err = await road.command("shadow", "--since", "1h", "--settings", str(path))

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(path) in err


async def test_a_number_may_be_as_long_as_the_supplier_allows(history: Road, tmp_path: Path):
    number = "D" * 30
    both = tried(tmp_path, default_customer_number=number, customer_number_max_length=64)
    assert set(orders(await shadow(history, *both, expect=1)).values()) == {("D-1", number)}

    code, _, err = await history.command("shadow", "--since", "1h", *tried(tmp_path, default_customer_number=number))
    assert (code, "default_customer_number" in err) == (2, True)


@pytest.mark.parametrize("since", ["yesterday", "7", "0d", "2026-11-01", "2026-11-01T00:00:00"])
async def test_a_time_that_is_none_is_refused_in_one_line(road: Road, since: str):
    code, out, err = await road.command("shadow", "--since", since)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--since" in err


@pytest.mark.parametrize(
    ("variable", "address", "missing"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1", "Kafka"),
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none", "PostgreSQL"),
        ("RELATIONSHIP_WORKER_TOPIC_PREFIX", "nowhere.", "topics are missing"),
    ],
)
async def test_what_is_missing_is_said_in_one_line(road: Road, variable: str, address: str, missing: str):
    code, out, err = await road.command("shadow", "--since", "1h", **{variable: address})

    lines = [line for line in err.splitlines() if line.startswith("relationship-worker: ")]
    assert (code, out, len(lines)) == (3, "", 1)
    assert missing in lines[0]
