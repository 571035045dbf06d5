"""Puts the parts together, and says the order of start and stop."""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from enum import StrEnum
from importlib.metadata import version
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faststream import FastStream
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    RetryError,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_delay,
    wait_fixed,
)

from relationship_worker.health import BROKEN, Health
from relationship_worker.health_pages import HealthPages
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.lanes import Lane
from relationship_worker.kafka.partitions import Partitioner
from relationship_worker.kafka.refusals import Refused, missing, refusal, says
from relationship_worker.kafka.rights import Role
from relationship_worker.kafka.subscribers import Ends, Subscription, Work, open_broker
from relationship_worker.kafka.topics import (
    TopicReport,
    TopicSettings,
    TopicsMissing,
    make_topics,
    partition_counts,
    topics_kept_longer,
)
from relationship_worker.kafka.transactions import Transactions
from relationship_worker.messages.outgoing import CONNECTION_REQUESTS, ORDERS, RELATIONSHIP_DECISIONS
from relationship_worker.pages import Pages, PortTaken
from relationship_worker.reaching_kafka import kafka_by
from relationship_worker.roads import (
    corrections,
    letting_go,
    orders,
    parked_decisions,
    relay,
    reminders,
    retention,
    silence,
)
from relationship_worker.roads.breaker import Breaker
from relationship_worker.roads.deciding import Deciding
from relationship_worker.roads.orders import OrdersRoad
from relationship_worker.roads.relationships import RelationshipsRoad
from relationship_worker.roads.relay import Bell, RelayRoad
from relationship_worker.roads.room import Room
from relationship_worker.roads.running import OPEN_AT_ONCE, describe, keep_running, run_periodically
from relationship_worker.settings import Settings
from relationship_worker.standing import Surveyor
from relationship_worker.storage.access import CannotEnter
from relationship_worker.storage.database import (
    ConnectionLost,
    SchemaMismatch,
    check_schema_in,
    migrate,
    open_database,
    transaction,
    where,
)
from relationship_worker.storage.known_facts import KnownFacts
from relationship_worker.storage.roles import check_worker, grant
from relationship_worker.traces import TRACES, NotInstalled

log = structlog.get_logger()

STOP_SECONDS = 9.0  # from the signal to the exit, whatever hangs; ten are promised
CONSUMER_STOP_SECONDS = 2.0  # to leave the group; without it the group waits for the session's end
GC_THRESHOLD = 200_000  # objects; some batches' worth
MALLOC_KEEPS_BYTES = 32 * 1024 * 1024  # of freed memory, the most that glibc takes for its threshold
REFUSALS_EVERY = 10.0  # seconds between two questions to Kafka whether it lets the worker do what it has to; 10 ms each
WATCH_EVERY = 2.0  # seconds between two looks at what may die in silence


class Only(StrEnum):
    """A road that runs alone, for separate scaling."""

    ORDERS = "orders"
    RELATIONSHIPS = "relationships"
    REMINDERS = "reminders"


class CannotStart(Exception):
    """A dependency is missing; the message is one line that says which, and what to do."""


def database(settings: Settings) -> AsyncEngine:
    """Where PostgreSQL is, by the settings."""
    return open_database(
        settings.database_url.get_secret_value(),
        connections=settings.database_connections,
        access=settings.database_access,
    )


async def init(settings: Settings) -> tuple[TopicReport, list[str]]:
    """The schema, who may do what in it, and the topics; repeatable. Also returns the roles that have rights by it.

    Raises CannotStart, InvalidSetting.
    """
    kafka = kafka_by(settings)
    engine = database(settings)
    granted: list[str] = []
    try:
        await _wait_for(where(engine), lambda: migrate(engine), settings.start_seconds)
        if settings.database_worker_role:
            granted = await _wait_for(
                where(engine), lambda: _give_rights(engine, settings.database_worker_role), settings.start_seconds
            )
    finally:
        await engine.dispose()
    wanted = TopicSettings(
        partitions=settings.partitions,
        ids_kept_days=_ids_kept_days(settings),
        replication=settings.replication,
        min_insync_replicas=settings.min_insync_replicas,
    )
    report: TopicReport = await _wait_for(
        kafka.where, _unless_refused(kafka, Role.INIT, lambda: make_topics(kafka, wanted)), settings.start_seconds
    )
    return report, granted


async def _give_rights(engine: AsyncEngine, role: str) -> list[str]:
    async with transaction(engine) as tx:
        return await grant(tx, role)


async def _check_database(engine: AsyncEngine) -> None:
    async with engine.connect() as tx:
        await check_schema_in(tx)
        await check_worker(tx)


def _ids_kept_days(settings: Settings) -> dict[str, int]:
    """For how many days events are known again, by input topic."""
    days = dict.fromkeys((CONNECTION_REQUESTS, RELATIONSHIP_DECISIONS), settings.inbox_days)
    return {**days, ORDERS: settings.answers_days}


async def run(settings: Settings, only: Only | None) -> None:
    """Run until SIGTERM or SIGINT: finish what is in hand, commit, leave the group. Raises CannotStart,
    InvalidSetting."""
    kafka = kafka_by(settings)
    _calm_the_garbage_collector()
    _keep_freed_memory()
    _cancel_on_signal()
    engine = database(settings)
    _send_traces(settings)
    health = Health(ready_seconds=settings.ready_seconds)
    _open_pages(settings, health, only)
    try:
        await _wait_for(where(engine), lambda: _check_database(engine), settings.start_seconds)
        await _wait_for(
            kafka.where, _unless_refused(kafka, Role.RUN, lambda: _check_rights(kafka)), settings.start_seconds
        )
        counts = await _wait_for(kafka.where, lambda: partition_counts(kafka), settings.start_seconds)
        for sentence in await _wait_for(
            kafka.where, lambda: topics_kept_longer(kafka, _ids_kept_days(settings)), settings.start_seconds
        ):
            log.warning("an input topic outlives its ids", says=sentence)
        await _start_again_while_kafka_goes(
            settings, kafka, lambda: Worker(settings, kafka, engine, counts, only, health).run()
        )
    finally:
        health.close()
        TRACES.flush()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(engine.dispose(), 1)


def _send_traces(settings: Settings) -> None:
    if settings.traces_endpoint:
        try:
            TRACES.send_to(settings.traces_endpoint, service=settings.group, version=version("relationship-worker"))
        except NotInstalled as why:
            raise CannotStart(
                f"RELATIONSHIP_WORKER_TRACES_ENDPOINT is set, which needs the extra `traces`: {why}"
            ) from None


def _open_pages(settings: Settings, health: Health, only: Only | None) -> None:
    """Health and metrics, as long as the process lives. A port that somebody has set and that is taken stops the start; the
    default one does not: several workers on one machine are all right, and the log says which of them shows nothing.
    Raises CannotStart."""
    if settings.http_port is None:
        return
    shown = HealthPages(health, group=settings.group, roads=only or "all")
    try:
        pages = Pages(settings.http_host, settings.http_port, shown.show)
    except PortTaken as why:
        if "http_port" in settings.model_fields_set:
            raise CannotStart(f"{why}: health and metrics are shown there (RELATIONSHIP_WORKER_HTTP_PORT)") from None
        log.warning("health and metrics are not shown", why=str(why))
    else:
        log.info("health and metrics are shown", host=settings.http_host, port=pages.port)


class Worker:
    """One process: its lanes, its clocks, and their end."""

    def __init__(
        self,
        settings: Settings,
        kafka: Connection,
        engine: AsyncEngine,
        counts: dict[str, int],
        only: Only | None,
        health: Health,
    ) -> None:
        self._settings = settings
        self._kafka = kafka
        self._database = engine
        self._counts = counts
        self._partitioner = Partitioner(counts)
        self._outbox_lanes = counts[kafka.outbox_topic]
        self._deciding = Deciding(kafka=kafka, partitioner=self._partitioner, outbox_lanes=self._outbox_lanes)
        self._bell = Bell(engine)
        self._known = KnownFacts()
        self._room = Room()
        self._turns = asyncio.Semaphore(OPEN_AT_ONCE)
        self._stopping = asyncio.Event()
        self._only = only
        self._broker = open_broker(kafka)
        self._subscription = Subscription(self._broker, kafka, self._work())
        decisions = [
            TopicPartition(kafka.topic(name), partition)
            for name in (CONNECTION_REQUESTS, RELATIONSHIP_DECISIONS)
            for partition in range(counts[name])
        ]
        self._ends = Ends(kafka, decisions)
        self._clocks: list[asyncio.Task[None]] = []
        self._health = health

    async def run(self) -> None:
        """Start, run until told to stop, stop. Raises KafkaError where Kafka goes while it starts; then make a new one."""
        app = FastStream(
            self._broker,
            logger=None,
            after_startup=[self._start_clocks],
            on_shutdown=[self._finish_what_is_in_hand],
        )
        self._exit = app.exit
        try:
            await self._ends.open()
            await app.run(sleep_time=0.05)
        except KafkaError:
            self._stopping.set()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._broker.stop(), CONSUMER_STOP_SECONDS)
            raise
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._ends.close(), 1)
        if self._health.broken:
            raise CannotStart(
                f"{self._health.broken} is broken, and nothing but a new start mends it: start the worker again"
            )
        log.info("stopped")

    def _runs(self, road: Only) -> bool:
        return self._only in (None, road)

    @property
    def _relays(self) -> bool:
        """Whoever fills the outbox helps to empty it."""
        return self._runs(Only.RELATIONSHIPS) or self._runs(Only.REMINDERS)

    def _work(self) -> dict[str, Work]:
        work: dict[str, Work] = {}
        if self._runs(Only.ORDERS):
            work[self._kafka.topic(ORDERS)] = self._answer_orders
        if self._runs(Only.RELATIONSHIPS):
            work[self._kafka.topic(CONNECTION_REQUESTS)] = self._decide
            work[self._kafka.topic(RELATIONSHIP_DECISIONS)] = self._decide
        if self._relays:
            work[self._kafka.outbox_topic] = self._relay
        return work

    async def _answer_orders(self, lane: Lane) -> None:
        road = OrdersRoad(
            lane=lane,
            transactions=self._transactions(lane, orders.WRITES_TO),
            kafka=self._kafka,
            database=self._database,
            ends=self._ends,
            partitioner=self._partitioner,
            bell=self._bell,
            known=self._known,
            room=self._room,
            freshness_seconds=self._settings.freshness_seconds,
            breaker=self._breaker(lane),
        )
        await keep_running(lane, road, self._turns, self._refusal)

    async def _decide(self, lane: Lane) -> None:
        road = RelationshipsRoad(
            lane=lane,
            kafka=self._kafka,
            database=self._database,
            deciding=self._deciding,
            bell=self._bell,
            breaker=self._breaker(lane),
        )
        await keep_running(lane, road, self._turns, self._refusal)

    async def _relay(self, lane: Lane) -> None:
        transactions = self._transactions(lane, relay.WRITES_TO)
        road = RelayRoad(lane=lane, transactions=transactions, database=self._database, bell=self._bell)
        await keep_running(lane, road, self._turns, self._refusal)

    async def _refusal(self, error: BaseException) -> str | None:
        return await refusal(self._kafka, Role.RUN, error)

    async def _look_for_refusals(self) -> int:
        """Certificates run out and rights are taken away while a worker runs: it says so, and goes on once they are back."""
        said = await refusal(self._kafka, Role.RUN)
        if said is not None:
            log.error("refused", reason=said)
        elif self._health.refused is not None:
            log.info("no longer refused")
            self._subscription.look_at_topics_again()
        self._health.refused = said
        return 0

    def _breaker(self, lane: Lane) -> Breaker:
        return Breaker(
            database=self._database,
            topic=self._kafka.plain(lane.place.topic),
            partition=lane.place.partition,
            percent=self._settings.breaker_percent,
            of=self._settings.breaker_records,
        )

    def _transactions(self, lane: Lane, writes_to: Collection[str]) -> Transactions:
        """Each partition has a transactional id of its own: who opens it fences whoever had the partition before."""
        return Transactions(self._kafka, lane.place, writes_to=writes_to)

    async def _start_clocks(self) -> None:
        surveyor = Surveyor(self._subscription, self._ends, self._database, self._kafka.outbox_topic)
        self._health.attach(self._subscription, surveyor)
        if self._runs(Only.REMINDERS):
            clock = reminders.Clock(
                database=self._database,
                partitioner=self._partitioner,
                outbox_lanes=self._outbox_lanes,
                bell=self._bell,
            )
            self._every(reminders.TICK, "reminders", clock.run_once)
            self._clocks.append(asyncio.create_task(self._follow_zone_rules()))
        if self._runs(Only.RELATIONSHIPS):
            grace = parked_decisions.GraceTime(
                database=self._database,
                partitioner=self._partitioner,
                outbox_lanes=self._outbox_lanes,
                bell=self._bell,
                grace=timedelta(hours=self._settings.parked_hours),
            )
            self._every(parked_decisions.TICK, "parked decisions", grace.run_once)
            letting = letting_go.LettingGo(
                database=self._database, kafka=self._kafka, deciding=self._deciding, bell=self._bell
            )
            self._every(letting_go.TICK, "held back", letting.run_once)
            corrector = corrections.Corrector(database=self._database, bell=self._bell)
            self._every(corrections.TICK, "corrections", corrector.run_once)
        kept = retention.Retention(
            database=self._database,
            answers=timedelta(days=self._settings.answers_days),
            inbox=timedelta(days=self._settings.inbox_days),
        )
        self._every(retention.TICK, "retention", kept.run_once)
        self._every(silence.TICK, "silence", silence.Silence(database=self._database).run_once)
        self._every(relay.LOOK_EVERY, "outbox", self._bell.look)
        self._every(WATCH_EVERY, "watch", self._watch)
        self._every(REFUSALS_EVERY, "refusals", self._look_for_refusals)
        log.info("started", roads=self._only or "all", group=self._kafka.group)

    def _every(self, seconds: float, name: str, run_once: Callable[[], Awaitable[int]]) -> None:
        async def round_() -> int:
            try:
                return await run_once()
            finally:  # also where it fails: whoever waits for PostgreSQL is not stuck
                self._health.came_round(name, seconds)

        self._health.came_round(name, seconds)
        loop = run_periodically(round_, every=seconds, name=name, until=self._stopping)
        self._clocks.append(asyncio.create_task(loop, name=name))

    async def _follow_zone_rules(self) -> None:
        await reminders.follow_zone_rules(self._database)

    async def _watch(self) -> int:
        if self._health.look_for_trouble():
            log.error("broken", what=self._health.broken)
            self._exit()
        return 0

    async def _finish_what_is_in_hand(self) -> None:
        """The order of stop: clocks, then lanes (which finish and commit their batch), then the consumer leaves."""
        loop = asyncio.get_running_loop()
        loop.call_later(STOP_SECONDS, _end_at_once, BROKEN if self._health.broken else 0)
        self._health.stopping()
        for sent in (signal.SIGTERM, signal.SIGINT):  # a second one would end the process before the first is obeyed
            loop.remove_signal_handler(sent)
            signal.signal(sent, signal.SIG_IGN)
        self._stopping.set()
        if self._clocks:  # none, where it is told to stop while it starts
            await asyncio.wait(self._clocks, timeout=1)
        await self._subscription.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._broker.stop(), CONSUMER_STOP_SECONDS)


def _keep_freed_memory() -> None:
    """Batches take and give back some megabytes many times a second: the C library would hand each page to the system and
    take it again, which cost a twelfth of the CPU. Where it is not glibc, all stays as it is."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, MALLOC_KEEPS_BYTES)
        library.mallopt(_M_MMAP_THRESHOLD, MALLOC_KEEPS_BYTES)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def _calm_the_garbage_collector() -> None:
    """Batches make hundreds of thousands of short-lived objects, none of them in cycles: with Python's thresholds a third
    of the CPU went into looking through them again and again."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 50, 100)


def _end_at_once(code: int) -> None:
    """Something hangs. Nothing is lost: what is not committed is done again by whoever takes over."""
    log.error("stopped before all was finished", after_seconds=STOP_SECONDS)
    os._exit(code)


def _cancel_on_signal() -> None:
    """While the start waits for something, a signal ends it at once. Later FastStream takes the signals over."""
    task = asyncio.current_task()
    assert task is not None
    for sent in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sent, task.cancel)


async def _start_again_while_kafka_goes(
    settings: Settings, kafka: Connection, run_worker: Callable[[], Awaitable[None]]
) -> None:
    """Kafka answered a moment ago, but may go while the consumer joins its group: try again, as long as a start may take."""
    try:
        async for trial in AsyncRetrying(
            retry=retry_if_exception_type(KafkaError),
            stop=stop_after_delay(settings.start_seconds),
            wait=wait_fixed(0.5),
        ):
            with trial:
                await run_worker()
    except RetryError as why:
        error = why.last_attempt.exception()
        said = await refusal(kafka, Role.RUN, error)
        if said is not None:
            raise CannotStart(said) from None
        kind = describe(error) if error else "no answer"
        raise CannotStart(f"{kafka.where} went away during the start ({kind})") from None


async def _wait_for(what: str, attempt: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    """Try until it works, at most so long; what is waited for is logged. Raises CannotStart."""

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.info(
            "waiting", what=what, error=describe(error) if error else "", seconds=round(state.seconds_since_start or 0)
        )

    away: Collection[type[BaseException]] = (KafkaError, *ConnectionLost)
    try:
        async for trial in AsyncRetrying(
            retry=retry_if_exception_type(tuple(away))
            & retry_if_not_exception_type(CannotEnter),  # waiting mends no trust
            stop=stop_after_delay(seconds),
            wait=wait_fixed(0.5),
            before_sleep=say,
        ):
            with trial:
                return await asyncio.wait_for(_refusals_apart(attempt), max(seconds, 5))
    except RetryError as why:
        error = why.last_attempt.exception()
        kind = describe(error) if error else "no answer"
        advice = "is it running, and is the address right?"
        if "TooManyConnections" in kind:
            advice = "it has no connection left (max_connections, RELATIONSHIP_WORKER_DATABASE_CONNECTIONS)"
        raise CannotStart(f"{what} can't be reached within {seconds:g} s ({kind}): {advice}") from None
    except (SchemaMismatch, TopicsMissing, CannotEnter, Refused) as why:
        raise CannotStart(str(why)) from None
    except StatementRefused as why:
        raise CannotStart(
            f"{what} refuses what it is asked (SQLSTATE {why}): has the user the rights, and is the schema this worker's?"
        ) from None


def _unless_refused(
    kafka: Connection, role: Role, attempt: Callable[[], Awaitable[Any]]
) -> Callable[[], Awaitable[Any]]:
    """The attempt, which raises Refused where Kafka is there and says no."""

    async def attempted() -> Any:
        try:
            return await attempt()
        except KafkaError as why:
            said = await refusal(kafka, role, why)
            if said is not None:
                raise Refused(said) from None
            raise

    return attempted


async def _check_rights(kafka: Connection) -> None:
    """Before anything is begun: what is missing would else show at the first reminder, in a week. Raises Refused."""
    lacking = await missing(kafka, Role.RUN)
    if lacking:
        raise Refused(says(lacking))


class StatementRefused(Exception):
    """PostgreSQL is there, and says no to a statement: waiting does not help. The SQLSTATE."""


async def _refusals_apart(attempt: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await attempt()
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if state.startswith("42"):  # a right, a table or a column that is missing
            raise StatementRefused(state) from error
        raise
