"""Deferrals: which resubmission dates are taken, and which reminders they lead to."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from model.records import Cause
from model.suppliers import Settings
from model.times import due_instant, five_years_after, read_date

FIRST_DAY = date(2000, 1, 1)


@dataclass(kw_only=True)
class Deferral:
    """A deferral with a date, from the version that made it until it is superseded."""

    supplier_id: str
    customer_id: str
    version: int
    due_on: date
    deferred_at: datetime
    reason: str | None
    cause: Cause
    told: bool = False
    superseded: bool = False
    looked_at: bool = False  # a look for what is due has passed over it while it was live

    def due_at(self, newest: Settings) -> datetime:
        """The instant at which it comes due under a supplier's newest settings."""
        return due_instant(self.due_on, newest.reminder_time, newest.time_zone)

    def is_overdue(self, newest: Settings) -> bool:
        """Whether its hour lay at or before the deferral's own time."""
        return self.due_at(newest) <= self.deferred_at


def is_valid_date(text: str | None, deferred_at: datetime) -> bool:
    """Whether a deferral of that time may carry this date; none at all is fine."""
    if text is None:
        return True
    day = read_date(text)
    return day is not None and FIRST_DAY <= day <= five_years_after(deferred_at.astimezone(UTC))
