"""Spoilt readings: what each reader saw is no whole, or is not what the others saw."""

from collections.abc import Iterable
from dataclasses import replace

from model.records import DEAD_LETTERS, ENRICHED, EVENTS, ORDERS, Record
from system.differences import Kind
from system.spoilt.history import History, Spoilt


def see_what_is_rolled_back_later(history: History) -> None:
    history.read_as(live=[*history.records, _aborted(history)[0]])


def pass_by_what_is_committed(history: History) -> None:
    history.read_as(live=_without(history.records, history.find(ENRICHED)))


def see_other_bytes_than_are_committed(history: History) -> None:
    seen = history.find(DEAD_LETTERS, lambda record: record.value)
    history.read_as(live=[*_without(history.records, seen), replace(seen, value=b"{}")])


def commit_what_was_never_written(history: History) -> None:
    history.read_as(uncommitted=_without(history.reading.uncommitted, history.find(EVENTS)))


def commit_half_of_an_attempt(history: History) -> None:
    """The attempt that followed told all of its orders again."""
    with_half = [*history.records, _aborted(history)[0]]
    history.read_as(committed=with_half, live=with_half)


def commit_an_order_without_its_complaint(history: History) -> None:
    history.records.remove(history.event("order.customer-number-missing"))


def commit_a_complaint_without_its_order(history: History) -> None:
    complaint = history.event("order.customer-number-missing")
    cause = complaint.header("ce_causationid")
    history.records.remove(history.find(ENRICHED, lambda record: record.header("ce_causationid") == cause))


def leave_a_transaction_open(history: History) -> None:
    history.read_as(undecided={(ENRICHED, 2): 17})


def leave_inputs_undone(history: History) -> None:
    history.read_as(lag={(ORDERS, 0): 1})


def _aborted(history: History) -> list[Record]:
    committed = {record.place for record in history.records}
    return [record for record in history.reading.uncommitted if record.place not in committed]


def _without(records: Iterable[Record], one: Record) -> list[Record]:
    return [record for record in records if record.place != one.place]


SPOILT: tuple[Spoilt, ...] = (
    (see_what_is_rolled_back_later, {Kind.TORN}),
    (pass_by_what_is_committed, {Kind.TORN}),
    (see_other_bytes_than_are_committed, {Kind.TORN}),
    (commit_what_was_never_written, {Kind.TORN}),
    (commit_half_of_an_attempt, {Kind.TORN, Kind.DUPLICATE}),
    (commit_an_order_without_its_complaint, {Kind.TORN, Kind.LOST}),
    (commit_a_complaint_without_its_order, {Kind.TORN, Kind.LOST}),
    (leave_a_transaction_open, {Kind.HUNG}),
    (leave_inputs_undone, {Kind.HUNG}),
)
