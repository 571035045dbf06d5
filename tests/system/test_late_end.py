"""An `EndTxn` that arrives late decides no other transaction: neither is half of one committed, nor told twice."""

from datetime import UTC, datetime
from pathlib import Path

from roads.driving import opened_road
from system.blows import Fault, spread
from system.expectations import expectations
from system.play import judged
from system.player import play
from system.scenario import Size, scenario
from system.shaken_stack import shaken_stack

LATE = 3  # EndTxn that arrive amid the next transaction of their producer


async def test_an_end_that_arrives_amid_the_next_transaction_is_refused(tmp_path: Path):
    async with shaken_stack() as shaken, opened_road(shaken.stack, shaken.stack.database_url, "", tmp_path) as road:
        way = shaken.ways[0]
        await road.start(**way.settings(road.database_url))
        sent = [await road.order("O-0", "anna")]
        await road.told("enriched-orders", 1)
        way.kafka.hold_ends(LATE)
        while sum(way.kafka.late.values()) < LATE:
            sent += [await road.order(f"O-{len(sent)}", "anna") for _ in range(20)]
        await road.settled()

        told = await road.read("enriched-orders")

        assert sorted(order.cause or "" for order in told) == sorted(sent)
        assert set(way.kafka.late) == {47}, "INVALID_PRODUCER_EPOCH"
        assert await road.stop() == [0]


async def test_a_worker_that_goes_on_with_its_producer_after_a_doubt_is_found_out(tmp_path: Path):
    seed = 2
    expected = expectations(scenario(seed, datetime.now(UTC), Size(orders=500, relationships=80, inputs=400)))
    blows = spread(seed, len(expected.plan.rounds), [Fault.LATE_ENDS] * 4)
    async with shaken_stack() as shaken, opened_road(shaken.stack, shaken.stack.database_url, "", tmp_path) as road:
        played = await play(
            road, expected, blows, workers=1, shaken=shaken, blow_seconds=8.0, module="system.trusting_worker"
        )

    assert played.counts["late EndTxn, TAKEN"] > 0
    assert judged(expected, played).kinds & {"lost", "duplicate"}
