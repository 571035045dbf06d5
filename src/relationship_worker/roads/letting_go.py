"""Letting go: once a person has acted on a dead letter that holds back a relationship, it and what waited behind it go on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog
from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.dead_letters import CONFLICT, FAILED, SetAside, dead_letters
from relationship_worker.kafka.lanes import TRIES
from relationship_worker.kafka.plain_records import FetchedRecord, head_of
from relationship_worker.messages.envelope import InvalidMessage
from relationship_worker.roads.deciding import Deciding, read_arrived
from relationship_worker.roads.desk import Arrived
from relationship_worker.roads.relay import Bell
from relationship_worker.roads.running import describe, is_own_fault
from relationship_worker.storage import dead_letter_acts, held_back, inbox, personal_data
from relationship_worker.storage.database import Tx, alone, transaction
from relationship_worker.storage.dead_letter_acts import Act, Done
from relationship_worker.storage.held_back import HeldInput, Hold, Step
from relationship_worker.storage.relationships import Pair

log = structlog.get_logger()

BATCH = 500  # held inputs in one transaction, which nobody decides beside: some 50 ms
BATCH_BYTES = 4 * 1024 * 1024  # of values
TICK = 0.5  # seconds between two looks; a person waits for it


@dataclass(kw_only=True)
class LettingGo:
    """Replays what was asked for, ahead of what waits behind it, which follows in order of arrival.

    Each step is one transaction that removes what it has decided: done once, whoever is killed when.
    """

    database: AsyncEngine
    kafka: Connection
    deciding: Deciding
    bell: Bell
    failures: Counter[Pair] = field(default_factory=Counter)
    in_hand: Sequence[HeldInput] = ()

    async def run_once(self) -> int:
        """One step of the oldest hold about which somebody has acted. 0 where there is none."""
        going_on: Hold | None = None
        try:
            async with transaction(self.database) as tx:
                if not await alone(tx, "held back"):
                    return 0
                going_on = await held_back.next_to_go_on(tx)
                if going_on is None:
                    return 0
                await personal_data.lock(tx, to_erase=True)
                if going_on.step is Step.REPLAY:
                    await self._replay(tx, going_on)
                else:
                    await self._follow(tx, going_on)
        except Exception as error:
            if going_on is None or not is_own_fault(error):
                raise
            await self._failed(going_on, error)
            return 1
        self.failures.pop(going_on.pair, None)
        self.bell.ring()
        return 1

    async def _replay(self, tx: Tx, going_on: Hold) -> None:
        """The record on which the worker failed, as it came or as it was edited."""
        now = datetime.now(UTC)
        failed = await held_back.failed_input(tx, going_on)
        self.in_hand = [failed] if failed is not None else []
        assert failed is not None, "it is there until it is replayed or discarded"
        said = await self._decide_again(tx, await _as_edited(tx, failed), now=now)
        if said is not None:
            await held_back.wait_again(tx, going_on.pair, said)
            log.warning("replay_refused", says=said, **_names(going_on))
            return
        done = Done(
            place=failed.place,
            letter_at=now,
            act=Act.REPLAYED,
            at=now,
            by=going_on.asked_by or "",
            why=going_on.asked_why,
        )
        await dead_letter_acts.note(tx, [done])
        await held_back.forget(tx, [failed])
        await held_back.follow(tx, going_on.pair)
        log.info("replayed", behind=going_on.behind, **_names(going_on))

    async def _decide_again(self, tx: Tx, failed: HeldInput, *, now: datetime) -> str | None:
        """Decide it as the ordinary input that it is now; or why it is none."""
        try:
            arrived = read_arrived(self.kafka, self._record(failed))
        except InvalidMessage as why:
            return str(why)
        before = await inbox.use_up(tx, {arrived.key: arrived.hash}, now=now)
        if arrived.key in before and before[arrived.key] != arrived.hash:
            return str(CONFLICT)
        # Sent again meanwhile, it waits behind itself: its turn is now. Otherwise it has had its effect already.
        if arrived.key not in before or await held_back.forget_event(tx, failed.pair, arrived.key):
            like = failed.place.partition
            await self.deciding.decide(tx, [arrived], like=like, now=now, let_go=[failed.pair])
        return None

    async def _follow(self, tx: Tx, going_on: Hold) -> None:
        now = datetime.now(UTC)
        limit = 1 if self.failures[going_on.pair] else BATCH  # to find the one on which the worker fails
        waiting = await held_back.next_inputs(tx, going_on.pair, limit=limit, most_bytes=BATCH_BYTES)
        self.in_hand = waiting
        if not waiting:
            await held_back.let_go(tx, going_on.pair)
            log.info("let_go", **_names(going_on))
            return
        arrived: list[Arrived] = []
        set_aside: SetAside = []
        for one in waiting:
            record = self._record(one)
            try:
                arrived.append(read_arrived(self.kafka, record))
            except InvalidMessage as why:  # a newer worker is stricter
                set_aside.append((record, why))
                await inbox.give_back(tx, {one.event_key} if one.event_key else set())
        like = going_on.place.partition
        letters = dead_letters(self.kafka, set_aside)
        await self.deciding.decide(tx, arrived, like=like, now=now, let_go=[going_on.pair], beside=letters)
        await held_back.forget(tx, waiting)

    async def _failed(self, going_on: Hold, error: Exception) -> None:
        """Again, as often as in a lane; then it waits for a person, and what is behind it too."""
        log.error("failed", error=describe(error), **_names(going_on))
        self.failures[going_on.pair] += 1
        one_by_one = going_on.step is Step.FOLLOW  # the first failure was that of a batch
        if self.failures[going_on.pair] < TRIES + one_by_one:
            return
        del self.failures[going_on.pair]
        async with transaction(self.database) as tx:
            await personal_data.lock(tx, to_erase=True)
            [given_up] = self.in_hand
            next_ones = await held_back.next_inputs(tx, going_on.pair, limit=1, most_bytes=BATCH_BYTES)
            if [one.arrival for one in next_ones] != [given_up.arrival]:
                return  # another worker was luckier
            if going_on.step is Step.REPLAY:
                await held_back.wait_again(tx, going_on.pair, f"the worker fails on it again ({describe(error)})")
                return
            await held_back.hold_by_next(tx, given_up, now=datetime.now(UTC))
            await inbox.give_back(tx, {given_up.event_key} if given_up.event_key else set())
            letters = dead_letters(self.kafka, [(self._record(given_up), FAILED)])
            await self.deciding.post(tx, letters, like=given_up.place.partition)
        self.bell.ring()
        log.error("held_back", **_names(replace(going_on, place=given_up.place)))

    def _record(self, held: HeldInput) -> FetchedRecord:
        place = TopicPartition(self.kafka.topic(held.place.topic), held.place.partition)
        return FetchedRecord(place, held.place.offset, held.key, held.value, head_of(held.headers))


async def _as_edited(tx: Tx, failed: HeldInput) -> HeldInput:
    """As a person has corrected it, where somebody has."""
    acts = (await dead_letter_acts.acts_on(tx, [failed.place])).get(failed.place, [])
    if not acts or acts[-1].act is not Act.EDITED:
        return failed
    return replace(failed, value=acts[-1].value, headers=acts[-1].headers or [])


def _names(one: Hold) -> dict[str, object]:
    return {
        "supplier_id": one.pair[0],
        "customer_id": one.pair[1] or None,
        "topic": one.place.topic,
        "partition": one.place.partition,
        "offset": one.place.offset,
    }
