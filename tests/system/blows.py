"""Which faults strike amid which rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from model.records import ENRICHED, EVENTS


class Fault(StrEnum):
    """What can go wrong around a worker, in the words of the report."""

    STOPPED = "worker: SIGTERM, started again"
    KILLED = "worker: SIGKILL, started again"
    ALL_KILLED = "workers: SIGKILL of all at once, started again"
    GONE = "worker: SIGKILL, the others take over"
    FROZEN = "worker: SIGSTOP beyond its session, SIGCONT"
    FROZEN_LONG = "worker: SIGSTOP beyond its transaction, SIGCONT"
    STORM = "workers: joins and leaves in a storm"
    TWIN = "workers: two of the same identity, both with all partitions"
    CLOCK = "worker: its clock jumps by an hour, both ways"
    FULL_DISK = "worker: no room for its log and temporary files"
    KAFKA_CLEAN = "Kafka: clean restart"
    KAFKA_HARD = "Kafka: SIGKILL and restart"
    POSTGRES_FAST = "PostgreSQL: fast restart"
    POSTGRES_IMMEDIATE = "PostgreSQL: immediate restart"
    POSTGRES_KILLED = "PostgreSQL: SIGKILL of the postmaster and restart"
    KAFKA_LATENCY = "network to Kafka: latency"
    KAFKA_RESET = "network to Kafka: resets"
    KAFKA_HALF_OPEN = "network to Kafka: half-open connections"
    KAFKA_CUT = "network to Kafka: cut"
    POSTGRES_LATENCY = "network to PostgreSQL: latency"
    POSTGRES_RESET = "network to PostgreSQL: resets"
    POSTGRES_HALF_OPEN = "network to PostgreSQL: half-open connections"
    POSTGRES_CUT = "network to PostgreSQL: cut"
    LOST_COMMITS = "PostgreSQL: answers to COMMIT lost"
    LOST_ANSWERS = "PostgreSQL: answers to statements lost"
    LATE_ENDS = "Kafka: EndTxn arrives amid the next transaction"
    SLOW_DATABASE = "PostgreSQL: 2 s for every answer"
    LOCKED_TABLE = "PostgreSQL: a table is locked"
    NO_CONNECTIONS = "PostgreSQL: takes no more connections"


@dataclass(frozen=True, kw_only=True)
class Blow:
    """A fault strikes once a share of a round's outputs on a topic is there."""

    round: int
    topic: str
    share: float
    fault: Fault


def blows(seed: int, rounds: int, *, kills: int, stops: int) -> list[Blow]:
    """The first kill strikes amid orders, the second amid decisions, all others anywhere after the first round."""
    rng = Random(seed)
    planned = []
    for number in range(kills + stops):
        round_, topic = rng.randrange(1, rounds), rng.choice((ENRICHED, EVENTS))
        if kills > 0 and number < 2:
            round_, topic = ((2, ENRICHED), (5, EVENTS))[number]
        fault = Fault.STOPPED if number >= kills else Fault.KILLED
        planned.append(Blow(round=round_, topic=topic, share=rng.uniform(0.02, 0.4), fault=fault))
    return planned


def spread(seed: int, rounds: int, faults: Sequence[Fault]) -> list[Blow]:
    """The faults, in an order that the seed gives, over all rounds but the first: as many in each, one after the other."""
    mixed = Random(seed).sample(faults, k=len(faults))
    return [
        Blow(round=1 + number * (rounds - 1) // len(mixed), topic=ENRICHED, share=0.0, fault=fault)
        for number, fault in enumerate(mixed)
    ]
