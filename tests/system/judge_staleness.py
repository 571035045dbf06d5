"""Stale answers, without the model: whoever could read a decision's event may rely on it two seconds later."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from model.envelope import Event, read_event
from model.records import DECISIONS, ORDERS, Record
from model.relationships import EVENT_OF_STATE
from model.times import read_time
from system.differences import Difference, Kind
from system.reading import Reading
from system.told import Told

RELIABLE_AFTER = timedelta(seconds=2)  # between a decision's event that can be read and an order that is sent
_NUMBER_CHANGED = "relationship.customer-number-changed"
_VERSIONS = frozenset(EVENT_OF_STATE.values()) | {_NUMBER_CHANGED}


@dataclass(frozen=True, kw_only=True)
class _Known:
    """A version of a relationship as its event tells it: from when on it holds, and since when it could be read."""

    version: int
    valid_from: datetime
    seen_at: datetime
    number: str | None


def judge_staleness(reading: Reading, orders: Sequence[Told], events: Sequence[Told]) -> list[Difference]:
    """Hold each order that was told once against the decisions whose events lay there before it was sent."""
    inputs = _by_cause(reading.inputs)
    known = _known(reading, inputs, events)
    ids = {told.cause: _order_id(inputs[ORDERS, *told.cause]) for told in orders if (ORDERS, *told.cause) in inputs}
    times_told = Counter(ids.values())
    differences = []
    for told in orders:
        answer = told.data.get("customer_number")
        if told.type != "order.enriched" or times_told[ids.get(told.cause, ())] != 1 or not isinstance(answer, dict):
            continue  # an order that comes again is told what it was told, however old
        order = inputs[ORDERS, *told.cause]
        readable = [one for one in known[_pair(order)] if one.seen_at + RELIABLE_AFTER <= order.record.at]
        old = _older_than(answer, readable, known[_pair(order)])
        if old is not None:
            by = f"version {answer.get('relationship_version')}, flags {answer.get('flags')}"
            what = f"{told.place}: {answer.get('number')!r} by {by}, {old}"
            differences.append(Difference(kind=Kind.STALE, what=what))
    return differences


def _older_than(answer: Mapping[str, object], readable: Sequence[_Known], all_of_it: Sequence[_Known]) -> str | None:
    as_of = read_time(str(answer.get("as_of")))
    in_force = [one for one in readable if as_of is not None and one.valid_from <= as_of]
    if not in_force:
        return None
    newest = in_force[-1]
    version = answer.get("relationship_version")
    if not isinstance(version, int) or version < newest.version:
        return f"although version {newest.version} could be read at {newest.seen_at}"
    before = {one.number for one in all_of_it if one.version < newest.version}
    since = {one.number for one in all_of_it if one.version >= newest.version}
    if answer.get("source") == "partner" and answer.get("number") in before - since:
        return f"although {newest.number!r} of version {newest.version} could be read at {newest.seen_at}"
    return None


def _known(
    reading: Reading, inputs: Mapping[tuple[str, ...], Event], events: Sequence[Told]
) -> dict[tuple[object, object], list[_Known]]:
    """All versions, oldest first. A number's event does not say from when on it holds: the decision behind it does."""
    found: dict[tuple[object, object], list[_Known]] = defaultdict(list)
    for told in events:
        version, number = told.data.get("version"), told.data.get("customer_number")
        if told.type not in _VERSIONS or not isinstance(version, int) or told.record.place not in reading.seen_at:
            continue
        before = found[told.data.get("supplier_id"), told.data.get("customer_id")]
        decision = inputs.get((DECISIONS, *told.cause))
        valid_from = read_time(str(told.data.get("decided_at")))
        if told.type == _NUMBER_CHANGED:
            valid_from = None if decision is None else decision.time
        if valid_from is not None:
            before.append(
                _Known(
                    version=version,
                    valid_from=max(valid_from, before[-1].valid_from) if before else valid_from,
                    seen_at=reading.seen_at[told.record.place],
                    number=number if isinstance(number, str) else None,
                )
            )
    return found


def _by_cause(inputs: Sequence[Record]) -> dict[tuple[str, ...], Event]:
    """The earliest readable record of each event: another one, under another key, may lie in a partition that is read first."""
    found: dict[tuple[str, ...], Event] = {}
    for record in sorted(inputs, key=lambda record: record.at):
        event = read_event(record)
        if not isinstance(event, str):
            found.setdefault((record.topic, event.cause.source, event.cause.id), event)
    return found


def _order_id(order: Event) -> tuple[object, ...]:
    return order.data.get("supplier_id"), order.data.get("order_id")


def _pair(order: Event) -> tuple[object, object]:
    return order.data.get("supplier_id"), order.data.get("customer_id")
