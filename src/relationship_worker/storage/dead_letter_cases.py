"""Cases: a dead letter with what it holds back and what people did about it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from relationship_worker.messages.dead_letters import Letter, Place, supplier_of
from relationship_worker.messages.envelope import Reason
from relationship_worker.storage import dead_letter_acts, held_back
from relationship_worker.storage.database import Tx
from relationship_worker.storage.dead_letter_acts import Act, Done
from relationship_worker.storage.held_back import Hold, Step
from relationship_worker.storage.records import HeaderList


class State(StrEnum):
    """How far somebody has come with it."""

    OPEN = "open"
    EDITED = "edited"
    REPLAYING = "replaying"  # the worker is asked to replay it
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A letter; `acts` are those that count for it, oldest first; `hold`: what it holds back."""

    letter: Letter
    acts: Sequence[Done]
    hold: Hold | None

    @property
    def place(self) -> Place:
        """What names it."""
        return self.letter.place

    @property
    def state(self) -> State:
        """How far somebody has come with it."""
        if self.hold is not None and self.hold.step is Step.REPLAY:
            return State.REPLAYING
        return State(self.acts[-1].act.value) if self.acts else State.OPEN

    @property
    def is_open(self) -> bool:
        """True where somebody still has to act."""
        return self.state in (State.OPEN, State.EDITED)

    @property
    def edited(self) -> Done | None:
        """How somebody has corrected it, if so."""
        edits = [one for one in self.acts if one.act is Act.EDITED]
        return edits[-1] if edits else None

    @property
    def value(self) -> bytes | None:
        """Of the record that would be replayed."""
        return self.letter.value if self.edited is None else self.edited.value

    @property
    def headers(self) -> HeaderList:
        """Of the record that would be replayed."""
        return self.letter.headers if self.edited is None else self.edited.headers or []

    @property
    def lacks_value(self) -> bool:
        """There is nothing to be replayed."""
        return self.letter.lacks_value if self.edited is None else self.edited.value is None

    @property
    def supplier_id(self) -> str | None:
        """Whose it seems to be."""
        if self.hold is not None:
            return self.hold.pair[0]
        return supplier_of(self.letter.key, self.letter.value, self.letter.headers)


async def cases(tx: Tx, letters: Sequence[Letter]) -> list[Case]:
    """Letters with what is known of them, in their order."""
    places = {letter.place for letter in letters}
    if not places:
        return []
    acts = await dead_letter_acts.acts_on(tx, places)
    holds = await held_back.by_place(tx, places)
    return [_case(letter, acts.get(letter.place, []), holds.get(letter.place)) for letter in letters]


def _case(letter: Letter, acts: Sequence[Done], hold: Hold | None) -> Case:
    counting = [one for one in acts if one.letter_at >= letter.at]
    return Case(letter=letter, acts=counting, hold=hold)


async def without_letter(tx: Tx, seen: Collection[Place], *, since: datetime, limit: int) -> list[Case]:
    """Holds whose letters `dead-letters` no longer keeps, from a moment on, the oldest first; their records are kept here."""
    found = []
    for hold in await held_back.all_holds(tx, since=since, limit=limit + len(seen)):
        failed = await held_back.failed_input(tx, hold) if hold.place not in seen else None
        if failed is None:
            continue
        letter = Letter(
            place=hold.place,
            reason=Reason.PROCESSING_FAILED,
            detail="dead-letters no longer keeps it; the record is kept for as long as it holds back others",
            at=hold.since,
            key=failed.key,
            value=failed.value,
            headers=failed.headers,
            lies_at=(-1, failed.arrival),
        )
        found.append(letter)
    return await cases(tx, found[:limit])
