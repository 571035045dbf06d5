"""From a resubmission date and a zone to the instant at which the reminder is due."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

FIRST_YEAR = 2000
YEARS_AHEAD = 5  # calendar years after the deferral; a later date is a slip of the keyboard
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class InvalidResubmissionDate(ValueError):
    """Not a date to come back on; the message says why."""


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def is_time_zone(name: str) -> bool:
    """True for a name of the IANA time zone database; never touches a path that a name might spell."""
    return name in _zones()


def resubmission_date(text: str | None, *, deferred_at: datetime) -> date | None:
    """The date of `YYYY-MM-DD`, None where there is none. Raises InvalidResubmissionDate.

    `deferred_at`: the deferral's own time; the limit counts from its day in UTC (from 29 February: 28 February).
    """
    if text is None:
        return None
    if not _DATE.fullmatch(text):
        raise InvalidResubmissionDate("is not a calendar date YYYY-MM-DD")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidResubmissionDate("is no day of the calendar") from None
    if day.year < FIRST_YEAR:
        raise InvalidResubmissionDate(f"lies before {FIRST_YEAR}")
    if day > _years_after(deferred_at.astimezone(UTC).date(), YEARS_AHEAD):
        raise InvalidResubmissionDate(f"lies more than {YEARS_AHEAD} years after the deferral")
    return day


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return day.replace(year=day.year + years, day=28)


def due_at(day: date, *, time_zone: str, reminder_time: time) -> datetime:
    """The instant (UTC) of the local wall time: in an overlap its first occurrence, in a gap the first instant after it."""
    zone = ZoneInfo(time_zone)
    wall = datetime.combine(day, reminder_time)
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # In a gap: with the offset from before it (fold=0) the instant lies after the jump, with the one from after it before.
    # The jump itself is the first instant that has the new offset.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    old_offset = before.astimezone(zone).utcoffset()
    low, high = before, first
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == old_offset:
            low = middle
        else:
            high = middle
    return high


def last_day_due(now: datetime, *, time_zone: str, reminder_time: time) -> date:
    """The last day whose reminder is due by now: whoever was deferred to it, or to a day before it, is overdue."""
    today = now.astimezone(ZoneInfo(time_zone)).date()
    is_due = due_at(today, time_zone=time_zone, reminder_time=reminder_time) <= now
    return today if is_due else today - timedelta(days=1)
