"""The pages of a worker: /health/live, /health/ready, /status, /metrics. They change nothing, and name nobody."""

import json
import math
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from relationship_worker import metrics
from relationship_worker.health import Health
from relationship_worker.messages.envelope import Reason
from relationship_worker.messages.outgoing import INPUT_TOPICS
from relationship_worker.pages import Page
from relationship_worker.standing import Standing

JSON = "application/json"


class HealthPages:
    """Called by the threads that serve them."""

    def __init__(self, health: Health, *, group: str, roads: str) -> None:
        self._health = health
        self._group = group
        self._roads = roads
        self._started_at = datetime.now(UTC)
        self._one_scrape = threading.Lock()
        self.pages: dict[str, Callable[[], Page]] = {
            "/health/live": self._live,
            "/health/ready": self._ready,
            "/status": self._status,
            "/metrics": self._metrics,
        }
        metrics.start_at_zero(INPUT_TOPICS, [reason.value for reason in Reason])
        metrics.INFO.labels(version("relationship-worker"), roads).set(1)

    def show(self, path: str) -> Page | None:
        """The page of that path; None where there is none."""
        return self.pages[path]() if path in self.pages else None

    def _live(self) -> Page:
        return _judged("live", self._health.not_alive())

    def _ready(self) -> Page:
        return _judged("ready", self._health.not_ready(self._health.survey()))

    def _status(self) -> Page:
        seen = self._health.survey()
        why = self._health.not_ready(seen)
        status = {
            "version": version("relationship-worker"),
            "group": self._group,
            "roads": self._roads,
            "started_at": self._started_at.isoformat(),
            "ready": not why,
            "why_not": why,
            "guarantee": _guarantee(seen),
            **(_told_of(seen) if seen else {}),
        }
        return 200, JSON, json.dumps(status, indent=2, ensure_ascii=False).encode() + b"\n"

    def _metrics(self) -> Page:
        seen = self._health.survey()
        with self._one_scrape:
            metrics.READY.set(not self._health.not_ready(seen))
            _set_gauges(seen)
            return 200, CONTENT_TYPE_LATEST, generate_latest(metrics.REGISTRY)


def _judged(what: str, why: list[str]) -> Page:
    return 503 if why else 200, JSON, json.dumps({what: not why, "why_not": why}, ensure_ascii=False).encode() + b"\n"


def _guarantee(seen: Standing | None) -> str | None:
    """What is kept whatever crashes; None where the database can't be asked."""
    if seen is None or seen.waiting is None:
        return None
    if seen.waiting.unsafe:
        return f"exactly once until the database's server crashes: {', '.join(seen.waiting.unsafe)} is off"
    return "exactly once"


def _told_of(seen: Standing) -> dict[str, object]:
    waiting = seen.waiting
    return {
        "kafka_answers": seen.kafka_answers,
        "database_answers": waiting is not None,
        "partitions": msgspec.to_builtins(seen.partitions),
        "relays": list(seen.relays),
        "stopped": seen.stopped,
        "lag": _sum(p.lag for p in seen.partitions),
        "oldest_undecided_seconds": max((p.oldest_undecided_seconds for p in seen.partitions), default=0.0),
        "open_outbox": sum(waiting.outbox.values()) if waiting else None,
        "corrections_waiting": waiting.corrections if waiting else None,
        "facts_waiting": waiting.facts if waiting else None,
        "held_relationships": waiting.held if waiting else None,
        "next_reminder": waiting.next_reminder.isoformat() if waiting and waiting.next_reminder else None,
        "parked_decisions": seen.parked,
        "open_requests": msgspec.to_builtins(seen.open_requests),
    }


def _sum(lags: Iterable[int | None]) -> int | None:
    """None where one of them is not known: as long as Kafka is away or a lane is not open, 0 would be a guess."""
    known = list(lags)
    return None if None in known else sum(lag or 0 for lag in known)


def _set_gauges(seen: Standing | None) -> None:
    """As the survey has them. What is not known is left out: an old figure would look like a true one."""
    for gauge in metrics.BY_PLACE:
        gauge.clear()
    for gauge in metrics.STORED:
        gauge.set(math.nan)
    metrics.KAFKA_UP.set(seen is not None and seen.kafka_answers)
    metrics.DATABASE_UP.set(seen is not None and seen.waiting is not None)
    if seen is None:
        return
    for p in seen.partitions:
        place = p.topic, str(p.partition)
        metrics.STOPPED.labels(*place).set(f"{p.topic}-{p.partition}" in seen.stopped)
        metrics.UNDECIDED_SECONDS.labels(*place).set(p.oldest_undecided_seconds)
        if p.lag is not None:
            metrics.LAG.labels(*place).set(p.lag)
    for lane in seen.relays:
        metrics.STOPPED.labels("outbox", str(lane)).set(f"outbox-{lane}" in seen.stopped)
    now = datetime.now(UTC)
    if seen.waiting is not None:
        for number, messages in seen.waiting.outbox.items():
            metrics.OUTBOX.labels(str(number)).set(messages)
        metrics.CORRECTIONS_WAITING.set(seen.waiting.corrections)
        metrics.FACTS_WAITING.set(seen.waiting.facts)
        metrics.HELD.set(seen.waiting.held)
        due = seen.waiting.next_reminder
        metrics.REMINDERS_WAITING_SECONDS.set(max(0.0, (now - due).total_seconds()) if due else 0.0)
    if seen.parked is not None:
        metrics.PARKED.set(seen.parked)
    for found in seen.open_requests or ():
        state = found.state, "yes" if found.dated else "no"
        metrics.OPEN.labels(*state).set(found.count)
        metrics.OPEN_SECONDS.labels(*state).set((now - found.oldest).total_seconds())
