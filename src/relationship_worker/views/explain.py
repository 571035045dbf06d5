"""Why an order carries its number: the answer as told, the facts behind it, and what it would be by today's facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.domain.corrections import Due, Facts, KnownVersion, due
from relationship_worker.domain.customer_numbers import (
    Channel,
    Ruling,
    rules_that_did_not_fire,
    which_number,
)
from relationship_worker.domain.relationship import State
from relationship_worker.domain.supplier import BUILT_IN, Settings
from relationship_worker.messages.orders import Answer, read_answer, write_correction
from relationship_worker.messages.times import read_time
from relationship_worker.storage import answers, corrections, facts, relationships, suppliers
from relationship_worker.storage.answers import Repeated, Stored
from relationship_worker.storage.corrections import Made
from relationship_worker.storage.relationships import Recorded
from relationship_worker.storage.suppliers import RecordedChange
from relationship_worker.views.reading import NotThere, reading

PENDING = "a fact that became known is being held against the orders: a correction may be on its way"
NEVER_TO_NULL = "a correction takes no number away"
NO_WINDOW = "the supplier wants no corrections (correction_window_hours is 0)"


@dataclass(frozen=True, kw_only=True)
class Explained:
    """All that is stored about an order and the facts behind its answers, as one state of the database has it."""

    supplier_id: str
    order_id: str
    first: Stored
    made: Sequence[Made]
    repeated: Sequence[Repeated]
    versions: Sequence[Recorded]
    changes: Sequence[RecordedChange]
    facts_wait: bool

    @property
    def channel(self) -> Channel | None:
        """Where the order was placed."""
        return Channel(self.first.channel) if self.first.channel else None


async def explain(database: AsyncEngine, supplier_id: str, order_id: str) -> Explained:
    """Read it. Raises NotThere or CannotRead."""
    async with reading(database) as tx:
        first = await answers.stored(tx, supplier_id, order_id)
        if first is None:
            raise NotThere(f"no answer to order {order_id} of supplier {supplier_id} is stored")
        customer = first.customer_id
        return Explained(
            supplier_id=supplier_id,
            order_id=order_id,
            first=first,
            made=await corrections.made_for(tx, (supplier_id, order_id)),
            repeated=await answers.repeats_of(tx, supplier_id, order_id),
            versions=await relationships.history_of(tx, (supplier_id, customer)) if customer is not None else [],
            changes=await suppliers.changes_of(tx, supplier_id),
            facts_wait=await facts.facts_wait_for(tx, supplier_id, customer),
        )


@dataclass(frozen=True, kw_only=True)
class UsedFacts:
    """What an answer went by. `change`: the settings in force; `default_since`: the change that brought that default."""

    version: Recorded | None
    change: RecordedChange | None
    default_since: RecordedChange | None

    @property
    def settings(self) -> Settings:
        """The supplier's settings in force; built in where none were told."""
        return self.change.known.settings if self.change else BUILT_IN

    @property
    def partner(self) -> bool:
        """Whether the customer was a partner."""
        return self.version is not None and self.version.state is State.PARTNER

    @property
    def individual(self) -> str | None:
        """The number that the relationship kept."""
        return self.version.customer_number if self.version else None


def used_facts(explained: Explained, answer: Answer, *, knew_change: int) -> UsedFacts:
    """The facts behind an answer: the version that it names, and of the settings known then those in force as of it."""
    as_of = read_time(answer.as_of)
    known = explained.changes[:knew_change]
    in_force = list(takewhile(lambda change: change.known.valid_from <= as_of, known))
    return UsedFacts(
        version=next((v for v in explained.versions if v.version == answer.relationship_version), None),
        change=in_force[-1] if in_force else None,
        default_since=_default_since(in_force),
    )


def _default_since(in_force: Sequence[RecordedChange]) -> RecordedChange | None:
    """The first change from which on the default was what it is at the end; None where no change ever named one."""
    since: RecordedChange | None = None
    default: str | None = None
    for change in in_force:
        if change.known.settings.default_customer_number != default:
            since, default = change, change.known.settings.default_customer_number
    return since


def knew_change(explained: Explained, made: Made) -> int:
    """Up to which change of settings a correction went: what the fact behind it knew, or the first answer at the least."""
    cause = (made.event_id, made.event_source)
    of_version = [v.settings_change for v in explained.versions if (v.event_id, v.event_source) == cause]
    of_settings = [c.known.change for c in explained.changes if (c.event_id, c.event_source) == cause]
    return max([explained.first.knew_change, *of_version, *of_settings])


def not_fired(explained: Explained, used: UsedFacts) -> dict[int, str]:
    """The rules that did not fire, each with a reason."""
    return rules_that_did_not_fire(
        partner=used.partner, individual=used.individual, channel=explained.channel, settings=used.settings
    )


def is_reproduced(explained: Explained, answer: Answer, used: UsedFacts) -> bool:
    """True where the stored facts give the answer that was told; false would mean that somebody changed them."""
    ruling = which_number(
        partner=used.partner, individual=used.individual, channel=explained.channel, settings=used.settings
    )
    told: tuple[Any, ...] = (answer.number, answer.source, answer.reason, answer.rule)
    return told == (ruling.number, ruling.source, ruling.reason, ruling.rule)


@dataclass(frozen=True, kw_only=True)
class Today:
    """What the order would be told by the facts that are known by now; and what a new order like it would be told."""

    answer: str
    differs: bool
    not_told_because: str | None
    new_order: str


def today(explained: Explained, now: datetime) -> Today:
    """By today's facts, as of the order's creation and with corrections; beside it, as of now."""
    facts = Facts(versions=[_known(v) for v in explained.versions], settings=[c.known for c in explained.changes])
    due_now = due(facts, created_at=explained.first.created_at, channel=explained.channel)
    told = read_answer(explained.first.last)
    ruling, version = facts.at(now, explained.channel)
    differs = (due_now.ruling.number, due_now.ruling.source) != (told.number, told.source)
    return Today(
        answer=_as_answer(told, due_now.ruling, due_now.version, due_now.as_of),
        differs=differs,
        not_told_because=_why_not_told(explained, facts, due_now) if differs else None,
        new_order=_as_answer(told, ruling, version, now),
    )


def _as_answer(told: Answer, ruling: Ruling, version: int | None, as_of: datetime) -> str:
    return write_correction(told, ruling, version, as_of=as_of.astimezone(UTC))


def _why_not_told(explained: Explained, facts: Facts, due_now: Due) -> str | None:
    if due_now.ruling.number is None:
        return NEVER_TO_NULL
    if not facts.window:
        return NO_WINDOW
    return PENDING if explained.facts_wait else None


def _known(version: Recorded) -> KnownVersion:
    return KnownVersion(
        version=version.version,
        valid_from=version.valid_from,
        partner=version.state is State.PARTNER,
        customer_number=version.customer_number,
        brings_number=version.brings_number,
    )
