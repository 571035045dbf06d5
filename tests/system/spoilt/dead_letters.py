"""Spoilt dead letters."""

from dataclasses import replace

from model.records import DEAD_LETTERS
from system.differences import Kind
from system.spoilt.history import History, Spoilt


def drop_a_dead_letter(history: History) -> None:
    history.records.remove(history.find(DEAD_LETTERS))


def mend_a_dead_letter(history: History) -> None:
    record = history.find(DEAD_LETTERS, lambda one: one.value)
    history.put(record, replace(record, value=b"{}"))


def give_another_reason(history: History) -> None:
    history.head(history.find(DEAD_LETTERS), "deadletter-reason", b"bad_luck")


def lose_an_original_header(history: History) -> None:
    record = history.find(DEAD_LETTERS, lambda one: one.header("ce_id"))
    history.head(record, "ce_id", None)


def double_a_dead_letter(history: History) -> None:
    history.add(history.find(DEAD_LETTERS))


def bury_a_good_record(history: History) -> None:
    history.add(history.find(DEAD_LETTERS))
    history.head(history.records[-1], "deadletter-offset", b"999999")


SPOILT: tuple[Spoilt, ...] = (
    (drop_a_dead_letter, {Kind.DEAD_LETTER_MISSING}),
    (mend_a_dead_letter, {Kind.DEAD_LETTER_ALTERED}),
    (give_another_reason, {Kind.DEAD_LETTER_ALTERED}),
    (lose_an_original_header, {Kind.DEAD_LETTER_ALTERED}),
    (double_a_dead_letter, {Kind.DEAD_LETTER_EXTRA}),
    (bury_a_good_record, {Kind.DEAD_LETTER_EXTRA}),
)
