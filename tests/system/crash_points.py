"""Where a worker may end amid its work: each step at which something is written in one place and not yet in another."""

from dataclasses import dataclass
from enum import StrEnum

EXIT = 100  # the code with which a worker ends at point n is so much more
VARIABLE = "RELATIONSHIP_WORKER_ENDS_AT"  # JSON: which point, and at which pass


class When(StrEnum):
    """Where, as seen from a function."""

    BEFORE = "before"
    AFTER = "after"
    COMMITTED = "committed"  # its database transaction
    WAITING = "waiting"  # for whoever reads what it removes; the server goes on by itself when they have read
    CUT_OFF = "cut off"  # the same, and the server does not go on


@dataclass(frozen=True, kw_only=True)
class Point:
    """The worker ends as it passes; `of`: whose calls count, a road's module or (for transactions) what their id holds."""

    name: str
    function: str
    when: When
    of: str = ""


def _point(name: str, function: str, when: When, of: str = "") -> Point:
    return Point(name=name, function=f"relationship_worker.{function}", when=when, of=of)


_RELATIONSHIPS, _RELAY = "deciding", "relay"
_BEGIN, _SEND = "kafka.transactions:Transactions.begin", "kafka.transactions:Transactions._send"
_COMMIT = "kafka.transactions:AIOKafkaProducer.commit_transaction"
_OPEN, _POST = "kafka.transactions:Transactions.open", "storage.outbox:post"
_OF_ORDERS, _OF_RELAY = ".orders.", ".outbox."

IN_EPISODES: tuple[Point, ...] = (
    _point("orders: the producer is opened, the position not read", _OPEN, When.AFTER, _OF_ORDERS),
    _point("orders: the Kafka transaction is begun, nothing remembered", _BEGIN, When.AFTER, _OF_ORDERS),
    _point("orders: answers are written, not committed", "storage.answers:remember_new", When.AFTER),
    _point("orders: answers are remembered, nothing told", "storage.answers:remember_new", When.COMMITTED),
    _point("orders: answers are remembered at once, nothing told", "storage.answers:remember_at_once", When.AFTER),
    _point("orders: some answers are written, not committed", "storage.answers:remember_first", When.AFTER),
    _point("orders: some answers are remembered, nothing told", "storage.answers:remember_first", When.COMMITTED),
    _point("orders: repeated orders are remembered, nothing told", "storage.answers:remember_repeated", When.COMMITTED),
    _point("orders: records are sent, not committed", _SEND, When.AFTER, _OF_ORDERS),
    _point("orders: all is in Kafka, not committed", _COMMIT, When.BEFORE, _OF_ORDERS),
    _point("orders: committed, and nobody knows", _COMMIT, When.AFTER, _OF_ORDERS),
    _point("orders: corrections are told, the database does not know", "storage.corrections:told", When.BEFORE),
    _point("orders: corrections are told, the database is to know", "storage.corrections:told", When.AFTER),
    _point("orders: corrections are told, the database knows", "storage.corrections:told", When.COMMITTED),
    _point("relationships: taken over, not committed", "storage.positions:take_over", When.AFTER),
    _point("relationships: taken over, not begun", "storage.positions:take_over", When.COMMITTED),
    _point("relationships: the position is moved, nothing decided", "storage.positions:advance", When.AFTER),
    _point("relationships: ids are used up, nothing decided", "storage.inbox:use_up", When.AFTER),
    _point("relationships: an erasure is done, not committed", "storage.personal_data:erase", When.AFTER),
    _point("relationships: decisions are written, nothing told", "roads.desk:Desk.remember", When.AFTER),
    _point("relationships: all is written, not committed", _POST, When.AFTER, _RELATIONSHIPS),
    _point("relationships: committed, the group's position is behind", _POST, When.COMMITTED, _RELATIONSHIPS),
    _point("relationships: committed, the group's position too", "kafka.lanes:Lane.commit", When.AFTER),
    _point("relay: the producer is opened, the progress not read", _OPEN, When.AFTER, _OF_RELAY),
    _point("relay: the Kafka transaction is begun", _BEGIN, When.AFTER, _OF_RELAY),
    _point("relay: records are sent, not committed", _SEND, When.AFTER, _OF_RELAY),
    _point("relay: all is in Kafka, not committed", _COMMIT, When.BEFORE, _OF_RELAY),
    _point("relay: committed, and nobody knows", _COMMIT, When.AFTER, _OF_RELAY),
    _point("relay: told, and is to be forgotten", "storage.outbox:forget", When.AFTER, _RELAY),
    _point("relay: told and forgotten", "storage.outbox:forget", When.COMMITTED, _RELAY),
    _point("reminders: forgotten, not posted", "storage.deferrals:forget", When.AFTER, "reminders"),
    _point("reminders: posted, not committed", _POST, When.AFTER, "reminders"),
    _point("reminders: committed, not told", _POST, When.COMMITTED, "reminders"),
    _point("corrections: facts are looked at, nothing judged", "storage.facts:looked_at", When.AFTER),
    _point("corrections: corrections are written, not committed", "storage.corrections:remember", When.AFTER),
    _point("corrections: committed, not told", "storage.corrections:remember", When.COMMITTED),
    _point("corrections: what stays open is written, not committed", "storage.facts:keep_open", When.AFTER),
    _point("corrections: nothing to correct, committed", "storage.facts:looked_at", When.COMMITTED),
)

_PARKED = "parked_decisions"
AFTER_THE_GRACE_TIME: tuple[Point, ...] = (
    _point("parked decisions: forgotten, the id not given back", "storage.parked:forget", When.AFTER, _PARKED),
    _point("parked decisions: the id is given back, nothing posted", "storage.inbox:give_back", When.AFTER, _PARKED),
    _point("parked decisions: posted, not committed", _POST, When.AFTER, _PARKED),
    _point("parked decisions: committed, not told", _POST, When.COMMITTED, _PARKED),
)

_MAKE, _DETACH = "storage.periods:_make_period", "storage.periods:_detach"
AS_PERIODS_PASS: tuple[Point, ...] = (  # in this order each is reached in one period
    _point("retention: a period is made, not committed", _MAKE, When.AFTER),
    _point("retention: periods are made, nothing is dropped", "storage.periods:make", When.AFTER),
    _point("retention: a partition is half detached, and the server goes on", _DETACH, When.WAITING),
    _point("retention: a partition is half detached, and stays so", _DETACH, When.CUT_OFF),
    _point("retention: a partition is detached, not dropped", _DETACH, When.AFTER),
    _point("retention: a partition is dropped, others are not", "storage.periods:drop", When.AFTER),
)
POINTS = IN_EPISODES + AFTER_THE_GRACE_TIME + AS_PERIODS_PASS
