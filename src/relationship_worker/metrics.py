"""Every metric of the worker, with its meaning: declared here before it is used anywhere.

Counters and histograms are of this process and are fed once per batch. Gauges of what is stored say the same on every
worker: take their maximum. No label holds an id of a supplier, a customer or an order.
"""

import collections
import itertools
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
"""The worker's own. `topic` is the name in the contract."""

_P = "relationship_worker_"
# Seconds; the round trips of a small batch at the low end, the worker's own time-outs at the high one.
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
_LATE = (1, 2, 5, 10, 30, 60, 300, 3_600, 86_400)  # seconds; five are promised, an outage may take a day


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(_P + name, meaning, labels, registry=REGISTRY)


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(_P + name, meaning, labels, registry=REGISTRY)


def _histogram(name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
    return Histogram(_P + name, meaning, labels, registry=REGISTRY, buckets=buckets)


# Orders
ORDERS = _counter("orders", "Orders told for the first time, by whose number they carry and why", "source", "reason")
TOLD_AGAIN = _counter("orders_told_again", "Further events of orders that were answered before")
ANSWER_SECONDS = _histogram(
    "order_answer_seconds", "From the timestamp of a batch's oldest order record to the commit of its answers"
)
FRESHNESS_SECONDS = _histogram(
    "freshness_wait_seconds", "What a batch of orders waited that found decisions published before it undone"
)
NOT_CAUGHT_UP = _counter(
    "orders_not_caught_up", "Orders told past the freshness bound, flagged decisions_not_caught_up"
)
CORRECTIONS = _counter("corrections", "Corrections told behind their orders")

# Requests, decisions, reminders
INPUTS = _counter("inputs", "Records of the relationship topics that are done, whatever became of them", "topic")
RULES_SKIPPED = _counter("own_rules_skipped", "Own rules that matched but made no customer number")
REMINDERS = _histogram("reminder_late_seconds", "How long after their hour reminders were told", buckets=_LATE)
DEAD_LETTERS = _counter("dead_letters", "Records set aside, by input topic and reason", "topic", "reason")

# What is committed, and what goes wrong on the way
TRANSACTION_SECONDS = _histogram(
    "kafka_transaction_seconds", "From the beginning of a Kafka transaction to its commit", "topic"
)
DOUBTS = _counter("doubts", "Kafka transactions with an uncertain outcome: a new producer did them again", "topic")
FENCES = _counter("fences", "Times that another worker had taken a partition over", "topic")
INTERRUPTIONS = _counter("interruptions", "Times that a lane began anew after a failure of a dependency", "topic")
FAILURES = _counter("failures", "Times that the worker itself failed on a batch", "topic")

# What stands where, as of the scrape (a survey is a few seconds old at the most, see standing.py)
INFO = _gauge("info", "1; the version and the roads that run", "version", "roads")
READY = _gauge("ready", "1 where /health/ready is green")
STOPPED = _gauge("lane_stopped", "1 where a lane stands at a named stop until somebody acts", "topic", "partition")
LAG = _gauge("lag_records", "Records of a partition in this worker's hands that are not done", "topic", "partition")
UNDECIDED_SECONDS = _gauge(
    "oldest_undecided_seconds",
    "Age of a partition's oldest record that is not done; 0 where all is",
    "topic",
    "partition",
)
KAFKA_UP = _gauge("kafka_up", "1 where Kafka answered the last survey")
DATABASE_UP = _gauge("database_up", "1 where PostgreSQL answered the last survey")
OUTBOX = _gauge(
    "outbox_messages", "Messages remembered and not told yet, or told within the last second, by lane", "lane"
)
CORRECTIONS_WAITING = _gauge("corrections_waiting", "Corrections decided and not told yet")
FACTS_WAITING = _gauge("facts_waiting", "Facts whose orders were not all looked at yet")
HELD = _gauge("held_relationships", "Relationships whose inputs wait behind a dead letter of the worker's own fault")
REMINDERS_WAITING_SECONDS = _gauge(
    "reminder_overdue_seconds", "How long the oldest reminder that is due was not told; 0: none"
)
PARKED = _gauge("parked_decisions", "Decisions that wait for their request")
OPEN = _gauge("open_requests", "Open requests, by state and whether a day is agreed", "state", "dated")
OPEN_SECONDS = _gauge("open_request_oldest_seconds", "Age of the oldest such request", "state", "dated")

BY_PLACE = (STOPPED, LAG, UNDECIDED_SECONDS, OUTBOX, OPEN, OPEN_SECONDS)
"""Gauges whose labels come and go."""

STORED = (CORRECTIONS_WAITING, FACTS_WAITING, HELD, REMINDERS_WAITING_SECONDS, PARKED)
"""Gauges that PostgreSQL alone can tell; NaN where it does not answer."""

ProcessCollector(registry=REGISTRY)  # CPU, memory, open files of the process


def start_at_zero(topics: Iterable[str], reasons: Iterable[str]) -> None:
    """What goes wrong is shown before it does: of a series that begins at 1, Prometheus sees no increase."""
    for topic in (*topics, "outbox"):
        for counter in (DOUBTS, FENCES, INTERRUPTIONS, FAILURES):
            counter.labels(topic)
    for topic, reason in itertools.product(topics, reasons):
        DEAD_LETTERS.labels(topic, reason)


def count_dead_letters(topic: str, reasons: Iterable[str]) -> None:
    """Records of a topic that were set aside, each for its reason."""
    for reason, count in collections.Counter(reasons).items():
        DEAD_LETTERS.labels(topic, reason).inc(count)
