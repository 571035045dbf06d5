"""Transactions, as their readers find them: seen as a whole or not at all, and none left open; no model is asked."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from model.records import ENRICHED, EVENTS, Expected, Record
from system.differences import Difference, Kind, place
from system.reading import Reading, Spot
from system.told import Told

_ORDER, _COMPLAINT = "order.enriched", "order.customer-number-missing"


def judge_transactions(reading: Reading) -> list[Difference]:
    """Hold three readings of the same topics against each other, and look for what never came to an end."""
    return [*_torn_between_readers(reading), *_torn_in_half(reading), *_hung(reading)]


def judge_complaints(missing_numbers: Iterable[Expected], outputs: Iterable[Told]) -> list[Difference]:
    """An order that is told no number, and the event that says so, are one transaction: one without the other is torn."""
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for told in outputs:
        seen[told.cause].add(told.type)
    return [
        Difference(kind=Kind.TORN, what=f"of {missing.subject}, caused by {missing.cause.id}, only {types} is there")
        for missing in missing_numbers
        if len(types := seen[missing.cause.source, missing.cause.id] & {_ORDER, _COMPLAINT}) == 1
    ]


def _torn_between_readers(reading: Reading) -> list[Difference]:
    """What is committed is there for good, and for everybody: whoever read live has seen just that."""
    committed = {record.place: record for record in reading.committed}
    live = {record.place: record for record in reading.live}
    written = {record.place: record for record in reading.uncommitted}
    read_up_to: dict[Spot, int] = defaultdict(int)
    for topic, partition, offset in live:
        read_up_to[topic, partition] = max(offset, read_up_to[topic, partition])
    differences = []
    for record in reading.live:
        later = committed.get(record.place)
        if later is None:
            differences.append(_torn(record, "was read live, and is not committed"))
        elif later != record or live[record.place] != record:
            differences.append(_torn(record, "was read live with other bytes"))
    for record in reading.committed:
        if record.place not in live and record.offset < read_up_to[record.topic, record.partition]:
            differences.append(_torn(record, "is committed, and the live reader has passed it by"))
        if written.get(record.place) != record:
            differences.append(_torn(record, "is committed, and is not what was written there"))
    return differences


def _torn_in_half(reading: Reading) -> list[Difference]:
    """Of what one transaction tells of orders, all is visible or nothing."""
    visible = {record.place for record in reading.committed}
    differences = []
    for records in _told_at_once(reading.uncommitted):
        seen = [record for record in records if record.place in visible]
        if seen and len(seen) < len(records):
            hidden = next(record for record in records if record.place not in visible)
            what = f"{len(seen)} of {len(records)} are visible, {place(hidden)} is not"
            differences.append(_torn(seen[0], f"one transaction: {what}"))
    return differences


def _told_at_once(written: Iterable[Record]) -> Iterable[Sequence[Record]]:
    """The orders of a partition that were told at one moment, with their complaints: one attempt, one transaction."""
    attempts: dict[tuple[int, str | None], list[Record]] = defaultdict(list)
    partition_of: dict[tuple[str | None, ...], int] = {}
    complaints = []
    for record in written:
        if record.topic == ENRICHED and record.header("ce_type") == _ORDER:
            attempts[record.partition, record.header("ce_time")].append(record)
            partition_of[_which_attempt(record)] = record.partition
        elif record.topic == EVENTS and record.header("ce_type") == _COMPLAINT:
            complaints.append(record)
    for record in complaints:
        partition = partition_of.get(_which_attempt(record))
        if partition is not None:
            attempts[partition, record.header("ce_time")].append(record)
    return attempts.values()


def _which_attempt(record: Record) -> tuple[str | None, ...]:
    return tuple(record.header(f"ce_{name}") for name in ("time", "causationsource", "causationid"))


def _hung(reading: Reading) -> list[Difference]:
    open_ = [
        f"{topic}[{partition}]: {count} offsets lie behind an open transaction"
        for (topic, partition), count in reading.undecided.items()
    ]
    behind = [f"{topic}[{partition}]: {count} inputs are not done" for (topic, partition), count in reading.lag.items()]
    return [Difference(kind=Kind.HUNG, what=what) for what in open_ + behind]


def _torn(record: Record, what: str) -> Difference:
    return Difference(kind=Kind.TORN, what=f"{place(record)}: {what}")
