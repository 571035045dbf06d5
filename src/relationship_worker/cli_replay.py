"""A replay from the command line: a few first, the rest once these went through, and what came of each."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.connection import Connection
from relationship_worker.roads import acting, went_through
from relationship_worker.roads.acting import Person
from relationship_worker.roads.replaying import BATCH_MESSAGES, Replaying
from relationship_worker.roads.trying import Would, would_make
from relationship_worker.storage.dead_letter_cases import Case
from relationship_worker.views import dead_letters
from relationship_worker.views.dead_letter_outcomes import Outcome
from relationship_worker.views.dead_letters import Asked

Progress = Callable[[int, int], None]
NO_ANSWER = "the worker has not done it in time: does it run? It stays asked for, and is done when it does"


async def tried(
    kafka: Connection, database: AsyncEngine, which: Asked, progress: Progress
) -> AsyncIterator[tuple[Case, Would]]:
    """What each of the letters would make by itself."""
    async for some in dead_letters.find(kafka, database, which, progress=progress):
        for case in some:
            if case.is_open:
                yield case, await would_make(kafka, database, case)


@dataclass(kw_only=True)
class Replay:
    """Replays what is asked for."""

    kafka: Connection
    database: AsyncEngine
    person: Person
    progress: Progress
    outcome: Outcome = field(default_factory=Outcome)

    async def run(self, which: Asked | None, *, canary: int, unsent: str | None) -> Outcome:
        """Finish what was begun, then replay these. Raises CannotAct, Doubt, KafkaError, TopicsMissing, CannotRead."""
        replaying = Replaying(kafka=self.kafka, database=self.database, person=self.person)
        try:
            await replaying.open(unsent=unsent)
            self.outcome.finished = replaying.sent
            if which is not None:
                await self._replay(replaying, which, canary)
        finally:
            await replaying.close()
        return self.outcome

    async def _replay(self, replaying: Replaying, which: Asked, canaries: int) -> None:
        async with aclosing(dead_letters.find(self.kafka, self.database, which, progress=self.progress)) as found:
            async for some in found:
                todo = [case for case in some if case.is_open]
                if not self.outcome.all_through and canaries:
                    self.outcome.left += len(todo)
                    continue
                first, rest = todo[:canaries], todo[canaries:]
                if first:
                    canaries_left = canaries - len(first)
                    await self._batch(replaying, first, wait=True)
                    if not self.outcome.all_through:
                        self.outcome.left += len(rest)
                        continue
                    canaries = canaries_left
                for start in range(0, len(rest), BATCH_MESSAGES):
                    await self._batch(replaying, rest[start : start + BATCH_MESSAGES], wait=False)

    async def _batch(self, replaying: Replaying, found: Sequence[Case], *, wait: bool) -> None:
        by_topic = [case for case in found if case.hold is None]
        before = await went_through.mark(self.kafka, by_topic) if wait else None
        sent, refused = await replaying.send(by_topic)
        self.outcome.sent += [case.place for case in sent]
        self.outcome.failed |= {one.case.place: one.why for one in refused}
        await self._by_the_worker([case for case in found if case.hold is not None])
        self.outcome.unwatched += len(sent) if before is None else 0
        if before is not None and sent:
            again = await went_through.not_through(self.kafka, self.database, sent, before)
            self.outcome.failed |= {case.place: NO_ANSWER for case in sent} if again is None else again

    async def _by_the_worker(self, held: Sequence[Case]) -> None:
        if not held:
            return
        await acting.ask_for_replay(self.database, held, self.person)
        said: str | None = ""
        for case in held:
            # One that is not answered in time says enough of the worker.
            said = None if said is None else await went_through.said_of_held(self.database, case)
            if said == "":
                self.outcome.by_the_worker.append(case.place)
            else:
                self.outcome.failed[case.place] = NO_ANSWER if said is None else said
