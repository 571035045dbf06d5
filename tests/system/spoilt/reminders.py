"""Spoilt reminders."""

import json
from datetime import datetime, timedelta

from model.records import REMINDERS
from model.resubmission import Deferral
from system.differences import Kind
from system.spoilt.history import History, Spoilt


def invent_a_reminder(history: History) -> None:
    history.add(history.find(REMINDERS))
    history.tell(history.records[-1], version=99)


def forget_a_reminder(history: History) -> None:
    mandatory = next(one for one in history.expected.reminders if not one.may_be_missing)
    history.records.remove(history.find(REMINDERS, lambda one: one.header("ce_causationid") == mandatory.cause.id))


def double_a_reminder(history: History) -> None:
    history.add(history.find(REMINDERS))


def remind_before_it_is_due(history: History) -> None:
    remind_of(history, history.deferral(superseded=False))


def remind_a_second_early(history: History) -> None:
    record = history.find(REMINDERS)
    due_at = datetime.fromisoformat(json.loads(record.value or b"")["due_at"])
    history.tell(record, late_seconds=0)
    told = history.find(REMINDERS, lambda one: one.place == record.place)
    history.head(told, "ce_time", (due_at - timedelta(seconds=1)).isoformat().encode())


def remind_of_what_was_superseded(history: History) -> None:
    remind_of(history, history.deferral(superseded=True))


def remind_of(history: History, deferral: Deferral) -> None:
    about = {"supplier_id": deferral.supplier_id, "customer_id": deferral.customer_id, "version": deferral.version}
    history.add(history.find(REMINDERS))
    history.tell(history.records[-1], **about)


SPOILT: tuple[Spoilt, ...] = (
    (invent_a_reminder, {Kind.GHOST}),
    (forget_a_reminder, {Kind.REMINDER_MISSED}),
    (double_a_reminder, {Kind.REMINDER_DOUBLED}),
    (remind_before_it_is_due, {Kind.REMINDER_EARLY}),
    (remind_a_second_early, {Kind.REMINDER_EARLY}),
    (remind_of_what_was_superseded, {Kind.REMINDER_VOID}),
)
