"""A lane: one input partition in this worker's hands, from the records that were fetched to the position that is done."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from relationship_worker.kafka.fetched_records import Fetched, FetchedRecord, Unreadable
from relationship_worker.kafka.group_positions import committed

MOST_IN_A_LANE = 16 * 1024 * 1024  # bytes of memory that wait in a lane: some batches ahead
COMMIT_SECONDS = 5  # the client by itself waits for a group's coordinator as long as there is none
COMMIT_AGAIN_SECONDS = 1  # after a commit that failed, where no next batch brings another
IDLE_TICK = 0.05  # seconds; how soon a position moves over transaction markers, which nobody delivers
TRIES = 3  # of one record on which the worker itself fails, before it is given up


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Records of one partition in order, and the position behind them (past markers that follow them)."""

    records: Sequence[FetchedRecord]
    next_position: int
    weight: int = 0  # bytes of memory


class LostDelivery(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """Records were fetched but not delivered: the lane is to be opened anew, which fetches them again."""


class UnreadablePartition(Exception):
    """What comes next in the partition can't be read. The message says from where on, and what to do."""


class Lane:
    """Holds what was fetched of one partition until the road takes it.

    Records are delivered by the subscription's loop, in order and without gaps from the position that `start` sought:
    before `start` they are dropped, because the truth about the position is not known yet.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, place: TopicPartition, topic: str, *, most_waiting: int = MOST_IN_A_LANE
    ) -> None:
        """`topic`: its name in the contract; `place` has the one on the broker. `most_waiting`: bytes of memory above which
        nothing more is fetched, until half of them is taken."""
        self.place = place
        self.topic = topic
        self._most_waiting = most_waiting
        self._consumer = consumer
        self._waiting: list[FetchedRecord] = []
        self._weight = 0
        self._unreadable: Unreadable | None = None
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._started = False
        self._lost = False
        self._refused: KafkaError | None = None
        self._paused = True
        self._position = 0
        self._one_by_one_until = 0  # behind the batch on which the worker failed
        self._last = range(0)  # offsets of the batch in hand
        self._failures: dict[int, int] = {}
        self._commit_failed_at: float | None = None
        self._done = 0  # behind the last batch that is committed
        self._in_hand_since: int | None = None  # timestamp of the first record of the batch in hand
        self.stopped: str | None = None  # why the lane stands still until somebody acts
        self.moved_at = time.monotonic()  # whoever works on the lane has come round then
        consumer.pause(place)

    @property
    def closing(self) -> bool:
        """True once the partition is to be handed over."""
        return self._closing.is_set()

    @property
    def position(self) -> int:
        """Behind the last batch that was taken."""
        return self._position

    @property
    def done(self) -> int | None:
        """Behind the last batch that is committed; None as long as the truth about the position is not known."""
        return self._done if self._started else None

    @property
    def oldest(self) -> int | None:
        """The timestamp (ms) of the oldest record that was fetched and is not done."""
        if self._in_hand_since is not None:
            return self._in_hand_since
        return self._waiting[0].sent_at if self._waiting else None

    def come_round(self) -> None:
        """Whatever was taken is committed: so it is when a round of the lane's work has ended."""
        self.moved_at = time.monotonic()
        self._done = self._position
        self._in_hand_since = None

    def close(self) -> None:
        """Ask the road to finish what is in hand and take nothing more."""
        self._closing.set()
        self._arrived.set()

    async def wait_closing(self, seconds: float) -> None:
        """Wait, but not past the closing."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    def stop_taking(self) -> None:
        """Forget what was fetched and what was in hand: the position is to be read anew."""
        self.moved_at = time.monotonic()
        self._in_hand_since = None
        self._started = False
        self._last = range(0)
        self._waiting.clear()
        self._weight = 0
        if not self._paused:
            self._pause()

    def start(self, position: int) -> None:
        """Fetch from this position on. Nothing may be awaited between reading the truth's last word and this."""
        self._waiting.clear()
        self._weight = 0
        self._position = self._done = position
        self._consumer.seek(self.place, position)
        self._notice_being_out_of_range()
        self._consumer.resume(self.place)
        self._paused = False
        self._lost = False
        self._refused = None
        self._unreadable = None
        self._started = True

    def deliver(self, fetched: Sequence[Fetched]) -> None:
        """Take in what a fetch returned; called by the subscription in the same step as the fetch that returned it."""
        if not self._started:
            return
        if isinstance(fetched[-1], Unreadable):
            self._unreadable = fetched[-1]
            fetched = fetched[:-1]
        records = cast(Sequence[FetchedRecord], fetched)
        self._waiting += records
        self._weight += _weight_of(records)
        if (self._weight > self._most_waiting or self._unreadable) and not self._paused:
            self._pause()
        self._arrived.set()

    def _notice_being_out_of_range(self) -> None:
        """Where the partition does not hold the position any more, the client goes to its beginning, in silence. Opened anew,
        the lane finds out what happened."""
        state = self._consumer._subscription.subscription.assignment.state_value(self.place)
        state.await_reset = lambda strategy: self.lost_delivery()

    def lost_delivery(self) -> None:
        """What was fetched last did not arrive: nothing more is taken in before the lane is opened anew."""
        self.stop_taking()
        self._lost = True
        self._arrived.set()

    def refused(self, error: KafkaError) -> None:
        """Kafka does not let this user read the partition: whoever takes from the lane is told."""
        self._refused = error
        self._arrived.set()

    async def take(self, *, most: int, most_bytes: int, or_when: Callable[[], bool] = lambda: False) -> Batch | None:
        """What has piled up, at most so much; None where the lane is closing.

        Without records where only the position moved: transaction markers and aborted records are delivered to nobody.
        So too where `or_when` says that there is something else to do.
        """
        while True:
            self.moved_at = time.monotonic()
            if self.closing:
                return None
            if self._lost:
                raise LostDelivery
            if self._refused:
                raise self._refused
            if self._waiting:
                return self._next_batch(most, most_bytes)
            if self._unreadable is not None:
                raise UnreadablePartition(_what_to_do(self._unreadable))
            position = await self._fetched_to()
            if position > self._position and not self._waiting:
                self._position = position
                self._last = range(0)
                return Batch(records=(), next_position=position)
            if or_when():
                return Batch(records=(), next_position=self._position)
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), IDLE_TICK)

    def _next_batch(self, most: int, most_bytes: int) -> Batch:
        if self._waiting[0].offset < self._one_by_one_until:
            most = 1
        records = self._waiting[:most]
        weight = _weight_of(records)
        if weight > most_bytes:
            records, weight = _as_many_as_fit(records, most_bytes)
        del self._waiting[: len(records)]
        self._weight -= weight
        if self._paused and self._weight < self._most_waiting // 2 and not self._unreadable:
            with contextlib.suppress(IllegalStateError):
                self._consumer.resume(self.place)
            self._paused = False
        self._position = records[-1].offset + 1
        self._last = range(records[0].offset, self._position)
        self._in_hand_since = records[0].sent_at
        return Batch(records=records, next_position=self._position, weight=weight)

    async def _fetched_to(self) -> int:
        if not self._started:
            return 0
        try:
            return int(await self._consumer.position(self.place))
        except IllegalStateError:  # the partition is being taken away
            return 0

    def failed(self) -> None:
        """The worker itself failed on the batch in hand: go on record by record, to find the one it fails on."""
        self._one_by_one_until = max(self._one_by_one_until, self._last.stop)
        if len(self._last) == 1:
            offset = self._last.start
            self._failures[offset] = self._failures.get(offset, 0) + 1

    @property
    def has_failed(self) -> bool:
        """True where the worker itself has failed on some record."""
        return bool(self._failures)

    def is_given_up(self, offset: int) -> bool:
        """True for a record on which the worker failed as often as it tries."""
        return self._failures.get(offset, 0) >= TRIES

    async def committed(self) -> int | None:
        """The group's committed position; None where there is none."""
        found = (await committed(self._consumer, self._consumer._group_id, [self.place])).get(self.place)
        return None if found is None else int(found.offset)

    async def set_position(self, position: int) -> None:
        """Commit the group's first position on the partition. Raises KafkaError."""
        await self._consumer.commit({self.place: position})

    async def bounds(self) -> tuple[int, int]:
        """Where the partition begins and where it ends."""
        first = await self._consumer.beginning_offsets([self.place])
        end = await self._consumer.end_offsets([self.place])
        return int(first[self.place]), int(end[self.place])

    async def commit(self, position: int) -> None:
        """Tell the group, for lag tools, how far the lane is. The truth lies elsewhere, so that nobody waits for a Kafka that
        is away: then it is to be told again, see `owes_commit`."""
        self._commit_failed_at = time.monotonic()
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._consumer.commit({self.place: position})
            self._commit_failed_at = None

    def owes_commit(self) -> bool:
        """True where the group does not know how far the lane is, and may be told again by now."""
        failed_at = self._commit_failed_at
        return failed_at is not None and time.monotonic() > failed_at + COMMIT_AGAIN_SECONDS

    def _pause(self) -> None:
        self._paused = True
        with contextlib.suppress(IllegalStateError):
            self._consumer.pause(self.place)


def _weight_of(records: Sequence[FetchedRecord]) -> int:
    return sum([record.weight for record in records])


def _as_many_as_fit(records: Sequence[FetchedRecord], most_bytes: int) -> tuple[list[FetchedRecord], int]:
    """The first of them, the one that reaches `most_bytes` included, and their weight."""
    weight = 0
    for count, record in enumerate(records, start=1):
        weight += record.weight
        if weight >= most_bytes:
            return list(records[:count]), weight
    return list(records), weight


def _what_to_do(unreadable: Unreadable) -> str:
    place, offset = unreadable.place, unreadable.offset
    return (
        f"{place.topic}-{place.partition}: what lies at {offset} can't be read ({unreadable.why}). The worker looks again and "
        "again; if it was damaged for good, set the position behind the batch (see the README, named stops)"
    )
