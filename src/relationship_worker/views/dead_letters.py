"""Dead letters as a person on call asks for them: which are open, page by page, and one of them whole."""

import base64
import binascii
import heapq
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.set_aside import BEGINNING, letters
from relationship_worker.messages.dead_letters import Letter, Place, supplier_of
from relationship_worker.messages.envelope import Reason
from relationship_worker.messages.outgoing import INPUT_TOPICS
from relationship_worker.storage.dead_letter_cases import Case, cases, without_letter
from relationship_worker.views.reading import NotThere, reading

LIMITS = range(1, 1001)  # a page
PIECE = 1_000  # letters that are held against the database at a time
Progress = Callable[[int, int], None]
Key = tuple[datetime, int, int]


class BadQuestion(ValueError):
    """An argument makes no sense; the message says what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which letters are asked for. `places`: these; None: all that fit the rest."""

    topic: str | None = None
    reason: str | None = None
    supplier_id: str | None = None
    places: Collection[Place] | None = None
    finished_too: bool = False

    def fits(self, letter: Letter) -> bool:
        """By the letter alone."""
        return (
            (self.places is None or letter.place in self.places)
            and self.topic in (None, letter.place.topic)
            and self.reason in (None, letter.reason)
            and (
                self.supplier_id is None
                or letter.reason == Reason.PROCESSING_FAILED
                or supplier_of(letter.key, letter.value, letter.headers) == self.supplier_id
            )
        )

    def fits_case(self, case: Case) -> bool:
        """By what is known of it, too."""
        if self.supplier_id not in (None, case.supplier_id):
            return False
        return self.finished_too or case.is_open or case.hold is not None


def asked(*, topic: str | None, reason: str | None, supplier_id: str | None, finished_too: bool = False) -> Asked:
    """What the arguments ask for. Raises BadQuestion."""
    if topic is not None and topic not in INPUT_TOPICS:
        raise BadQuestion(f"--topic takes {', '.join(INPUT_TOPICS)}, not {topic}")
    if reason is not None and reason not in list(Reason):
        raise BadQuestion(f"--reason takes {', '.join(Reason)}, not {reason}")
    return Asked(topic=topic, reason=reason, supplier_id=supplier_id, finished_too=finished_too)


def read_limit(text: str) -> int:
    """How many a page has. Raises BadQuestion."""
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) in LIMITS):
        raise BadQuestion(f"--limit takes a whole number from {LIMITS[0]} to {LIMITS[-1]}, not {text}")
    return int(text)


async def find(
    kafka: Connection, database: AsyncEngine, which: Asked, *, progress: Progress, since: datetime = BEGINNING
) -> AsyncGenerator[list[Case]]:
    """The cases that are asked for, in the order of their partitions; then those that `dead-letters` no longer keeps.

    Raises CannotRead, KafkaError, TopicsMissing.
    """
    seen: set[Place] = set()
    async with aclosing(letters(kafka, since=since)) as pieces:
        async for piece in pieces:
            some = [letter for letter in piece.letters if which.fits(letter)]
            seen |= {letter.place for letter in some if letter.reason == Reason.PROCESSING_FAILED}
            for start in range(0, len(some), PIECE):
                async with reading(database) as tx:
                    found = await cases(tx, some[start : start + PIECE])
                yield [case for case in found if which.fits_case(case)]
            progress(piece.done, piece.total)
    async with reading(database) as tx:
        rest = await without_letter(tx, seen, since=since, limit=PIECE)
    yield [case for case in rest if which.fits(case.letter) and which.fits_case(case)]


async def find_all(kafka: Connection, database: AsyncEngine, places: Sequence[Place], progress: Progress) -> list[Case]:
    """The newest letter of each of these places, in their order. Raises NotThere where there is none."""
    found: dict[Place, Case] = {}
    async for some in find(kafka, database, Asked(places=set(places), finished_too=True), progress=progress):
        for case in some:
            if case.place not in found or found[case.place].letter.at <= case.letter.at:
                found[case.place] = case
    missing = [place for place in places if place not in found]
    if missing:
        raise NotThere(f"there is no dead letter {missing[0]}; `dead-letters list` names those that are there")
    return [found[place] for place in dict.fromkeys(places)]


@dataclass(frozen=True, kw_only=True)
class Page:
    """The oldest letters behind a cursor, and the cursor behind these, where there are more."""

    cases: Sequence[Case]
    next: str | None


async def page(
    kafka: Connection, database: AsyncEngine, which: Asked, *, limit: int, behind: Key | None, progress: Progress
) -> Page:
    """One page, the longest set aside first. Raises what `find` raises."""
    since = behind[0] if behind is not None else BEGINNING
    oldest: list[tuple[Key, Case]] = []
    async for some in find(kafka, database, which, since=since, progress=progress):
        new = [(_key(case), case) for case in some if behind is None or _key(case) > behind]
        oldest = heapq.nsmallest(limit + 1, [*oldest, *new], key=lambda one: one[0])
    shown = [case for _, case in oldest[:limit]]
    return Page(cases=shown, next=_write_cursor(which, oldest[limit - 1][0]) if len(oldest) > limit else None)


def _key(case: Case) -> Key:
    return (case.letter.at, *case.letter.lies_at)


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    topic: str | None
    reason: str | None
    supplier_id: str | None
    finished_too: bool
    microseconds: int
    partition: int
    offset: int


def _write_cursor(which: Asked, key: Key) -> str:
    at = (key[0] - BEGINNING) // _MICROSECOND
    cursor = _Cursor(which.topic, which.reason, which.supplier_id, which.finished_too, at, key[1], key[2])
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def read_cursor(which: Asked, text: str) -> Key:
    """Behind which letter a page begins. Raises BadQuestion."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(data, type=_Cursor)
        at = BEGINNING + cursor.microseconds * _MICROSECOND
    except (binascii.Error, ValueError, OverflowError):
        raise BadQuestion("--after takes the cursor that the page before gave as `next`, unchanged") from None
    of = (cursor.topic, cursor.reason, cursor.supplier_id, cursor.finished_too)
    if of != (which.topic, which.reason, which.supplier_id, which.finished_too):
        raise BadQuestion(
            "--after takes the cursor of an earlier page of the same list (--topic, --reason, --supplier)"
        )
    return at, cursor.partition, cursor.offset


_MICROSECOND = datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC) - BEGINNING
