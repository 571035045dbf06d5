"""RFC 3339 times in, RFC 3339 times out."""

import re
from datetime import UTC, datetime

# Hours to 23, seconds to 59, a T, an offset: what the contract reads. Digits past the sixth are cut by `fromisoformat`, which
# alone would take more: behind a Z and a NUL it reads nothing, so that any characters may stand there.
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
        if text[-1] == "Z" and text[10] == "T":
            time = datetime.fromisoformat(text)
        else:
            time = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidTime("is no day of the calendar") from None
    if not EARLIEST <= time < LATEST:
        raise InvalidTime("lies outside the years 2000 to 2199 (UTC)")
    return time


def write_time(time: datetime) -> str:
    """RFC 3339 with a Z, with microseconds where there are any. `time` is in UTC, as all times are in here."""
    return time.isoformat()[:-6] + "Z"  # less +00:00


def written_anew(text: str, time: datetime) -> str:
    """`write_time(time)`, where `time` was read from `text`: for most texts without taking the time apart again."""
    if text[-1] == "Z" and text[10] == "T":
        if len(text) == _MILLISECONDS and text[20:23] != "000":
            return text[:23] + "000Z"
        if len(text) == _SECONDS:
            return text
    return write_time(time)


def quick_time(text: bytes) -> tuple[datetime, bytes] | None:
    """What `read_time` and `written_anew` make of a text in a usual form, at half the price; None of any other."""
    form = text.translate(_DIGITS)
    if form == b"0000-00-00T00:00:00.000Z" and text[20:23] != b"000":
        written = text[:23] + b"000Z"
    elif form == b"0000-00-00T00:00:00Z" or (form == b"0000-00-00T00:00:00.000000Z" and text[20:26] != b"000000"):
        written = text
    else:
        return None
    try:
        time = datetime.fromisoformat(text.decode())
    except ValueError:
        return None
    if not EARLIEST <= time < LATEST or text.startswith(b"24", 11):  # the hour 24 is one of some releases of Python
        return None
    return time, written


_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_SECONDS = len("2026-03-02T12:00:00Z")
_MILLISECONDS = len("2026-03-02T12:00:00.123Z")
