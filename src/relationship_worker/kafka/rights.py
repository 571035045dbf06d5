"""The rights that each user needs at Kafka, no more: the access list, the check at the start and the tests go by this table."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from relationship_worker.kafka.connection import Connection
from relationship_worker.messages.outgoing import (
    DEAD_LETTERS,
    ENRICHED_ORDERS,
    INPUT_TOPICS,
    ORDERS,
    OUTPUT_TOPICS,
    RELATIONSHIP_EVENTS,
    REMINDERS,
)

ERP_GROUPS = "erp-"  # how the groups of an ERP's readers begin
TO_LOOK_BACK = "to see that Kafka has ended the last transaction"


class Role(StrEnum):
    """For whom rights belong together: each is a user of its own, or several roles are one's."""

    INIT = "init"  # `init`
    RUN = "run"  # `run`
    REPLAY = "replay"  # `dead-letters replay`
    DESK = "desk"  # commands that look: `explain`, `shadow`, `dead-letters list`, `show`, `edit`, `discard`
    ERP = "erp"  # whoever reads what came out


class Kind(StrEnum):
    """What a right is on."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Operation(StrEnum):
    """As Kafka's own tools spell it. Read and Write bring Describe with them."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"


@dataclass(frozen=True)
class Right:
    """One line of the list. `prefixed`: on everything whose name begins so. `what_for`: what fails without it."""

    operation: Operation
    kind: Kind
    name: str
    what_for: str
    prefixed: bool = False

    def __str__(self) -> str:
        which = f"{self.kind}s that begin with" if self.prefixed else self.kind
        return f"{self.operation} on the {which} {self.name} ({self.what_for})"


def rights(role: Role, kafka: Connection) -> Sequence[Right]:
    """What the role needs where topics, group and prefix are these."""
    return _OF[role](kafka)


def _of_init(kafka: Connection) -> list[Right]:
    names = [kafka.topic(name) for name in (*INPUT_TOPICS, *OUTPUT_TOPICS)]
    return [
        *(_topic(Operation.CREATE, name, "to make it") for name in (*names, kafka.outbox_topic)),
        *(_topic(Operation.DESCRIBE, name, "to see whether it is there") for name in (*names, kafka.outbox_topic)),
        *(_topic(Operation.DESCRIBE_CONFIGS, name, "to compare it with what is needed") for name in names),
    ]


def _of_run(kafka: Connection) -> list[Right]:
    inputs = [kafka.topic(name) for name in INPUT_TOPICS]
    return [
        *(_topic(Operation.READ, name, "to read it and to commit how far") for name in inputs),
        *(_topic(Operation.DESCRIBE_CONFIGS, name, "to see how long it keeps its records") for name in inputs),
        _topic(Operation.READ, kafka.outbox_topic, "to share the outbox out and to commit how far it was told"),
        *(_topic(Operation.WRITE, kafka.topic(name), "to tell what came out") for name in OUTPUT_TOPICS),
        *(_topic(Operation.READ, kafka.topic(name), TO_LOOK_BACK) for name in OUTPUT_TOPICS),
        Right(Operation.READ, Kind.GROUP, kafka.group, "to share the partitions out and to commit positions"),
        *(
            _transactions(f"{kafka.group}.{topic}.", what_for)
            for topic, what_for in (
                (kafka.topic(ORDERS), "to answer orders exactly once"),
                (kafka.outbox_topic, "to tell the outbox exactly once"),
            )
        ),
    ]


def _of_replay(kafka: Connection) -> list[Right]:
    inputs = [kafka.topic(name) for name in INPUT_TOPICS]
    group = f"{kafka.group}.{DEAD_LETTERS}"
    return [
        _topic(Operation.READ, kafka.topic(DEAD_LETTERS), "to read dead letters and to commit what was sent"),
        *(_topic(Operation.WRITE, name, "to send dead letters back") for name in inputs),
        *(_topic(Operation.READ, name, TO_LOOK_BACK) for name in inputs),
        *(_topic(Operation.DESCRIBE_CONFIGS, name, "to see how large a record it takes") for name in inputs),
        Right(Operation.READ, Kind.GROUP, group, "to commit what was sent"),
        _transactions(f"{group}.", "to send each exactly once"),
        Right(Operation.DESCRIBE, Kind.GROUP, kafka.group, "to see whether the worker is done with canaries"),
        _topic(Operation.DESCRIBE, kafka.outbox_topic, "to see whether what canaries made is told"),
    ]


def _of_desk(kafka: Connection) -> list[Right]:
    return [
        _topic(Operation.READ, kafka.topic(ENRICHED_ORDERS), "to find where an answer lies"),
        _topic(Operation.READ, kafka.topic(ORDERS), "to answer orders once more, in `shadow`"),
        _topic(Operation.READ, kafka.topic(DEAD_LETTERS), "to list and show dead letters"),
    ]


def _of_erp(kafka: Connection) -> list[Right]:
    told = [kafka.topic(name) for name in (ENRICHED_ORDERS, RELATIONSHIP_EVENTS, REMINDERS)]
    return [
        *(_topic(Operation.READ, name, "to read what came out") for name in told),
        Right(Operation.READ, Kind.GROUP, ERP_GROUPS, "to commit how far it was read", prefixed=True),
    ]


_OF = {
    Role.INIT: _of_init,
    Role.RUN: _of_run,
    Role.REPLAY: _of_replay,
    Role.DESK: _of_desk,
    Role.ERP: _of_erp,
}


def _topic(operation: Operation, name: str, what_for: str) -> Right:
    return Right(operation, Kind.TOPIC, name, what_for)


def _transactions(start: str, what_for: str) -> Right:
    return Right(Operation.WRITE, Kind.TRANSACTIONAL_ID, start, what_for, prefixed=True)
