"""An episode: a scenario that is played on servers of its own, with faults or with workers that end, and judged."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from roads.driving import Spawn, opened_road, spawned
from system.blows import Fault, spread
from system.crashes import Crashes
from system.expectations import Expectations, expectations
from system.kept_records import keep
from system.network_faults import TAKEN
from system.play import judged, report
from system.player import Played, play
from system.scenario import Size, scenario
from system.shaken_stack import shaken_stack
from system.striking import Struck

BLOW_SECONDS = 12.0  # that inputs trickle in for a fault; most are over by then
WORKERS = 2
FEW_CONNECTIONS = "2"  # for all lanes and clocks of a worker: they wait for one another
FEW_CONNECTIONS_EVERY = 3  # seeds
LEFT_OPEN, LEFT_OPEN_SAID = "transactions that Kafka had left open", "ending what Kafka left open"
DEADLOCKS, DEADLOCK_SAID = "times that a log says DeadlockDetectedError", "DeadlockDetectedError"
AMISS = (TAKEN, DEADLOCKS)  # where it is counted at all: locks are taken in one order
FRESHNESS_SECONDS = 2.0  # as it is shipped: orders that could not wait any longer say so, and are held against that


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An episode before it is played."""

    seed: int
    expected: Expectations
    faults: Sequence[Fault] = ()
    crashes: Crashes | None = None


@dataclass(frozen=True, kw_only=True)
class Episode:
    """What became of it."""

    seed: int
    seconds: float
    inputs: int
    struck: Sequence[Struck]
    made_of: Counter[str]
    reached: Counter[int]  # points at which workers ended
    outputs: Counter[str]
    wrong: Counter[str]
    troubles: Sequence[str]
    ended: Sequence[str]
    not_caught_up: int
    most_memory: int  # bytes that a worker held at its height
    readers_waited: Sequence[tuple[Fault, float]]  # at the most, seconds, for what was written while a fault was about

    @property
    def is_wrong(self) -> bool:
        """Whether anything is not as the model says, or went wrong with the playing."""
        return bool(self.wrong or self.troubles)

    def line(self) -> str:
        """All of it in short."""
        verdict = ", ".join(f"{count} × {kind}" for kind, count in self.wrong.items()) or "nothing differs"
        ended = self.reached.total()
        return (
            f"{self.inputs} inputs, {len(self.struck)} faults, {ended} ends amid work, {self.seconds:.0f} s: {verdict}"
        )


def plan(seed: int, size: Size, *, faults: Sequence[Fault] = (), crashes: Crashes | None = None) -> Planned:
    """The scenario of a seed, and what the model says to it."""
    size = replace(size, clocks_agree=Fault.CLOCK not in faults)
    expected = expectations(scenario(seed, datetime.now(UTC), size))
    return Planned(seed=seed, expected=expected, faults=faults, crashes=crashes)


def _waited(played: Played) -> list[tuple[Fault, float]]:
    """From its time stamp, which its producer gave it, to the moment at which a `read_committed` reader saw a record."""
    if not played.struck or not played.reading.seen_at:
        return []
    lasted = max(played.reading.seen_at.values()) - min(struck.began for struck in played.struck)
    seen = [(record.at, played.reading.seen_at[record.place]) for record in played.reading.live]
    seen = [(at, seen_at) for at, seen_at in seen if seen_at - at < lasted]  # else its producer's clock is an hour off
    waits = []
    for struck in played.struck:
        if struck.fault is Fault.CLOCK:
            continue  # the time stamps are of that clock
        waited = [(at, seen_at) for at, seen_at in seen if at <= struck.ended and seen_at >= struck.began]
        longest = max((seen_at - at for at, seen_at in waited), default=None)
        if longest is not None:
            waits.append((struck.fault, longest.total_seconds()))
    return waits


def play_side_by_side(planned: Sequence[Planned], folder: Path) -> list[Episode]:
    """Most of the time one waits for a fault to pass. What came out is judged when all is over: it takes the CPU."""
    began = monotonic()
    before = [one.crashes.reached.copy() if one.crashes else Counter[int]() for one in planned]
    played = asyncio.run(_played(planned, folder))
    seconds = monotonic() - began
    return [judged_episode(*each, seconds, folder) for each in zip(planned, played, before, strict=True)]


async def _played(planned: Sequence[Planned], folder: Path) -> list[Played]:
    return await asyncio.gather(*(played_on_own_servers(one, folder) for one in planned))


async def played_on_own_servers(planned: Planned, folder: Path, spawn: Spawn = spawned) -> Played:
    """Its workers' logs go into a folder of its own; `spawn` starts them."""
    blows = spread(planned.seed, len(planned.expected.plan.rounds), planned.faults)
    async with (
        shaken_stack() as shaken,
        opened_road(shaken.stack, shaken.stack.database_url, "chaos.", _folder_of(folder, planned)) as road,
    ):
        road.spawn = spawn
        if planned.seed % FEW_CONNECTIONS_EVERY == 0:
            road.settings["RELATIONSHIP_WORKER_DATABASE_CONNECTIONS"] = FEW_CONNECTIONS
        played = await play(
            road,
            planned.expected,
            blows,
            workers=WORKERS if planned.crashes is None else 1,  # alone, so that all of the work passes its points
            freshness_seconds=FRESHNESS_SECONDS,
            shaken=shaken,
            blow_seconds=BLOW_SECONDS,
            crashes=planned.crashes,
        )
        logs = [log.read_text(errors="replace") for log in road.logs]
        played.counts[LEFT_OPEN] += sum(log.count(LEFT_OPEN_SAID) for log in logs)
        played.counts[DEADLOCKS] += sum(log.count(DEADLOCK_SAID) for log in logs)
        return played


def _folder_of(folder: Path, planned: Planned) -> Path:
    """Where an episode's logs go."""
    own = folder / str(planned.seed)
    own.mkdir(parents=True, exist_ok=True)
    return own


def judged_episode(
    planned: Planned, played: Played, reached_before: Counter[int], seconds: float, folder: Path
) -> Episode:
    """What the checker says; where something is wrong, all of it is shown, and what was read is kept beside the logs."""
    verdict = judged(planned.expected, played)
    rounds = planned.expected.plan.rounds[: played.rounds]
    episode = Episode(
        seed=planned.seed,
        seconds=seconds,
        inputs=sum(len(part) for round_ in rounds for part in (round_.early, round_.relationships, round_.orders)),
        struck=played.struck,
        made_of=played.counts,
        reached=planned.crashes.reached - reached_before if planned.crashes else Counter(),
        outputs=Counter(record.topic for record in played.reading.committed),
        wrong=Counter(str(difference.kind) for difference in verdict.differences),
        troubles=(*played.troubles, *(what for what in AMISS if played.counts[what])),
        ended=played.ended,
        not_caught_up=verdict.not_caught_up,
        most_memory=played.most_memory,
        readers_waited=_waited(played),
    )
    if episode.is_wrong:
        kept = keep(played.reading, _folder_of(folder, planned))
        print(f"seed {planned.seed}:\n{report(verdict, played)}\nwhat was read is in {kept}", flush=True)
    return episode
