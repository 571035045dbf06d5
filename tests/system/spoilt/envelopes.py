"""Spoilt surroundings of the data: attributes, traces, ids."""

import itertools
from dataclasses import replace

from model.records import ENRICHED, Correction
from system.differences import Kind
from system.spoilt.history import History, Spoilt


def lose_the_subject(history: History) -> None:
    history.head(history.order(lambda one: one.answer.number)[1], "ce_subject", None)


def route_wrongly(history: History) -> None:
    history.head(history.order(lambda one: one.answer.number)[1], "ce_customernumber", b"1")


def lose_the_trace(history: History) -> None:
    order, record = history.order(lambda one: one.trace)
    history.head(record, order.trace[0][0], None)


def use_an_id_twice(history: History) -> None:
    first = history.find(ENRICHED)
    second = history.find(ENRICHED, lambda record: record != first)
    history.head(second, "ce_id", (first.header("ce_id") or "").encode())


def write_no_json(history: History) -> None:
    record = history.event("relationship.decision-refused")
    history.put(record, replace(record, value=b"{"))


def use_a_facts_id_for_all_its_corrections(history: History) -> None:
    corrections = [one for one in history.expected.told if isinstance(one, Correction)]
    one, other = next((one, other) for one, other in itertools.pairwise(corrections) if one.cause == other.cause)
    ce_id = history.corrected(one).header("ce_id") or ""
    history.head(history.corrected(other), "ce_id", ce_id.encode())


def route_a_correction_by_the_old_number(history: History) -> None:
    history.head(history.correction(lambda one: one.previous.number)[1], "ce_customernumber", b"1")


def lose_the_facts_trace(history: History) -> None:
    correction, record = history.correction(lambda one: one.trace)
    history.head(record, correction.trace[0][0], None)


SPOILT: tuple[Spoilt, ...] = (
    (lose_the_subject, {Kind.ENVELOPE, Kind.LOST}),
    (route_wrongly, {Kind.ENVELOPE}),
    (lose_the_trace, {Kind.ENVELOPE}),
    (use_an_id_twice, {Kind.ENVELOPE}),
    (write_no_json, {Kind.ENVELOPE, Kind.LOST}),
    (use_a_facts_id_for_all_its_corrections, {Kind.ENVELOPE}),
    (route_a_correction_by_the_old_number, {Kind.ENVELOPE}),
    (lose_the_facts_trace, {Kind.ENVELOPE}),
)
