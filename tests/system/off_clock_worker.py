"""A worker whose clock jumps by an hour, ahead and back, every few seconds: `python -m system.off_clock_worker run`."""

import sys
import time
from datetime import datetime, timedelta, tzinfo
from typing import Any

import relationship_worker.app  # noqa: F401  so that all that knows the time is there
from relationship_worker.cli import main

JUMP = timedelta(hours=1)
SPELL = 2.0  # seconds between two jumps
_COURSE = (timedelta(0), JUMP, -JUMP)
_started = time.monotonic()
_true_time = time.time


def off_by() -> timedelta:
    """How far the clock is off by now."""
    return _COURSE[int((time.monotonic() - _started) / SPELL) % len(_COURSE)]


class OffClock(datetime):
    """Tells the wrong time; everything else is a `datetime`."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return datetime.now(tz) + off_by()


def _set_clocks() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("relationship_worker.") and getattr(module, "datetime", None) is datetime:
            module.datetime = OffClock  # type: ignore[attr-defined]
    time.time = lambda: _true_time() + off_by().total_seconds()


if __name__ == "__main__":
    _set_clocks()
    main()
