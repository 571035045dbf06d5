"""Logs: one line of JSON per notable fact, on standard error; no payloads, no personal data."""

import contextlib
import io
import logging
import sys
from typing import TextIO

import structlog


def set_up_logs() -> None:
    """JSON lines with time and level. Libraries' own lines pass from WARNING on, without their tracebacks."""
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
    handler.setFormatter(_LibraryLine())
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


class _LibraryLine(logging.Formatter):
    """What a library says, without what it puts into the gaps of its sentence: that may be rows or payloads."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"event": "library", "library": record.name, "says": str(record.msg), "level": record.levelname.lower()}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        rendered = structlog.processors.JSONRenderer(ensure_ascii=False)(None, "", line)
        return rendered if isinstance(rendered, str) else rendered.decode()
