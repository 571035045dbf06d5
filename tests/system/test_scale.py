"""Many workers on one group: shares are fair, connections are bounded, and nothing is lost or doubled as they come and go."""

from pathlib import Path

import pytest

from relationship_worker.local.stack import Stack
from roads.driving import opened_road
from system.crowd import Shape, play_crowd
from system.crowd_census import Connections, Group
from system.crowd_report import beyond_bounds, report

MORE_PARTITIONS = Shape(partitions=16, workers=5, killed=1, leaving=1)
MORE_WORKERS = Shape(partitions=2, workers=4, killed=1, leaving=0, orders_alone=True)


@pytest.mark.parametrize("shape", [MORE_PARTITIONS, MORE_WORKERS], ids=["more partitions", "more workers"])
async def test_workers_share_partitions_fairly_as_they_join_are_killed_and_leave(
    shape: Shape, stack: Stack, database_url: str, topic_prefix: str, tmp_path: Path
):
    async with opened_road(stack, database_url, topic_prefix, tmp_path, partitions=shape.partitions) as road:
        found = await play_crowd(road, shape, steady_seconds=1.0)

    print(report(found))
    assert beyond_bounds(found) == []
    assert found.orders > 2 * shape.partitions, "something flowed"


async def test_an_unfair_share_too_many_connections_and_a_lost_order_are_found(
    stack: Stack, database_url: str, topic_prefix: str, tmp_path: Path
):
    shape = Shape(partitions=2, workers=1, killed=0, leaving=0, orders_alone=True)
    async with opened_road(stack, database_url, topic_prefix, tmp_path, partitions=shape.partitions) as road:
        found = await play_crowd(road, shape, steady_seconds=1.0)
    assert beyond_bounds(found) == []
    held = next(iter(found.groups[-1].held.values()))

    found.groups[-1] = Group(state="Stable", held={"a": held, "b": held - held})
    found.connections = Connections(kafka=1_000, postgres=1_000)
    found.wrong.append("order o-0-1 is lost")

    bad = beyond_bounds(found)
    assert sum("partitions of" in what for what in bad) == 2, "of orders, and of all"
    assert sum("connections" in what for what in bad) == 2
    assert "order o-0-1 is lost" in bad
