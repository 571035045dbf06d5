"""What a crowd of workers holds: partitions by Kafka's own account, connections, memory and CPU by the kernel's."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

STABLE = "Stable"
_ESTABLISHED, _LISTENS = "01", "0A"  # in /proc/net/tcp
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Group:
    """A consumer group. `held`: by member, how many partitions of each topic."""

    state: str
    held: Mapping[str, Counter[str]]

    def most_and_least(self, topic: str | None = None) -> tuple[int, int]:
        """Of a topic's partitions, or of all, what the fullest member has and what the emptiest one has."""
        counts = [held.total() if topic is None else held[topic] for held in self.held.values()]
        return max(counts), min(counts)


async def group_of(admin: AIOKafkaAdminClient, name: str) -> Group:
    """As Kafka has it now."""
    [answer] = await admin.describe_consumer_groups([name])
    [(_, _, state, _, _, members, *_)] = answer.groups
    held = {}
    for member, *_, assignment in members:
        given = ConsumerProtocolMemberAssignment.decode(assignment).partitions() if assignment else []
        held[member] = Counter(place.topic for place in given)
    return Group(state=state, held=held)


@dataclass(frozen=True, kw_only=True)
class Connections:
    """Of all workers together, and of the one that has most."""

    kafka: int = 0
    kafka_of_one: int = 0
    postgres: int = 0

    def or_more(self, other: "Connections") -> "Connections":
        """The larger of each."""
        return Connections(
            kafka=max(self.kafka, other.kafka),
            kafka_of_one=max(self.kafka_of_one, other.kafka_of_one),
            postgres=max(self.postgres, other.postgres),
        )


async def connections_of(pids: Iterable[int], kafka_port: int, database: asyncpg.Connection) -> Connections:
    """As they are now. `database`: a connection of the looker's own to the workers' database."""
    inodes = _inodes(_ESTABLISHED, their_port=kafka_port)
    to_kafka = [len(inodes & _sockets(pid)) for pid in pids]
    to_postgres = await database.fetchval(
        """SELECT count(*) FROM pg_stat_activity
           WHERE application_name = 'relationship-worker' AND datname = current_database()"""
    )
    return Connections(kafka=sum(to_kafka), kafka_of_one=max(to_kafka, default=0), postgres=to_postgres)


def listener_of(port: int) -> int:
    """The process that listens on a port of this machine."""
    inodes = _inodes(_LISTENS, own_port=port)
    pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return next(pid for pid in pids if inodes & _sockets(pid))


def _inodes(state: str, *, own_port: int | None = None, their_port: int | None = None) -> set[str]:
    """Of this machine's sockets in that state."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            own, theirs = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
            if fields[3] == state and own_port in (None, own) and their_port in (None, theirs):
                found.add(fields[9])
    return found


def _sockets(pid: int) -> set[str]:
    """Inodes of a process's sockets; none of one that has just ended, or is somebody else's."""
    found = set()
    with suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):  # closed meanwhile
                target = os.readlink(f"/proc/{pid}/fd/{number}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def memory_mib(pid: int) -> float:
    """In RAM."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, and of its children, those that have ended too."""
    return sum(_own_cpu_seconds(one) for one in (pid, *_children_of(pid)))


def _own_cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # a connection that has just ended
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS


def _children_of(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found
