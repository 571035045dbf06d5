"""Plays bad input on a real worker by hand: `cd tests && python -m system.bad_input_play --seed 7 --generated 50000`."""

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from time import monotonic

from aiokafka import TopicPartition

from hand_made_batches import send_batch
from model.records import DEAD_LETTERS, Record
from relationship_worker.local.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE, Stack, running_stack
from roads.driving import Road, opened_road
from system.bad_input import bad_input
from system.collector import Collector
from system.expectations import Expectations
from system.judge import Verdict, judge
from system.plan import Plan, Round
from system.player import PATIENT
from system.reading import Place, read_back
from system.waits import Sent, Waits
from waiting import until

BATCH = 200  # records of a produced batch
BOUND = 120.0  # seconds for a slice; it takes one or two
MOST_MEMORY = 512 * 1024 * 1024  # bytes that a worker may ever hold
HELD_UP = 1.0  # seconds that a record in good order may wait longer behind bad ones than it waits without them


@dataclass
class Run:
    """What a run came to."""

    verdict: Verdict
    records: int
    bombs: int
    dead_letters: int
    memory: int  # bytes that the worker held at the most
    between: Waits  # of records in good order between bad ones
    alone: Waits  # and of those that came by themselves, amid the same run
    troubles: list[str] = field(default_factory=list)

    @property
    def held_up(self) -> float:
        """Seconds that the last of the bad ones' neighbours waited longer than the last of the others."""
        return max(0.0, self.between.longest - self.alone.longest)

    @property
    def is_as_it_must_be(self) -> bool:
        """Nothing differs, and no bound was passed."""
        bounded = self.memory < MOST_MEMORY and self.held_up <= HELD_UP
        return bounded and not self.verdict.differences and not self.troubles

    def report(self) -> str:
        """In some lines."""
        return "\n".join(
            [
                *(f"trouble: {trouble}" for trouble in self.troubles),
                self.verdict.report(),
                f"{self.records} records, {self.bombs} bombs among them; {self.dead_letters} dead letters",
                f"the worker held {self.memory // 1024 // 1024} MiB at the most",
                "records in good order were told, seconds after they were sent:",
                f"    between bad ones {self.between}",
                f"    by themselves    {self.alone}",
                f"held up by bad ones for {self.held_up:.2f} s at the most",
            ]
        )


async def run(road: Road, seed: int, *, generated: int, hostile_share: float = 1.0) -> Run:
    """One worker, and all of the plan."""
    bad = bad_input(seed, datetime.now(UTC), generated=generated, hostile_share=hostile_share)
    expected = bad.expectations()
    road.settings["RELATIONSHIP_WORKER_FRESHNESS_SECONDS"] = f"{PATIENT:g}"
    collector = Collector(road.stack.kafka_bootstrap_servers, road.prefix)
    await collector.open()
    try:
        worker = await road.start()
        player = _Player(road, expected, bad.bombs, collector)
        for number, round_ in enumerate(bad.plan.rounds):
            await player.play(number, round_)
            if player.troubles:
                bad = bad.up_to(number + 1)
                expected = bad.expectations()
                break
        memory = _most_memory(worker.pid)
        worker.terminate()
        if await asyncio.wait_for(worker.wait(), BOUND) != 0:  # how soon it ends is tried elsewhere
            player.troubles.append("the worker did not end well")
        await collector.mark_ends(road.producer)

        async def read() -> bool:
            return collector.has_seen_ends()

        await until("all transactions to be decided", read, seconds=BOUND)
        reading = await read_back(
            road.stack.kafka_bootstrap_servers,
            road.prefix,
            road.group,
            live=collector.records,
            seen_at=collector.seen_at,
        )
    finally:
        await collector.close()
    verdict = judge(expected, reading)
    if verdict.differences:
        _write_down(expected.plan, road.folder / "inputs.jsonl")
    waits = [player.sent.waits(ids, collector.records, collector.seen_at) for ids in (bad.good, bad.alone)]
    return Run(
        verdict=verdict,
        records=sum(len(round_.relationships) + len(round_.orders) for round_ in expected.plan.rounds),
        bombs=player.bombs_sent,
        dead_letters=collector.counts[DEAD_LETTERS],
        memory=memory,
        between=waits[0],
        alone=waits[1],
        troubles=player.troubles,
    )


@dataclass
class _Player:
    road: Road
    expected: Expectations
    bombs: Mapping[Place, bytes]
    collector: Collector
    troubles: list[str] = field(default_factory=list)
    sent: Sent = field(default_factory=Sent)
    bombs_sent: int = 0

    async def play(self, number: int, round_: Round) -> None:
        """Send a slice, and wait until all that it leads to is told."""
        await self._send([*round_.relationships, *round_.orders])
        wanted = self.expected.by_round[number]

        async def told() -> bool:
            return all(self.collector.counts[topic] >= count for topic, count in wanted.items())

        try:
            await until(f"what slice {number} leads to: {dict(wanted)}", told, seconds=BOUND)
            await self.road.settled()
        except AssertionError as why:
            self.troubles.append(f"{why}; there are {dict(self.collector.counts)}")

    async def _send(self, records: Sequence[Record]) -> None:
        by_place: dict[TopicPartition, list[Record]] = defaultdict(list)
        for record in records:
            by_place[TopicPartition(self.road.prefix + record.topic, record.partition)].append(record)
        for place, some in by_place.items():
            rest = list(some)
            while rest:
                if rest[0].place in self.bombs:
                    await self._send_bomb(place, rest.pop(0))
                else:
                    await self._send_batch(place, rest)

    async def _send_bomb(self, place: TopicPartition, record: Record) -> None:
        code, offset = await send_batch(self.road.producer, place.topic, place.partition, self.bombs[record.place])
        assert (code, offset) == ("NoError", record.offset)
        self.bombs_sent += 1

    async def _send_batch(self, place: TopicPartition, rest: list[Record]) -> None:
        """As many of them as a batch takes, up to the next bomb; these are taken from the list."""
        batch = self.road.producer.create_batch()  # takes what `send` refuses: headers without a value
        some = list(takewhile(lambda record: record.place not in self.bombs, rest[:BATCH]))
        count = 0
        for one in some:
            if not batch.append(timestamp=None, key=one.key, value=one.value, headers=list(one.headers)):
                break
            count += 1
        self.sent.now(rest[:count])
        sent = await (await self.road.producer.send_batch(batch, place.topic, partition=place.partition))
        assert sent.offset == rest[0].offset, "the topics are this run's alone"
        del rest[:count]


def _write_down(plan: Plan, file: Path) -> None:
    """All that was sent, each record with its place: what a difference names can be looked at."""
    with file.open("w") as lines:
        for round_ in plan.rounds:
            for record in (*round_.relationships, *round_.orders):
                lines.write(f"{record.place} {record.key!r} {record.headers!r} {record.value!r}\n")


def _most_memory(pid: int) -> int:
    """Bytes that a process ever held at once."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def main() -> int:
    """0 where nothing differs and no bound was passed. Kafka and PostgreSQL are started for the run."""
    parser = argparse.ArgumentParser(prog="system.bad_input_play", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same seed makes the same records; random where left out")
    parser.add_argument("--generated", type=int, default=50_000)
    parser.add_argument("--logs", help="a folder for the worker's log")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(2**31)
    for variable in (KAFKA_VARIABLE, POSTGRES_VARIABLE):
        os.environ.pop(variable, None)
    print(f"seed {seed}, {arguments.generated} generated", flush=True)
    folder = Path(arguments.logs or tempfile.mkdtemp(prefix="relationship-worker-bad-input-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = monotonic()
    with running_stack(lambda line: print(line, file=sys.stderr)) as stack:
        done = asyncio.run(_on_its_own(stack, folder, seed, arguments.generated))
    load = ", ".join(f"{of_minutes:.1f}" for of_minutes in os.getloadavg())
    print(f"{done.report()}\nin {monotonic() - began:.0f} s; the machine's load by now: {load}")
    print(f"the worker's log is in {folder}")
    return 0 if done.is_as_it_must_be else 1


async def _on_its_own(stack: Stack, folder: Path, seed: int, generated: int) -> Run:
    async with opened_road(stack, stack.database_url, "bad.", folder) as road:
        return await run(road, seed, generated=generated)


if __name__ == "__main__":
    sys.exit(main())
