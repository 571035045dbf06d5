"""Zones and reminder hours of suppliers, and dates that are sure to be due, or sure not to be, while a run lasts."""

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from model.times import due_instant, five_years_after
from system.parties import Party

Clock = tuple[str, time]

BUILT_IN: Clock = ("Europe/Berlin", time(8))
# A supplier that moves goes from the far side of the date line to the near one: what was to come a day later is due.
BEFORE_MOVE: Clock = ("Pacific/Niue", time(8))
AFTER_MOVE: Clock = ("Pacific/Kiritimati", time(0))
_CLOCKS: tuple[Clock, ...] = (
    ("Europe/Berlin", time(2, 30)),
    ("America/New_York", time(2, 30)),
    ("Australia/Lord_Howe", time(2, 15)),
    ("America/Santiago", time(0)),
    ("Asia/Kathmandu", time(23, 59)),
    ("Africa/Casablanca", time(2, 30)),
    ("Pacific/Apia", time(8)),
)
JUST_BEFORE = timedelta(minutes=30)
WHILE_IT_LASTS = timedelta(hours=2)  # a run is over by then


def clock_of(party: Party) -> Clock:
    """The clock that a supplier sets first."""
    return BEFORE_MOVE if party.moves else _CLOCKS[party.index % len(_CLOCKS)]


def clocks_of(party: Party) -> tuple[Clock, ...]:
    """All clocks that a supplier may have in a run."""
    return (BEFORE_MOVE, AFTER_MOVE) if party.moves else (clock_of(party), BUILT_IN)


def far_date(rng: Random, now: datetime, deferred_at: datetime) -> date:
    """A day that comes due after the run by every clock, within five years of the deferral."""
    return min(now.date() + timedelta(days=rng.randint(4, 1500)), five_years_after(deferred_at))


def past_date(rng: Random, party: Party, now: datetime, deferred_at: datetime) -> date:
    """A day that was due before the run by every clock: before the deferral, or after it."""
    kinds = (
        deferred_at.date() - timedelta(days=rng.randint(1, 300)),
        deferred_at.date() + timedelta(days=rng.randint(0, 2)),
        deferred_at.date(),
        *rng.choices(days_of_change(clock_of(party)[0], now.year), k=4),
        date(2011, 12, 30),  # no such day in Apia
        date(2000, 1, 1),
    )
    day = rng.choice(kinds)
    return day if is_past(party, day, now) else now.date() - timedelta(days=rng.randint(4, 400))


def is_past(party: Party, day: date, now: datetime) -> bool:
    """Whether a day's hour was over before the run, whatever the clock."""
    return all(due_instant(day, hour, zone) < now - JUST_BEFORE for zone, hour in clocks_of(party))


def date_that_moves(now: datetime) -> date:
    """A day that is not due during the run by the clock before a move, and was due before it by the one after."""
    day = now.date() - timedelta(days=2)
    while due_instant(day, BEFORE_MOVE[1], BEFORE_MOVE[0]) <= now + WHILE_IT_LASTS:
        day += timedelta(days=1)
    assert due_instant(day, AFTER_MOVE[1], AFTER_MOVE[0]) < now - JUST_BEFORE
    return day


def days_of_change(zone: str, year: int) -> list[date]:
    """The days of the last years on which a zone's clocks change, and those around them."""
    changes = []
    local_zone = ZoneInfo(zone)
    day = datetime(year - 3, 1, 1, tzinfo=UTC)
    while day.year < year:
        next_day = day + timedelta(days=1)
        if day.astimezone(local_zone).utcoffset() != next_day.astimezone(local_zone).utcoffset():
            changes += [day.date(), next_day.date()]
        day = next_day
    return changes or [date(year - 1, 3, 29)]
