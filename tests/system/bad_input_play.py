"""Plays bad input on a real worker by hand: `cd tests && python -m system.bad_input_play --seed 7 --generated 50000`."""

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from aiokafka import TopicPartition

from model.records import DEAD_LETTERS, ENRICHED, Record
from relationship_worker.local.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE, Stack, running_stack
from roads.driving import Road, opened_road
from system.bad_input import bad_input
from system.collector import Collector
from system.expectations import Expectations, expectations
from system.judge import Verdict, judge
from system.plan import Round
from system.reading import read_back
from waiting import until

BATCH = 200  # records of a produced batch
BOUND = 120.0  # seconds for a slice; it takes one or two
MOST_MEMORY = 512 * 1024 * 1024  # bytes that a worker may ever hold


@dataclass
class Run:
    """What a run came to."""

    verdict: Verdict
    records: int
    dead_letters: int
    memory: int  # bytes that the worker held at the most
    held_up: float  # seconds from when a slice was sent to the last answer to a good order in it, at the most
    troubles: list[str] = field(default_factory=list)

    def report(self) -> str:
        """In some lines."""
        lines = [f"trouble: {trouble}" for trouble in self.troubles]
        lines.append(self.verdict.report())
        lines.append(
            f"{self.records} records, {self.dead_letters} dead letters; at most {self.memory // 1024 // 1024} MiB; "
            f"an order between them was answered within {self.held_up:.2f} s"
        )
        return "\n".join(lines)


async def run(road: Road, seed: int, *, generated: int, hostile_share: float = 1.0) -> Run:
    """One worker, and all of the plan."""
    plan = bad_input(seed, datetime.now(UTC), generated=generated, hostile_share=hostile_share)
    expected = expectations(plan)
    collector = Collector(road.stack.kafka_bootstrap_servers, road.prefix)
    await collector.open()
    try:
        worker = await road.start()
        player = _Player(road, expected, collector)
        for number, round_ in enumerate(plan.rounds):
            await player.play(number, round_)
            if player.troubles:
                expected = expectations(replace(plan, rounds=plan.rounds[: number + 1]))
                break
        memory = _most_memory(worker.pid)
        if await road.stop() != [0]:
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
    return Run(
        verdict=judge(expected, reading),
        records=sum(len(round_.relationships) + len(round_.orders) for round_ in expected.plan.rounds),
        dead_letters=collector.counts[DEAD_LETTERS],
        memory=memory,
        held_up=max(player.held_up, default=0.0),
        troubles=player.troubles,
    )


@dataclass
class _Player:
    road: Road
    expected: Expectations
    collector: Collector
    troubles: list[str] = field(default_factory=list)
    held_up: list[float] = field(default_factory=list)
    _seen: int = 0

    async def play(self, number: int, round_: Round) -> None:
        """Send a slice, and wait until all that it leads to is told."""
        await self._send([*round_.relationships, *round_.orders])
        sent_at = datetime.now(UTC)
        wanted = self.expected.by_round[number]

        async def told() -> bool:
            return all(self.collector.counts[topic] >= count for topic, count in wanted.items())

        try:
            await until(f"what slice {number} leads to: {dict(wanted)}", told, seconds=BOUND)
            await self.road.settled()
        except AssertionError as why:
            self.troubles.append(f"{why}; there are {dict(self.collector.counts)}")
        new = self.collector.records[self._seen :]
        self._seen = len(self.collector.records)
        answered = [(record.at - sent_at).total_seconds() for record in new if record.topic == ENRICHED]
        self.held_up.append(max(answered, default=0.0))

    async def _send(self, records: Sequence[Record]) -> None:
        by_place: dict[TopicPartition, list[Record]] = defaultdict(list)
        for record in records:
            by_place[TopicPartition(self.road.prefix + record.topic, record.partition)].append(record)
        for place, some in by_place.items():
            rest = list(some)
            while rest:
                batch = self.road.producer.create_batch()  # takes what `send` refuses: headers without a value
                count = 0
                while count < len(rest) and count < BATCH:
                    one = rest[count]
                    if not batch.append(timestamp=None, key=one.key, value=one.value, headers=list(one.headers)):
                        break
                    count += 1
                sent = await (await self.road.producer.send_batch(batch, place.topic, partition=place.partition))
                assert sent.offset == rest[0].offset, "the topics are this run's alone"
                del rest[:count]


def _most_memory(pid: int) -> int:
    """Bytes that a process ever held at once."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def main() -> int:
    """0 where nothing differs and no bound was passed. Kafka and PostgreSQL are started for the run."""
    parser = argparse.ArgumentParser(prog="system.bad_input_play", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same seed makes the same records; random where left out")
    parser.add_argument("--generated", type=int, default=50_000)
    parser.add_argument("--held-up", type=float, default=1.0, help="seconds that a good order may wait at the most")
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
    print(f"{done.report()}\nin {monotonic() - began:.0f} s; the worker's log is in {folder}")
    bounded = done.memory < MOST_MEMORY and done.held_up <= arguments.held_up
    return 0 if bounded and not done.verdict.differences and not done.troubles else 1


async def _on_its_own(stack: Stack, folder: Path, seed: int, generated: int) -> Run:
    async with opened_road(stack, stack.database_url, "bad.", folder) as road:
        return await run(road, seed, generated=generated)


if __name__ == "__main__":
    sys.exit(main())
