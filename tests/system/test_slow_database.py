"""A database that takes seconds for each answer makes orders late, and nothing worse."""

from pathlib import Path

from roads.driving import opened_road
from system.shaken_stack import shaken_stack
from waiting import until

EACH_WAY = 1.5  # seconds; the answers to a batch then take longer than a Kafka transaction may stay open
BOUND = 150.0  # seconds; some batches of ten round trips each


async def test_orders_are_answered_though_each_answer_of_the_database_takes_three_seconds(tmp_path: Path):
    async with shaken_stack() as shaken, opened_road(shaken.stack, shaken.stack.database_url, "", tmp_path) as road:
        way = shaken.ways[0]
        await road.start(**way.settings(road.database_url))
        sent = [await road.order("O-0", "anna", partition=0)]
        await road.told("enriched-orders", 1)
        way.postgres.seconds_each_way = EACH_WAY
        sent += [await road.order(f"O-{number}", f"customer-{number}", partition=0) for number in range(1, 4)]

        async def told() -> bool:
            return len(await road.read("enriched-orders")) == len(sent)

        await until("the orders to be told while the database is slow", told, seconds=BOUND)
        assert sorted(order.cause or "" for order in await road.read("enriched-orders")) == sorted(sent)
