"""Acting: what a person does about dead letters, each act remembered with who and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.messages.dead_letters import Place, set_headers
from relationship_worker.messages.envelope import MAX_VALUE_BYTES
from relationship_worker.storage import dead_letter_acts, held_back
from relationship_worker.storage.database import Tx, transaction
from relationship_worker.storage.dead_letter_acts import Act, Done
from relationship_worker.storage.dead_letter_cases import Case, cases


class CannotAct(Exception):
    """It can't be done; the message is one line that says why."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who acts, and why."""

    by: str
    why: str | None


async def edit(
    database: AsyncEngine, case: Case, person: Person, *, value: bytes | None, headers: dict[str, str | None] | None
) -> Case:
    """Correct the record that a replay sends; the letter itself stays. Raises CannotAct."""
    if value is not None and len(value) > MAX_VALUE_BYTES:
        raise CannotAct(f"the value has {len(value)} bytes, at most {MAX_VALUE_BYTES} are read")
    async with transaction(database) as tx:
        now = await _still_open(tx, case)
        done = replace(
            _done(now, Act.EDITED, person),
            value=now.value if value is None else value,
            headers=set_headers(now.headers, headers or {}),
        )
        if done.value is None:
            raise CannotAct(f"{case.place} has no value: --value FILE gives it one")
        await dead_letter_acts.note(tx, [done])
    return replace(now, acts=[*now.acts, done])


async def discard(database: AsyncEngine, found: Sequence[Case], person: Person) -> list[Place]:
    """Give letters up, all of them or none; what they hold back goes on. Those that it was done to. Raises CannotAct."""
    async with transaction(database) as tx:
        open_ones = [await _still_open(tx, case) for case in found]
        await dead_letter_acts.note(tx, [_done(case, Act.DISCARDED, person) for case in open_ones])
        for case in open_ones:
            if case.hold is not None:
                failed = await held_back.failed_input(tx, case.hold)
                await held_back.forget(tx, [failed] if failed is not None else [])
                await held_back.follow(tx, case.hold.pair)
    return [case.place for case in open_ones]


async def ask_for_replay(database: AsyncEngine, found: Sequence[Case], person: Person) -> None:
    """The worker is to replay letters that hold back relationships. Asked again while it is at it, it changes nothing."""
    async with transaction(database) as tx:
        await dead_letter_acts.lock(tx)
        for case in found:
            assert case.hold is not None
            await held_back.ask_for_replay(tx, case.hold.pair, case.place, by=person.by, why=person.why)


async def to_be_done(tx: Tx, found: Sequence[Case]) -> list[Case]:
    """Those of them that are still open, as they are now; nobody else acts on any before this transaction ends."""
    await dead_letter_acts.lock(tx)
    letters = {case.place: case.letter for case in found}  # a record that was read twice is two letters of one place
    return [case for case in await cases(tx, list(letters.values())) if case.is_open]


async def _still_open(tx: Tx, case: Case) -> Case:
    still = await to_be_done(tx, [case])
    if not still:
        [now] = await cases(tx, [case.letter])
        by = f" by {now.acts[-1].by}" if now.acts else ""
        raise CannotAct(f"{case.place} is {now.state}{by}: nothing is to be done about it any more")
    return still[0]


def _done(case: Case, act: Act, person: Person) -> Done:
    now = datetime.now(UTC)
    letter_at = max(case.letter.at, now)  # also for letters of the same record that are set aside again meanwhile
    return Done(place=case.place, letter_at=letter_at, act=act, at=now, by=person.by, why=person.why)


def replayed(case: Case, person: Person) -> Done:
    """The act of sending a letter back to where it came from."""
    return _done(case, Act.REPLAYED, person)
