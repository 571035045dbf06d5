"""The published vectors of resubmission dates: when a reminder is due, and which dates are refused."""

from datetime import time
from typing import Any

from contracts.published import each_vector
from relationship_worker.domain.resubmission import InvalidResubmissionDate, due_at, resubmission_date
from relationship_worker.messages.times import read_time, write_time


@each_vector("resubmission-dates")
def test_a_reminder_is_due_as_published(vector: dict[str, Any]) -> None:
    assert _became(**vector["given"]) == vector["then"]


def _became(
    *, resubmission_date: str | None, deferred_at: str, time_zone: str, reminder_time: str
) -> dict[str, object]:
    deferred = read_time(deferred_at)
    try:
        day = _day(resubmission_date, deferred_at=deferred)
    except InvalidResubmissionDate:
        return {"refused": "invalid_resubmission_date"}
    if day is None:
        return {"due_at": None, "overdue": False}
    due = due_at(day, time_zone=time_zone, reminder_time=time.fromisoformat(reminder_time))
    return {"due_at": write_time(due), "overdue": due <= deferred}


_day = resubmission_date
