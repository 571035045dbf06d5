"""What an order must be told, from the facts alone, in whatever order they became known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from relationship_worker.domain.customer_numbers import (
    DEFAULT_MISSING,
    PARTNER_WITHOUT_NUMBER,
    Channel,
    Ruling,
    which_number,
)
from relationship_worker.domain.supplier import BUILT_IN, Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownVersion:
    """A version of the customer's relationship. `brings_number`: it was assigned by it, or came with an acceptance."""

    version: int
    valid_from: datetime
    partner: bool
    customer_number: str | None
    brings_number: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownSettings:
    """The supplier's settings from an instant on. `brings_default`: the change named a default customer number."""

    change: int
    valid_from: datetime
    settings: Settings
    brings_default: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known: the customer's versions and the supplier's settings, each oldest first. Neither goes back in time."""

    versions: Sequence[KnownVersion]
    settings: Sequence[KnownSettings]

    def at(self, when: datetime, channel: Channel | None) -> tuple[Ruling, int | None]:
        """The decision table's answer as of an instant, its own facts included, and the version in force then."""
        version = next((v for v in reversed(self.versions) if v.valid_from <= when), None)
        settings = next((s.settings for s in reversed(self.settings) if s.valid_from <= when), BUILT_IN)
        ruling = which_number(
            partner=version is not None and version.partner,
            individual=version.customer_number if version is not None else None,
            channel=channel,
            settings=settings,
        )
        return ruling, version.version if version is not None else None

    @property
    def window(self) -> timedelta:
        """How long after an order's creation a fact may fill its gap: by the supplier's newest settings."""
        newest = self.settings[-1].settings if self.settings else BUILT_IN
        return timedelta(hours=newest.correction_window_hours)


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """What an order must be told, the version in force and the instant that it goes by.

    `gap`: the answer as of the creation misses a number, so that a later fact may change what the order must be told.
    """

    ruling: Ruling
    version: int | None
    as_of: datetime
    gap: bool


def is_gap(ruling: Ruling) -> bool:
    """True where a later fact may fill what was missing when the order was created."""
    return ruling.reason in (PARTNER_WITHOUT_NUMBER, DEFAULT_MISSING)


def due(facts: Facts, *, created_at: datetime, channel: Channel | None) -> Due:
    """The table's answer as of the order's creation; of a gap, as of the earliest later fact in the window that fills it."""
    first, version = facts.at(created_at, channel)
    if not is_gap(first):
        return Due(ruling=first, version=version, as_of=created_at, gap=False)
    for when in sorted(_filling(facts, first)):
        if created_at < when <= created_at + facts.window:
            filled, then = facts.at(when, channel)
            if filled.number is not None and (filled.number, filled.source) != (first.number, first.source):
                return Due(ruling=filled, version=then, as_of=when, gap=True)
    return Due(ruling=first, version=version, as_of=created_at, gap=True)


def _filling(facts: Facts, first: Ruling) -> Iterator[datetime]:
    """When a number came, or, for an order without any, a default. A removal fills nothing."""
    for version in facts.versions:
        if version.brings_number and version.customer_number is not None:
            yield version.valid_from
    if first.number is None:
        for change in facts.settings:
            if change.brings_default:
                yield change.valid_from
