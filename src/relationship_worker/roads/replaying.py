"""Replaying: dead letters go back to where they came from, as ordinary input, exactly once.

They go through a lane of the outbox that this command alone tells, under a transactional id of its own: whoever opens it
fences a command that is at it already. That a letter is replayed is remembered together with its message; how far the lane
was told is committed in the Kafka transaction that tells it. Called again, the command first finishes what was begun.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.group_positions import committed_now
from relationship_worker.kafka.topics import largest_record
from relationship_worker.kafka.transactions import Transactions
from relationship_worker.messages.dead_letters import size_of
from relationship_worker.messages.outgoing import DEAD_LETTERS, INPUT_TOPICS, Message
from relationship_worker.roads.acting import CannotAct, Person, replayed, to_be_done
from relationship_worker.storage import dead_letter_acts, outbox
from relationship_worker.storage.database import transaction
from relationship_worker.storage.dead_letter_cases import Case

BATCH_MESSAGES = 200  # in one Kafka transaction: each is a batch of its own


class Uncertain(CannotAct):
    """Whether replays that were begun long ago were sent is not known any more."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A letter that can't be replayed as it is."""

    case: Case
    why: str


@dataclass(kw_only=True)
class Replaying:
    """Sends letters back. Open it first; one at a time is at work, the newest."""

    kafka: Connection
    database: AsyncEngine
    person: Person
    told: int = 0
    sent: int = 0

    def __post_init__(self) -> None:
        self._group = replace(self.kafka, group=f"{self.kafka.group}.{DEAD_LETTERS}")
        self._progress = TopicPartition(self.kafka.topic(DEAD_LETTERS), 0)
        self._transactions = Transactions(self._group, self._progress, writes_to=INPUT_TOPICS)
        self._largest: dict[str, int] = {}

    async def open(self, *, unsent: str | None = None) -> None:
        """Fence whoever was at it, and send what was begun and is not sent. Raises Uncertain, Doubt, KafkaError.

        `unsent`: what is to become of replays of which nobody knows whether they were sent, `send` or `forget`.
        """
        await self._transactions.open()
        self._largest = {topic: await largest_record(self.kafka, topic) for topic in INPUT_TOPICS}
        committed = await self._committed()
        async with transaction(self.database) as tx:
            last = (await outbox.last_numbers(tx)).messages.get(outbox.REPLAYS, 0)
            begun = len(await outbox.next_messages(tx, outbox.REPLAYS, after=0, limit=BATCH_MESSAGES))
        if committed is None and begun and unsent != "send":
            if unsent != "forget":
                raise Uncertain(
                    "replays were begun so long ago that Kafka does not know any more whether they were sent: look for "
                    "them in their topics, and then call `dead-letters replay --unsent send` or `--unsent forget`"
                )
            async with transaction(self.database) as tx:
                await outbox.forget(tx, outbox.REPLAYS, up_to=last)
        self.told = committed if committed is not None else 0 if unsent == "send" else last
        if not await self._tell():
            await self._commit([], self.told)  # so that Kafka knows for as long as it keeps offsets, from now on

    async def close(self) -> None:
        await self._transactions.close()

    async def send(self, found: Sequence[Case]) -> tuple[list[Case], list[Refused]]:
        """Replay letters in this order; which were, and which can't be. Those that others have dealt with are passed over."""
        refused = [Refused(case=case, why=why) for case in found if (why := self._why_not(case)) is not None]
        unfit = {one.case.place for one in refused}
        async with transaction(self.database) as tx:
            still = [case for case in await to_be_done(tx, found) if case.place not in unfit and case.hold is None]
            if still:
                await dead_letter_acts.note(tx, [replayed(case, self.person) for case in still])
                await outbox.post_in(tx, outbox.REPLAYS, [_message(case) for case in still])
        while await self._tell():
            pass
        return still, refused

    def _why_not(self, case: Case) -> str | None:
        if case.lacks_value:
            return "its value was left out or erased: `dead-letters edit` gives it one"
        size = size_of(case.letter.key, case.value, case.headers)
        largest = self._largest[case.place.topic]
        if size > largest:
            return f"it takes {size} bytes, and {case.place.topic} takes {largest} (max.message.bytes)"
        return None

    async def _tell(self) -> int:
        """Tell the next of the lane with the progress, in one Kafka transaction; how many."""
        async with transaction(self.database) as tx:
            waiting = await outbox.next_messages(tx, outbox.REPLAYS, after=self.told, limit=BATCH_MESSAGES)
        certain = self.told
        if waiting:
            await self._commit([message for _, message in waiting], waiting[-1][0])
            self.sent += len(waiting)
        async with transaction(self.database) as tx:
            await outbox.forget(tx, outbox.REPLAYS, up_to=certain)
        return len(waiting)

    async def _commit(self, messages: Sequence[Message], last: int) -> None:
        await self._transactions.begin({self._progress: last})
        await self._transactions.tell([(message, message.partition or 0) for message in messages])
        self.told = last

    async def _committed(self) -> int | None:
        found = await committed_now(self.kafka, self._group.group, self._progress)
        return None if found is None else int(found.offset)


async def unsent(database: AsyncEngine) -> int:
    """Replays that were begun and are not known to be sent, at most a batch."""
    async with transaction(database) as tx:
        return len(await outbox.next_messages(tx, outbox.REPLAYS, after=0, limit=BATCH_MESSAGES))


def _message(case: Case) -> Message:
    """The record that it was: same topic, partition and key, without the headers that say why it was set aside."""
    return Message(case.place.topic, case.letter.key, case.value, case.headers, case.place.partition)
