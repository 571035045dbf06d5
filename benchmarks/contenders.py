"""Who runs against whom: the worker as it ships, and what a team would write or pick instead."""

import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load import WARM
from benchmarks.peers import kafka_streams, quix
from relationship_worker.local.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Course:
    """Where a contender runs: topics and a database of its own, the same orders for all."""

    stack: Stack
    database_url: str
    prefix: str  # of the worker's topics; `{prefix}orders` is what everybody reads
    group: str
    output: str  # the topic that a peer writes
    partitions: int
    numbers: Path  # JSON: "supplier/customer" to number, for those who keep them in memory

    @property
    def worker_environment(self) -> dict[str, str]:
        """What the worker is given."""
        return {
            **os.environ,
            **self.stack.environment,
            "DATABASE_URL": self.database_url,
            "RELATIONSHIP_WORKER_TOPIC_PREFIX": self.prefix,
            "RELATIONSHIP_WORKER_GROUP": self.group,
            "RELATIONSHIP_WORKER_PARTITIONS": str(self.partitions),
        }

    @property
    def peer_environment(self) -> dict[str, str]:
        """What a peer is given; see `peers`."""
        return {
            **os.environ,
            "BENCH_BOOTSTRAP_SERVERS": self.stack.kafka_bootstrap_servers,
            "BENCH_ORDERS": f"{self.prefix}orders",
            "BENCH_OUTPUT": self.output,
            "BENCH_GROUP": self.group,
            "BENCH_NUMBERS": str(self.numbers),
        }


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One row of the table."""

    name: str
    says: str
    command: tuple[str, ...]
    is_worker: bool = False
    processes: int = 1  # on one group
    warm_up: float = WARM  # of the backlog
    stop_at: float = 0.95  # of the backlog: the last batches are small
    unavailable: str | None = None  # why it can't run here
    settings: Mapping[str, str] = field(default_factory=dict)  # of its process alone

    def environment(self, course: Course) -> dict[str, str]:
        """Of its process."""
        return {**(course.worker_environment if self.is_worker else course.peer_environment), **self.settings}


def worker(*, processes: int = 1) -> Contender:
    """What all of this is about, as so many processes on one group."""
    return Contender(
        name="worker" if processes == 1 else f"worker-x{processes}",
        says="relationship-worker run, as it ships",
        command=(sys.executable, "-m", "relationship_worker", "run"),
        is_worker=True,
        processes=processes,
    )


def contenders(only: Collection[str] | None = None) -> list[Contender]:
    """All of them, the worker first; or those of these names."""
    python = sys.executable
    streams = kafka_streams.prepared() if not only or "kafka-streams" in only else kafka_streams.Prepared()
    found = [
        worker(),
        Contender(
            name="worker-at-least-once",
            says="the same without Kafka transactions (a switch of this benchmark only)",
            command=(python, "-m", "benchmarks.at_least_once", "run"),
            is_worker=True,
        ),
        Contender(
            name="aiokafka",
            says="aiokafka pass-through: getmany, send, flush, commit; no lookup, at least once",
            command=(python, "-m", "benchmarks.peers.aiokafka_pass_through"),
        ),
        Contender(
            name="aiokafka-same-partition",
            says="the same, but no key is hashed: each order goes into the partition that it came from",
            command=(python, "-m", "benchmarks.peers.aiokafka_pass_through", "--same-partition"),
        ),
        Contender(
            name="quix",
            says="Quix Streams, exactly once, JSON, numbers in a dict",
            command=quix.command(),
            unavailable=quix.missing(),
        ),
        Contender(
            name="kafka-streams",
            says="Kafka Streams, exactly_once_v2, Jackson, GlobalKTable in memory",
            command=streams.command,
            warm_up=0.5,  # the JVM compiles what is hot during the first 100,000 orders or so
            unavailable=streams.missing,
        ),
        Contender(
            name="faststream",
            says="FastStream per message, pydantic in and out, numbers in a dict, at least once",
            command=(python, "-m", "benchmarks.peers.faststream_naive"),
            warm_up=0.02,  # some seconds of it, too
            stop_at=0.12,  # half a minute
        ),
    ]
    return [contender for contender in found if not only or contender.name in only]
