"""The events that the worker tells, and dead letters: each a complete Kafka message."""

from datetime import date, datetime
from typing import ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict

from relationship_worker.domain.relationship import Refusal, State
from relationship_worker.messages.envelope import Headers, InvalidMessage
from relationship_worker.messages.times import write_time

SOURCE = b"relationship-worker"

ENRICHED_ORDERS = "enriched-orders"
RELATIONSHIP_EVENTS = "relationship-events"
REMINDERS = "reminders"
DEAD_LETTERS = "dead-letters"
OUTPUT_TOPICS = (ENRICHED_ORDERS, RELATIONSHIP_EVENTS, REMINDERS, DEAD_LETTERS)

CONNECTION_REQUESTS = "connection-requests"
RELATIONSHIP_DECISIONS = "relationship-decisions"
ORDERS = "orders"
INPUT_TOPICS = (CONNECTION_REQUESTS, RELATIONSHIP_DECISIONS, ORDERS)

MAX_MESSAGE_BYTES = 8 * 1024 * 1024 + 64 * 1024  # of the output topics: the largest input and what is added to it
MOST_IN_DEAD_LETTER = (
    MAX_MESSAGE_BYTES - 4096
)  # of a record's key, value and headers; the batch and its reason take the rest


class Message(msgspec.Struct, frozen=True, gc=False):
    """A complete Kafka message. `partition` is None where the key decides, as it does for any producer."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    partition: int | None = None

    def to(self, partition: int) -> "Message":
        """The message with the partition that it goes to."""
        return Message(self.topic, self.key, self.value, self.headers, partition)


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    topic: ClassVar[str] = RELATIONSHIP_EVENTS
    type: ClassVar[str]


class RelationshipTransition(_Event):
    """A relationship changed its state (or was deferred anew)."""

    supplier_id: str
    customer_id: str
    version: int
    state: State
    previous_state: State
    decided_at: datetime
    decided_by: str | None
    reason: str | None
    resubmission_date: date | None
    customer_number: str | None
    previously_rejected: bool


class RelationshipRequested(RelationshipTransition):
    """A customer asked to connect."""

    type = "relationship.requested"


class RelationshipAccepted(RelationshipTransition):
    """The customer is a partner now; `shared`: another partner of the supplier carries the number, or it is the default."""

    type = "relationship.accepted"
    shared: bool


class RelationshipRejected(RelationshipTransition):
    """The request was turned down."""

    type = "relationship.rejected"


class RelationshipDeferred(RelationshipTransition):
    """The decision was postponed."""

    type = "relationship.deferred"


class RelationshipWithdrawn(RelationshipTransition):
    """The customer took the request back."""

    type = "relationship.withdrawn"


class RelationshipEnded(RelationshipTransition):
    """The partnership ended."""

    type = "relationship.ended"


class CustomerNumberChanged(_Event):
    """A partner's number was set, changed or removed."""

    type = "relationship.customer-number-changed"
    supplier_id: str
    customer_id: str
    version: int
    customer_number: str | None
    previous: str | None
    shared: bool


class DecisionRefused(_Event):
    """The domain said no to an input. `state` and `customer_id` are null, `version` 0, for settings."""

    type = "relationship.decision-refused"
    supplier_id: str
    customer_id: str | None
    decision_id: str
    decision_type: str
    reason: Refusal
    state: State | None
    version: int
    detail: str | None  # of invalid settings: what is wrong and where, without the value


class CustomerNumberMissing(_Event):
    """An order went out without a number."""

    type = "order.customer-number-missing"
    supplier_id: str
    customer_id: str | None
    order_id: str
    reason: str


class ToldAnswer(BaseModel):
    """An ANSWER as an order was told it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    number: str | None
    source: str
    reason: str | None
    rule: int
    relationship_version: int | None
    as_of: str
    flags: list[str]


class CustomerNumberCorrected(_Event):
    """A fact that became known changed what an order must be told; `previous` is what it was told last."""

    topic = ENRICHED_ORDERS
    type = "order.customer-number-corrected"
    order_id: str
    supplier_id: str
    customer_id: str | None
    previous: ToldAnswer
    customer_number: ToldAnswer


class ReminderDue(_Event):
    """A deferred request comes back for a decision."""

    topic = REMINDERS
    type = "relationship.reminder-due"
    supplier_id: str
    customer_id: str
    version: int
    due_on: date
    due_at: datetime
    deferred_at: datetime
    late_seconds: int
    overdue: bool
    reason: str | None


TRANSITIONS: dict[State, type[RelationshipTransition]] = {
    State.REQUESTED: RelationshipRequested,
    State.PARTNER: RelationshipAccepted,
    State.REJECTED: RelationshipRejected,
    State.DEFERRED: RelationshipDeferred,
    State.WITHDRAWN: RelationshipWithdrawn,
    State.ENDED: RelationshipEnded,
}

FREE_TEXT_TYPES = {ReminderDue.type.encode(), *(kind.type.encode() for kind in TRANSITIONS.values())}
"""Events whose reason is a free text (elsewhere it is a code)."""

Event = (
    RelationshipTransition
    | CustomerNumberChanged
    | DecisionRefused
    | CustomerNumberMissing
    | CustomerNumberCorrected
    | ReminderDue
)
EVENT_MODELS: tuple[type[_Event], ...] = (
    *TRANSITIONS.values(),
    CustomerNumberChanged,
    DecisionRefused,
    CustomerNumberMissing,
    CustomerNumberCorrected,
    ReminderDue,
)


class Cause(msgspec.Struct, frozen=True, gc=False):
    """The event that made the worker say something. `key` is its `event_key`: what outputs derive their ids from."""

    key: bytes
    id: str
    source: str
    trace: tuple[tuple[str, bytes], ...] = ()


def output_id(key: bytes, suffix: str) -> str:
    """The id of an output: its cause's `event_key` and what it is."""
    return f"{key.hex()}.{suffix}"


def headers_of(cause: Cause, *, suffix: str, type_: str, subject: str, now: str) -> list[tuple[str, bytes | None]]:
    """The CloudEvents attributes of an output. The id is the cause's key and a suffix: a retry can't invent another."""
    headers: list[tuple[str, bytes | None]] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", output_id(cause.key, suffix).encode()),
        ("ce_source", SOURCE),
        ("ce_type", type_.encode()),
        ("ce_time", now.encode()),
        ("ce_subject", subject.encode()),
        ("ce_causationid", cause.id.encode()),
        ("ce_causationsource", cause.source.encode()),
        ("content-type", b"application/json"),
    ]
    headers.extend(cause.trace)
    return headers


def event_message(event: Event, cause: Cause, *, suffix: str, now: datetime, subject: str | None = None) -> Message:
    """The message that tells an event, keyed by its relationship (or its supplier, where there is no customer)."""
    customer_id = event.customer_id
    key = event.supplier_id if customer_id is None else f"{event.supplier_id}/{customer_id}"
    return Message(
        topic=event.topic,
        key=key.encode(),
        value=event.model_dump_json().encode(),
        headers=headers_of(cause, suffix=suffix, type_=event.type, subject=subject or key, now=write_time(now)),
    )


def correction_message(
    event: CustomerNumberCorrected, cause: Cause, *, order_event: bytes, key: bytes | None, now: datetime
) -> Message:
    """The message that corrects an order, under the order's own key. `order_event`: the `event_key` of its first event."""
    told = event_message(event, cause, suffix=f"corrected-{order_event.hex()}", now=now, subject=event.order_id)
    headers = told.headers + routing(event.supplier_id, event.customer_id, event.customer_number.number)
    return Message(told.topic, key, told.value, headers)


def routing(supplier_id: str, customer_id: str | None, number: str | None) -> list[tuple[str, bytes | None]]:
    """Extensions by which a connector routes an order without parsing it; each absent where it is null."""
    texts = (("ce_supplierid", supplier_id), ("ce_customerid", customer_id), ("ce_customernumber", number))
    return [(name, text.encode()) for name, text in texts if text is not None]


def dead_letter(
    why: InvalidMessage,
    *,
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    to_partition: int | None = None,
) -> Message:
    """The record as it came, with its reason and its coordinates behind its own headers."""
    added: list[tuple[str, bytes | None]] = [
        ("deadletter-reason", why.reason.encode()),
        ("deadletter-detail", why.detail.encode()),
        ("deadletter-topic", topic.encode()),
        ("deadletter-partition", str(partition).encode()),
        ("deadletter-offset", str(offset).encode()),
    ]
    return Message(topic=DEAD_LETTERS, key=key, value=value, headers=[*headers, *added], partition=to_partition)
