"""Decisions wait too long for their request, and workers end while they give one up: it is a dead letter, once."""

import asyncio
import json
from dataclasses import dataclass, field

from roads.driving import Road
from system.crash_points import AFTER_THE_GRACE_TIME, EXIT, POINTS, VARIABLE

GRACE_HOURS = "0.0005"  # two seconds
ENDS_WITHIN = 120.0  # seconds; a start and the grace time take some


@dataclass
class ParkedPlay:
    """On a road of its own."""

    road: Road
    sent: list[str] = field(default_factory=list)  # ids of the decisions that waited in vain

    async def open(self) -> None:
        """Nobody waits for long."""
        self.road.settings["RELATIONSHIP_WORKER_PARKED_HOURS"] = GRACE_HOURS

    async def round(self) -> None:
        """A decision for each point, at which the worker ends; then another one gives up what is left."""
        for point in AFTER_THE_GRACE_TIME:
            number = POINTS.index(point)
            self.sent.append(await self.road.accept(f"nobody-{len(self.sent)}"))
            worker = await self.road.start(module="system.crashing_worker", **{VARIABLE: json.dumps({number: 1})})
            ended = await asyncio.wait_for(worker.wait(), ENDS_WITHIN)
            assert ended == EXIT + number, f"{point.name}: ended with {ended}, see {self.road.logs[-1]}"
        await self.road.start()
        await self.road.told("dead-letters", len(self.sent))
        assert await self.road.stop() == [0]
