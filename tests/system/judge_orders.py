"""Orders: each once, in order, with the right answer beside its own bytes."""

from dataclasses import dataclass, field

from model.orders import missing_number, not_caught_up
from model.records import Answer, EnrichedOrder, Expected
from system.differences import Difference, Kind, differing, is_in_utc, shown
from system.expectations import Expectations
from system.parties import owner
from system.told import Told, envelope_differences


@dataclass
class JudgedOrders:
    """What is wrong with the orders, and which of them were rightly answered without a number."""

    differences: list[Difference] = field(default_factory=list)
    missing_numbers: list[Expected] = field(default_factory=list)
    not_caught_up: int = 0

    def add(self, kind: Kind, what: str) -> None:
        """Note a difference."""
        self.differences.append(Difference(kind=kind, what=what))


def judge_orders(expected: Expectations, outputs: list[Told]) -> JudgedOrders:
    """Hold the enriched orders against the expected ones."""
    judged = JudgedOrders()
    orders = [one for one in expected.told if isinstance(one, EnrichedOrder)]
    by_cause = {(order.cause.source, order.cause.id): order for order in orders}
    found: dict[tuple[str, str], Told] = {}
    for told in outputs:
        if told.type != "order.enriched" or told.cause not in by_cause:
            judged.add(Kind.GHOST, f"{told.place}: {told.type} caused by {told.cause}")
        elif told.cause in found:
            judged.add(Kind.DUPLICATE, f"{told.place}: {told.cause} went out at {found[told.cause].place} already")
        else:
            found[told.cause] = told
    answers: dict[tuple[str, str], Answer] = {}
    for order in orders:
        told_order = found.get((order.cause.source, order.cause.id))
        if told_order is None:
            judged.add(Kind.LOST, f"order {order.order_id} of {order.supplier_id}, event {order.cause.id}")
            answered = order.answer
        else:
            answered = _answered(judged, order, told_order, answers.get((order.supplier_id, order.order_id)))
            _judge_beside_answer(judged, order, told_order)
            _judge_tenant(judged, order, told_order, expected.plan.suppliers[order.supplier_id])
        if (order.supplier_id, order.order_id) not in answers and answered.number is None:
            judged.missing_numbers.append(missing_number(order, answered))
        answers.setdefault((order.supplier_id, order.order_id), answered)
    _judge_order(judged, orders, found)
    return judged


def _answered(judged: JudgedOrders, order: EnrichedOrder, told: Told, told_first: Answer | None) -> Answer:
    """The answer that the order was rightly told. One that was not caught up stands, also when the order comes again."""
    expected = told_first or order.answer
    answer = told.data.get("customer_number")
    if isinstance(answer, dict) and not is_in_utc(answer.get("as_of")):
        judged.add(Kind.WRONG_VALUE, f"{told.place}: as_of {answer.get('as_of')!r} is not in UTC")
    names = differing(_fields(expected), _with_sorted_flags(answer))
    if not names:
        return expected
    if told_first is None:
        for behind in (order.answer, *order.behind):
            if not differing(_fields(not_caught_up(behind)), _with_sorted_flags(answer)):
                judged.not_caught_up += 1
                return not_caught_up(behind)
    is_outdated = any(not differing(_fields(outdated), _with_sorted_flags(answer)) for outdated in order.outdated)
    kind = Kind.STALE if is_outdated else Kind.WRONG_VALUE
    judged.add(kind, f"{told.place}: {order.subject} {shown(_fields(expected), _with_sorted_flags(answer), names)}")
    return expected


def _judge_beside_answer(judged: JudgedOrders, order: EnrichedOrder, told: Told) -> None:
    if told.order != order.order:
        judged.add(Kind.BYTES_CHANGED, f"{told.place}: {order.order!r} became {told.order!r}")
    if told.record.key != order.key:
        judged.add(Kind.KEY_CHANGED, f"{told.place}: {order.key!r} became {told.record.key!r}")
    answer = told.data.get("customer_number")
    number = answer.get("number") if isinstance(answer, dict) else None
    extensions = {
        "ce_supplierid": order.supplier_id,
        "ce_customerid": order.customer_id,
        "ce_customernumber": number if isinstance(number, str) else None,
    }
    judged.differences += envelope_differences(told, order, extensions)


def _judge_tenant(judged: JudgedOrders, order: EnrichedOrder, told: Told, index: int) -> None:
    answer = told.data.get("customer_number")
    number = answer.get("number") if isinstance(answer, dict) else None
    if isinstance(number, str) and owner(number) not in (None, index):
        judged.add(Kind.CROSS_TENANT, f"{told.place}: {number!r} on an order of {order.supplier_id}")


def _judge_order(judged: JudgedOrders, orders: list[EnrichedOrder], found: dict[tuple[str, str], Told]) -> None:
    """Orders of one key lie in one partition, in the order in which they came."""
    last: dict[bytes, Told] = {}
    for order in orders:
        told = found.get((order.cause.source, order.cause.id))
        if told is None or order.key is None:
            continue
        before = last.get(order.key)
        if before is not None and told.record.partition != before.record.partition:
            judged.add(Kind.REORDERED, f"{told.place}: {order.key!r} was at {before.place}, another partition")
        elif before is not None and told.record.offset < before.record.offset:
            judged.add(Kind.REORDERED, f"{told.place}: comes before {before.place} of {order.key!r}")
        last[order.key] = told


def _fields(answer: Answer) -> dict[str, object]:
    return {
        "number": answer.number,
        "source": answer.source,
        "reason": answer.reason,
        "rule": answer.rule,
        "relationship_version": answer.relationship_version,
        "as_of": answer.as_of,
        "flags": sorted(answer.flags),
    }


def _with_sorted_flags(answer: object) -> object:
    if not isinstance(answer, dict) or not isinstance(answer.get("flags"), list):
        return answer
    return answer | {"flags": sorted(map(str, answer["flags"]))}
