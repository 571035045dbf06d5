"""Dependencies that restart while the worker runs are waited for; nothing is lost, nothing is told twice."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from relationship_worker.local.stack import running_stack
from roads.driving import Road, opened_road


@pytest_asyncio.fixture
async def own_road(tmp_path: Path, monkeypatch) -> AsyncIterator[Road]:
    """A road on servers of its own, which may be stopped without disturbing any other test."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with running_stack() as stack:
        async with opened_road(stack, stack.database_url, "", tmp_path) as road:
            yield road


async def test_a_postgresql_that_restarts_is_waited_for(own_road: Road):
    await own_road.start()
    sent = [await own_road.order(f"O-{i}", "anna") for i in range(50)]
    await own_road.told("enriched-orders", 1)

    own_road.stack.stop_postgres("immediate")
    sent += [await own_road.order(f"P-{i}", "anna") for i in range(50)]
    own_road.stack.start_postgres()
    await own_road.settled()

    assert sorted(o.cause or "" for o in await own_road.read("enriched-orders")) == sorted(sent)
    assert await own_road.stop() == [0]


async def test_a_kafka_that_is_killed_and_started_again_is_waited_for(own_road: Road):
    await own_road.start()
    sent = [await own_road.order(f"O-{i}", "anna") for i in range(50)]
    await own_road.request("anna")
    await own_road.told("enriched-orders", 1)

    own_road.stack.stop_kafka(kill=True)
    own_road.stack.start_kafka()
    sent += [await own_road.order(f"P-{i}", "anna") for i in range(50)]
    await own_road.settled()

    assert sorted(o.cause or "" for o in await own_road.read("enriched-orders")) == sorted(sent)
    assert "relationship.requested" in [o.type for o in await own_road.told("relationship-events", 1)]
    assert await own_road.stop() == [0]
