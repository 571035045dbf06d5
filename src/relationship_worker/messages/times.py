"""RFC 3339 times in, RFC 3339 times out."""

import re
from datetime import UTC, datetime

# Hours to 23, seconds to 59, a T, an offset: what the contract reads. Digits past the sixth are cut by `fromisoformat`.
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)  # exclusive; far below what PostgreSQL takes, and no `infinity`


class InvalidTime(ValueError):
    """Not a time of the contract; the message says why, without the text."""


def read_time(text: str) -> datetime:
    """The instant, in UTC, to the microsecond. Raises InvalidTime."""
    if not _RFC3339.fullmatch(text):
        raise InvalidTime("is no RFC 3339 time with an offset")
    try:
        time = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidTime("is no day of the calendar") from None
    if not EARLIEST <= time < LATEST:
        raise InvalidTime("lies outside the years 2000 to 2199 (UTC)")
    return time


def write_time(time: datetime) -> str:
    """RFC 3339 with a Z, with microseconds where there are any. `time` is in UTC, as all times are in here."""
    return time.replace(tzinfo=None).isoformat() + "Z"
