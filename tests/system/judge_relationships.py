"""Relationship events: one per cause, versions without gaps, each move allowed by the table."""

from collections import defaultdict
from collections.abc import Iterable

from model.records import EVENTS, Expected
from model.relationships import EVENT_OF_STATE, may_become
from system.differences import Difference, Kind, differing, shown
from system.expectations import Expectations
from system.told import Told, envelope_differences

_REFUSED = "relationship.decision-refused"
_OF_ORDERS = "order.customer-number-missing"
_MOVES = frozenset(EVENT_OF_STATE.values())
_VERSIONS = _MOVES | {"relationship.customer-number-changed"}


def judge_relationships(
    expected: Expectations, outputs: list[Told], missing_numbers: Iterable[Expected]
) -> list[Difference]:
    """Hold the relationship events against the expected ones."""
    events = [one for one in expected.told if one.topic == EVENTS and one.type != _OF_ORDERS]
    pairs, differences = _paired([*events, *missing_numbers], outputs)
    for event, told in pairs:
        differences += _judge_one(event, told)
    differences += _judge_order(pairs)
    return differences + _judge_versions(outputs)


def _paired(events: list[Expected], outputs: list[Told]) -> tuple[list[tuple[Expected, Told]], list[Difference]]:
    """Bring together what has the same cause. An id may stand for two events on two topics: the likest are a pair."""
    told_by_cause: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for told in outputs:
        told_by_cause[told.cause].append(told)
    pairs: list[tuple[Expected, Told]] = []
    differences = []
    taken: dict[tuple[str, str], Told] = {}
    for event in events:
        cause = (event.cause.source, event.cause.id)
        candidates = [
            told for told in told_by_cause[cause] if _is_about_orders(told.type) == _is_about_orders(event.type)
        ]
        if not candidates:
            differences.append(_of(Kind.LOST, f"{event.type} of {event.subject}, caused by {cause[1]}"))
            continue
        told = min(candidates, key=lambda told: (told.type != event.type, len(differing(event.data, told.data))))
        told_by_cause[cause].remove(told)
        taken[cause] = told
        pairs.append((event, told))
    for cause, left in told_by_cause.items():
        for told in left:
            twin = taken.get(cause)
            if twin is not None and twin.type == told.type:
                differences.append(_of(Kind.DUPLICATE, f"{told.place}: {told.type} stands at {twin.place} already"))
            else:
                differences.append(_of(Kind.GHOST, f"{told.place}: {told.type} caused by {cause}"))
    return pairs, differences


def _judge_one(event: Expected, told: Told) -> list[Difference]:
    differences = envelope_differences(told, event)
    if told.record.key != event.key:
        differences.append(_of(Kind.KEY_CHANGED, f"{told.place}: {told.record.key!r} instead of {event.key!r}"))
    if told.type != event.type:
        too_late = event.data.get("reason") == "stale" and event.type == _REFUSED
        kind = Kind.STALE if too_late else Kind.ILLEGAL_TRANSITION
        reason = event.data.get("reason")
        differences.append(_of(kind, f"{told.place}: {told.type} instead of {event.type} ({reason}) {dict(told.data)}"))
        return differences
    names = differing(event.data, told.data)
    if not names:
        return differences
    what = f"{told.place}: {told.type} {event.subject} {shown(event.data, told.data, names)}"
    if "supplier_id" in names:
        kind = Kind.CROSS_TENANT
    elif "state" in names or "previous_state" in names:
        kind = Kind.ILLEGAL_TRANSITION
    else:
        kind = Kind.WRONG_VALUE
    return [*differences, _of(kind, what)]


def _judge_order(pairs: list[tuple[Expected, Told]]) -> list[Difference]:
    """What concerns one relationship lies in one partition, in the order in which its causes count."""
    differences = []
    last: dict[str, Told] = {}
    for event, told in pairs:
        if _is_about_orders(event.type):
            continue
        before = last.get(event.subject)
        if before is not None and told.record.place < before.record.place:
            differences.append(_of(Kind.REORDERED, f"{told.place}: comes before {before.place} of {event.subject}"))
        elif before is not None and told.record.partition != before.record.partition:
            differences.append(_of(Kind.REORDERED, f"{told.place}: {event.subject} was at {before.place}"))
        last[event.subject] = told
    return differences


def _judge_versions(outputs: list[Told]) -> list[Difference]:
    """As they lie there: versions count from 1, and each state follows from the one before."""
    differences = []
    versions: dict[str, int] = {}
    states: dict[str, str] = {}
    for told in outputs:
        if told.type not in _VERSIONS:
            continue
        subject = f"{told.data.get('supplier_id')}/{told.data.get('customer_id')}"
        version = told.data.get("version")
        if version != versions.get(subject, 0) + 1:
            what = f"{told.place}: {subject} has version {version} after {versions.get(subject, 0)}"
            differences.append(_of(Kind.VERSION_GAP, what))
        versions[subject] = version if isinstance(version, int) else 0
        if told.type in _MOVES:
            state, previous = str(told.data.get("state")), str(told.data.get("previous_state"))
            came_from = states.get(subject, "none")
            if previous != came_from or not may_become(previous, state) or EVENT_OF_STATE.get(state) != told.type:
                what = f"{told.place}: {subject} from {came_from} ({previous}) to {state} by {told.type}"
                differences.append(_of(Kind.ILLEGAL_TRANSITION, what))
            states[subject] = state
    return differences


def _is_about_orders(type_: str) -> bool:
    return type_.startswith("order.")


def _of(kind: Kind, what: str) -> Difference:
    return Difference(kind=kind, what=what)
