"""Dependencies that restart while the worker runs are waited for; nothing is lost, nothing is told twice."""

from relationship_worker.storage.database import open_database, rows, run, transaction
from roads.driving import Road
from waiting import until


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


async def test_the_group_is_told_what_was_decided_while_kafka_was_away_though_nothing_comes_behind_it(own_road: Road):
    """Lag tools and autoscalers go by what the group has committed: without it there was a lag for ever."""
    await own_road.start()
    await own_road.request("anna")
    await own_road.settled()
    decided = own_road.logs[0].read_text().count('"connection-requests"')
    database = open_database(own_road.database_url, connections=2)

    async def waits() -> bool:
        async with transaction(database) as tx:
            return bool(await rows(tx, "SELECT 1 FROM pg_locks WHERE NOT granted"))

    async def logged() -> bool:
        return own_road.logs[0].read_text().count('"connection-requests"') > decided

    try:
        async with transaction(database) as tx:
            await run(tx, "LOCK TABLE relationships IN ACCESS EXCLUSIVE MODE")
            await own_road.request("berta")
            await until("the worker to decide", waits)
            own_road.stack.stop_kafka(kill=True)
        await until("the decision, after which nobody could be told", logged)
    finally:
        await database.dispose()
    own_road.stack.start_kafka()

    await own_road.settled()
