"""Reminders: one per live deferral, none for a superseded one, none before its time."""

from collections import defaultdict

from model.records import Reminder
from model.resubmission import Deferral
from model.times import read_time
from system.differences import Difference, Kind, differing, shown
from system.expectations import Expectations
from system.told import Told, envelope_differences

_SECOND_OFF = 1  # late_seconds is whole seconds of a moment close to that at which it was written

Which = tuple[str, str, object]


def judge_reminders(expected: Expectations, outputs: list[Told]) -> list[Difference]:
    """Hold the reminders against the deferrals."""
    due: dict[Which, Reminder] = {_which(reminder.data): reminder for reminder in expected.reminders}
    deferrals: dict[Which, Deferral] = {
        (one.supplier_id, one.customer_id, one.version): one for one in expected.model.deferrals
    }
    told_of: dict[Which, list[Told]] = defaultdict(list)
    differences = []
    for told in outputs:
        which = _which(told.data)
        told_of[which].append(told)
        if which in due:
            differences += _judge_one(due[which], told)
        elif which not in deferrals:
            differences.append(_of(Kind.GHOST, f"{told.place}: no such deferral {which}"))
        elif deferrals[which].superseded:
            differences.append(_of(Kind.REMINDER_VOID, f"{told.place}: {which} was superseded"))
        else:
            differences.append(_of(Kind.REMINDER_EARLY, f"{told.place}: {which} is due on {deferrals[which].due_on}"))
    for which, reminder in due.items():
        if which not in told_of and not reminder.may_be_missing:
            differences.append(_of(Kind.REMINDER_MISSED, f"{which}, due at {reminder.due_at.isoformat()}"))
    for which, several in told_of.items():
        if len(several) > 1:
            differences.append(_of(Kind.REMINDER_DOUBLED, f"{which}: {', '.join(told.place for told in several)}"))
    return differences


def _judge_one(reminder: Reminder, told: Told) -> list[Difference]:
    differences = envelope_differences(told, reminder)
    if told.record.key != reminder.key:
        differences.append(_of(Kind.KEY_CHANGED, f"{told.place}: {told.record.key!r} instead of {reminder.key!r}"))
    if told.type != reminder.type or told.cause != (reminder.cause.source, reminder.cause.id):
        differences.append(_of(Kind.ENVELOPE, f"{told.place}: {told.type} caused by {told.cause}"))
    names = differing(reminder.data, told.data)
    if names:
        differences.append(_of(Kind.WRONG_VALUE, f"{told.place}: {shown(reminder.data, told.data, names)}"))
    written = read_time(told.record.header("ce_time") or "")
    assert written is not None, "an unreadable time makes no readable output"
    if min(written, told.record.at) < reminder.due_at:
        differences.append(_of(Kind.REMINDER_EARLY, f"{told.place}: due at {reminder.due_at}, told at {written}"))
    late = told.data.get("late_seconds")
    since_due = int((written - reminder.due_at).total_seconds())
    if type(late) is not int or late < 0 or abs(late - since_due) > _SECOND_OFF:
        differences.append(_of(Kind.WRONG_VALUE, f"{told.place}: late_seconds {late!r} instead of {since_due}"))
    return differences


def _which(data: object) -> Which:
    found = data if isinstance(data, dict) else dict(data)  # type: ignore[call-overload]
    return str(found.get("supplier_id")), str(found.get("customer_id")), found.get("version")


def _of(kind: Kind, what: str) -> Difference:
    return Difference(kind=kind, what=what)
