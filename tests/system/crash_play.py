"""Workers end at every point of their work, each so often: `cd tests && python -m system.crash_play --each 50`.

Side by side, each on servers of its own: episodes, decisions that wait too long, and periods that pass. It goes on until all
points were reached as often as wanted, or the time is over.
"""

import argparse
import asyncio
import logging
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

from roads.driving import Road, opened_road
from system.chaos_report import EACH_POINT, points, table
from system.crash_points import AFTER_THE_GRACE_TIME, AS_PERIODS_PASS, IN_EPISODES, POINTS, Point
from system.crashes import Crashes
from system.episodes import Episode, judged_episode, plan, played_on_own_servers
from system.forks import Forks, forks
from system.parked_play import ParkedPlay
from system.retention_play import FIRST, RetentionPlay
from system.scenario import Size
from system.shaken_stack import shaken_stack

SIZE = Size(orders=1_600, relationships=300, inputs=800)  # of an episode: work for that many ends, and soon judged
EACH_ROUND = 20  # ends in a round of an episode


@dataclass
class CrashPlay:
    """What is wanted, and what was reached so far."""

    seed: int
    each: int
    until: float  # on the monotonic clock
    points: Sequence[Point]  # at which workers are to end
    folder: Path
    forks: Forks
    reached: Counter[int] = field(default_factory=Counter)
    episodes: list[Episode] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    begun: int = 0

    async def play(self, at_once: int) -> None:
        """All of it; `at_once` episodes at a time."""
        others = [(AS_PERIODS_PASS, self._periods), (AFTER_THE_GRACE_TIME, self._parked)]
        beside = [played() for some, played in others if self._is_wanted(some)]
        await asyncio.gather(*beside, *(self._episodes() for _ in range(at_once)))

    def missing(self, some: Sequence[Point]) -> list[Point]:
        """Those that were not reached as often as wanted."""
        return [point for point in some if point in self.points and self.reached[POINTS.index(point)] < self.each]

    def _is_wanted(self, some: Sequence[Point]) -> bool:
        return bool(self.missing(some)) and monotonic() < self.until

    async def _episodes(self) -> None:
        while self._is_wanted(IN_EPISODES):
            seed = self.seed + self.begun
            self.begun += 1
            began = monotonic()
            numbers = [POINTS.index(point) for point in IN_EPISODES if point in self.points]
            crashes = Crashes(Random(seed), EACH_ROUND, everywhere=self.reached, points=numbers, until=self.until)
            planned = await asyncio.to_thread(plan, seed, SIZE, crashes=crashes)
            played = await played_on_own_servers(planned, self.folder, self.forks.spawn)
            seconds = monotonic() - began
            episode = await asyncio.to_thread(judged_episode, planned, played, Counter[int](), seconds, self.folder)
            self.episodes.append(episode)
            print(f"seed {seed}: {episode.line()}", flush=True)

    async def _periods(self) -> None:
        async with self._road("periods") as road:
            play = RetentionPlay(road)
            await play.open()
            while self._is_wanted(AS_PERIODS_PASS):
                await play.period()
                self.reached.update(POINTS.index(point) for point in AS_PERIODS_PASS)
            told = await play.numbers_told()
        print(f"{play.periods} periods: {play.orders} orders, all of them twice, were told {told}", flush=True)
        if told != {FIRST}:
            self.wrong.append(f"orders of earlier periods were told {told}")

    async def _parked(self) -> None:
        async with self._road("parked") as road:
            play = ParkedPlay(road)
            await play.open()
            while self._is_wanted(AFTER_THE_GRACE_TIME):
                await play.round()
                self.reached.update(POINTS.index(point) for point in AFTER_THE_GRACE_TIME)
            letters = [letter.header("ce_id") or "" for letter in await road.read("dead-letters")]
        print(f"{len(play.sent)} decisions that waited in vain: {len(letters)} dead letters", flush=True)
        if sorted(letters) != sorted(play.sent):
            self.wrong.append("a decision that waited in vain is not a dead letter once")

    @asynccontextmanager
    async def _road(self, name: str) -> AsyncIterator[Road]:
        """On servers of its own, with workers that are forked."""
        folder = self.folder / name
        folder.mkdir()
        async with shaken_stack() as shaken, opened_road(shaken.stack, shaken.stack.database_url, "", folder) as road:
            road.spawn = self.forks.spawn
            yield road


async def _play(arguments: argparse.Namespace, wanted: Sequence[Point], seed: int, folder: Path) -> CrashPlay:
    async with forks() as forked:
        until = monotonic() + 60 * arguments.minutes
        play = CrashPlay(seed=seed, each=arguments.each, until=until, points=wanted, folder=folder, forks=forked)
        await play.play(arguments.at_once)
        return play


def main() -> int:
    """0 where nothing differs and each point was reached as often as wanted."""
    parser = argparse.ArgumentParser(prog="system.crash_play", description=__doc__)
    parser.add_argument("--each", type=int, default=EACH_POINT, help="times that a worker is to end at each point")
    parser.add_argument("--only", default="", help="points whose name has this in it")
    parser.add_argument("--minutes", type=float, default=20.0, help="after which no worker is to end any more")
    parser.add_argument("--at-once", type=int, default=3, help="episodes side by side")
    parser.add_argument("--seed", type=int, help="of the first episode; random where left out")
    arguments = parser.parse_args()
    wanted = [point for point in POINTS if arguments.only in point.name]
    if not wanted:
        parser.error(f"no point's name has {arguments.only!r} in it; they are: " + "; ".join(p.name for p in POINTS))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of this side's clients
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(2**31)
    folder = Path(tempfile.mkdtemp(prefix="relationship-worker-crashes-"))
    print(f"crashes: seed {seed}; logs of the workers are in {folder}", flush=True)
    play = asyncio.run(_play(arguments, wanted, seed, folder))
    print(table(play.episodes))
    print("\n".join([*points(play.reached, POINTS), *play.wrong]))
    missing = len(play.missing(POINTS))
    print(f"{missing} of {len(play.points)} points were reached less than {play.each} times")
    return 1 if missing or play.wrong or any(episode.is_wrong for episode in play.episodes) else 0


if __name__ == "__main__":
    sys.exit(main())
