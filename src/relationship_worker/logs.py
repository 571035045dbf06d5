"""Logs: one line of JSON per notable fact, on standard error; no payloads, no personal data."""

import contextlib
import io
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

import structlog

MOST_KEPT = 1_000  # of what libraries say; they have some hundred sentences
SAME_EVERY = 10.0  # seconds between two lines of a library that say the same; without Kafka it would say fifty a second


def set_up_logs() -> None:
    """JSON lines with time and level. Libraries' own lines pass from WARNING on, without their tracebacks and now and then."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(_AsLongAsItTakes(sys.stderr)),  # type: ignore[arg-type]  # enough of one
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LibraryLine())
    handler.addFilter(NowAndThen())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


class _AsLongAsItTakes(io.TextIOBase):
    """A stream whose full disk or closed pipe holds up no order: what can't be written is lost, and no more than that."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


class NowAndThen(logging.Filter):
    """Of the lines of a library that say the same, one every so often: it says how many were left out before it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """From any thread; two that speak at once may both pass."""
        what, now = (record.name, str(record.msg)), self._clock()
        since, left_out = self._said.get(what, (-SAME_EVERY, 0))
        if now - since < SAME_EVERY:
            self._said[what] = since, left_out + 1
            return False
        if len(self._said) >= MOST_KEPT:
            self._said.clear()
        self._said[what] = now, 0
        record.left_out = left_out
        return True


class LibraryLine(logging.Formatter):
    """What a library says, without what it puts into the gaps of its sentence: that may be rows or payloads."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {"event": "library", "library": record.name, "says": str(record.msg)}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        if left_out := getattr(record, "left_out", 0):
            line["left_out"] = left_out
        line |= {"level": record.levelname.lower(), "timestamp": _text(datetime.fromtimestamp(record.created, UTC))}
        rendered = structlog.processors.JSONRenderer(ensure_ascii=False)(None, "", line)
        return rendered if isinstance(rendered, str) else rendered.decode()


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
