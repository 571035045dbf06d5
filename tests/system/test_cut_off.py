"""A lane that has lost Kafka looks after its last transaction, also where nothing comes that would begin another."""

import json
from pathlib import Path

from roads.driving import ORDERS, PARTITIONS, opened_road
from system.shaken_stack import shaken_stack
from waiting import until


async def test_lanes_without_work_open_anew_once_they_were_cut_off(tmp_path: Path):
    """Kafka may have left that transaction open, and readers wait for its end."""
    async with shaken_stack() as shaken, opened_road(shaken.stack, shaken.stack.database_url, "", tmp_path) as road:
        way = shaken.ways[0]
        await road.start(**way.settings(road.database_url))
        sent = [await road.order("O-0", "anna")]
        await road.told("enriched-orders", 1)
        await road.settled()

        async def in_doubt() -> bool:
            lines = [json.loads(line) for line in road.logs[0].read_text().splitlines()]
            lanes = {line["lane"] for line in lines if line.get("error") == "Doubt"}
            outbox = f"{road.group}.outbox"
            return lanes >= {f"{topic}-{number}" for topic in (ORDERS, outbox) for number in range(PARTITIONS)}

        way.kafka.reset()
        await until("all lanes that tell to have opened anew", in_doubt)
        sent.append(await road.order("O-1", "anna"))

        assert sorted(order.cause or "" for order in await road.told("enriched-orders", 2)) == sorted(sent)
        assert await road.stop() == [0]
