"""Times, dates and the instant at which a resubmission date comes due."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_HOUR = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_SECOND = timedelta(seconds=1)


def read_time(text: str) -> datetime | None:
    """RFC 3339 with an offset, between 2000 and 2199 in UTC, cut to microseconds; None for anything else."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction = (found[7] or "").ljust(6, "0")[:6]
    offset = timedelta()
    if found[8] is None:
        if int(found[10]) > 23 or int(found[11]) > 59:
            return None
        offset = timedelta(hours=int(found[10]), minutes=int(found[11])) * (-1 if found[9] == "-" else 1)
    try:
        at = datetime(year, month, day, hour, minute, second, int(fraction), tzinfo=UTC) - offset
    except (ValueError, OverflowError):
        return None
    return at if 2000 <= at.year <= 2199 else None


def read_date(text: str) -> date | None:
    """A calendar date written YYYY-MM-DD."""
    if _DATE.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def read_hour(text: str) -> time | None:
    """An hour of the day written HH:MM."""
    found = _HOUR.fullmatch(text)
    return time(int(found[1]), int(found[2])) if found else None


def five_years_after(at: datetime) -> date:
    """The last day that a deferral may name."""
    day = at.astimezone(UTC).date()
    try:
        return day.replace(year=day.year + 5)
    except ValueError:  # 29 February
        return day.replace(year=day.year + 5, day=28)


def due_instant(day: date, hour: time, zone: str) -> datetime:
    """The day's reminder hour in a zone: the first valid instant after a gap, the first occurrence in an overlap."""
    local_zone = ZoneInfo(zone)
    wanted = datetime.combine(day, hour)
    guess = wanted.replace(tzinfo=local_zone, fold=0).astimezone(UTC)
    if guess.astimezone(local_zone).replace(tzinfo=None) == wanted:
        return guess
    # A gap: the clock jumps over the hour somewhere between the two readings of it. Count the seconds to the jump.
    before = wanted.replace(tzinfo=local_zone, fold=1).astimezone(UTC)
    low, high = 0, int((guess - before) / _SECOND)
    while low < high:
        middle = (low + high) // 2
        if (before + middle * _SECOND).astimezone(local_zone).replace(tzinfo=None) < wanted:
            low = middle + 1
        else:
            high = middle
    return before + low * _SECOND
