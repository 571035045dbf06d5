"""Dependencies that restart while the worker runs are waited for; nothing is lost, nothing is told twice."""

from roads.driving import Road


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
