"""What goes in and what must come out, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

REQUESTS = "connection-requests"
DECISIONS = "relationship-decisions"
ORDERS = "orders"
ENRICHED = "enriched-orders"
EVENTS = "relationship-events"
REMINDERS = "reminders"
DEAD_LETTERS = "dead-letters"

INPUT_TOPICS = (REQUESTS, DECISIONS, ORDERS)
OUTPUT_TOPICS = (ENRICHED, EVENTS, REMINDERS, DEAD_LETTERS)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A Kafka record; its topic goes by the contract's name, without a prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    at: datetime

    def header(self, name: str) -> str | None:
        """The text of a header, the last one where there are several; None where it is missing, null or no UTF-8."""
        for found, value in reversed(self.headers):
            if found == name:
                if value is None:
                    return None
                try:
                    return value.decode()
                except UnicodeDecodeError:
                    return None
        return None

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it lies."""
        return (self.topic, self.partition, self.offset)


class _Undetermined:
    """Stands for a value that the pages leave open in this situation."""

    def __repr__(self) -> str:
        return "undetermined"


UNDETERMINED = _Undetermined()


@dataclass(frozen=True, kw_only=True)
class Cause:
    """The input event behind an output."""

    topic: str
    source: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Which number goes onto an order, and why."""

    number: str | None
    source: str
    reason: str | None
    rule: int
    relationship_version: int | None
    as_of: datetime
    flags: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """An output event: where it goes and what it must hold. Instants in `data` are datetimes."""

    topic: str
    key: bytes | None
    type: str
    subject: str
    cause: Cause
    trace: tuple[tuple[str, bytes], ...] = ()
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EnrichedOrder(Expected):
    """An order on its way out.

    `behind` are the answers by less knowledge that are right where the output says that the decisions were not caught
    up; `outdated` those that any beginning of the facts would have given, to tell a late answer from a wrong one.
    `turn` says how often all was settled before.
    """

    supplier_id: str
    customer_id: str | None
    order_id: str
    order: bytes
    answer: Answer
    behind: frozenset[Answer]
    outdated: frozenset[Answer]
    turn: int


@dataclass(frozen=True, kw_only=True)
class Correction(Expected):
    """An order is told another number, because of a fact that became known after it was answered."""

    supplier_id: str
    customer_id: str | None
    order_id: str
    previous: Answer
    answer: Answer
    turn: int


@dataclass(frozen=True, kw_only=True)
class Reminder(Expected):
    """A reminder; `may_be_missing` where the deferral was superseded while its reminder was due."""

    due_at: datetime
    deferred_at: datetime
    may_be_missing: bool


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A record that is set aside as it came."""

    record: Record
    reason: str


Outcome = Expected | DeadLetter
