"""A worker that ends while it gives up a decision which waited too long: the decision is a dead letter, once."""

import asyncio
import json
from pathlib import Path

from roads.driving import Road, opened_road
from system.crash_points import AFTER_THE_GRACE_TIME, EXIT, POINTS, VARIABLE
from system.shaken_stack import shaken_stack

GRACE_HOURS = "0.0005"  # two seconds
ENDS_WITHIN = 120.0  # seconds; a start and the grace time take some


async def test_a_decision_that_waited_too_long_is_a_dead_letter_once_wherever_the_worker_ends(tmp_path: Path):
    async with shaken_stack() as shaken, opened_road(shaken.stack, shaken.stack.database_url, "", tmp_path) as road:
        await _end_at_each_point(road)


async def _end_at_each_point(road: Road) -> None:
    road.settings["RELATIONSHIP_WORKER_PARKED_HOURS"] = GRACE_HOURS
    sent, ended = [], []
    points = [POINTS.index(point) for point in AFTER_THE_GRACE_TIME]
    for point in points:
        sent.append(await road.accept(f"nobody-{point}"))
        armed = {VARIABLE: json.dumps({point: 1})}
        worker = await road.start(module="system.crashing_worker", **armed)
        ended.append(await asyncio.wait_for(worker.wait(), ENDS_WITHIN))
    await road.start()
    await road.told("dead-letters", len(points))
    again = await road.accept("nobody-again", id_=sent[-1])  # a dead letter has given its id back

    letters = await road.told("dead-letters", len(points) + 1)

    assert ended == [EXIT + point for point in points]
    assert sorted(letter.header("ce_id") or "" for letter in letters) == sorted([*sent, again])
    assert {letter.header("deadletter-reason") for letter in letters} == {"unknown_relationship"}
