"""Orders: each once, in order, with the right answer beside its own bytes."""

from dataclasses import dataclass, field

from model.corrections import Course
from model.orders import missing_number, not_caught_up
from model.records import Answer, EnrichedOrder, Expected
from system.differences import Difference, Kind, answer_shown, differing_answer, is_in_utc
from system.expectations import Expectations, OrderId
from system.judge_corrections import FirstTold, likeliest
from system.told import Told, envelope_differences


@dataclass
class JudgedOrders:
    """What is wrong with the orders, and which of them were rightly answered without a number."""

    differences: list[Difference] = field(default_factory=list)
    missing_numbers: list[Expected] = field(default_factory=list)
    not_caught_up: int = 0
    firsts: dict[OrderId, FirstTold] = field(default_factory=dict)

    def add(self, kind: Kind, what: str) -> None:
        """Note a difference."""
        self.differences.append(Difference(kind=kind, what=what))


def judge_orders(expected: Expectations, outputs: list[Told], corrections: dict[OrderId, list[Told]]) -> JudgedOrders:
    """Hold the enriched orders against the expected ones; corrections say which facts an order had not known."""
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
    for order in orders:
        order_id = (order.supplier_id, order.order_id)
        first = judged.firsts.get(order_id)
        told_order = found.get((order.cause.source, order.cause.id))
        if told_order is None:
            judged.add(Kind.LOST, f"order {order.order_id} of {order.supplier_id}, event {order.cause.id}")
        else:
            _judge_beside_answer(judged, order, told_order)
        if first is None:
            courses = expected.model.orders[order_id].courses
            first = _first_told(judged, order, told_order, courses, corrections.get(order_id, []))
            judged.firsts[order_id] = first
            if first.answer.number is None:
                judged.missing_numbers.append(missing_number(order, first.answer))
        elif told_order is not None:
            _judge_again(judged, order, told_order, first)
    _judge_order(judged, orders, found)
    return judged


def _first_told(
    judged: JudgedOrders, order: EnrichedOrder, told: Told | None, courses: list[Course], corrections: list[Told]
) -> FirstTold:
    """What the order was rightly told. An answer that was not caught up stands, also when the order comes again."""
    answer = told.data.get("customer_number") if told else None
    possible = [course for course in courses if not differing_answer(course.answer, answer)]
    if told is not None and not possible:
        for behind in (*(course.answer for course in courses), *order.behind):
            if not differing_answer(not_caught_up(behind), answer):
                judged.not_caught_up += 1
                return FirstTold(order, told, not_caught_up(behind), None, corrections)
        _judge_wrong_answer(judged, order, told, order.answer)
    course = likeliest(possible or courses, corrections)
    return FirstTold(order, told, course.answer, course, corrections)


def _judge_again(judged: JudgedOrders, order: EnrichedOrder, told: Told, first: FirstTold) -> None:
    """The order came again: it is told what it was told last. A correction that comes meanwhile may be ahead, or not."""
    if first.course is None and first.corrections:
        return
    expected = first.told_by(order.turn)
    if all(differing_answer(answer, told.data.get("customer_number")) for answer in expected):
        _judge_wrong_answer(judged, order, told, expected[0])


def _judge_wrong_answer(judged: JudgedOrders, order: EnrichedOrder, told: Told, expected: Answer) -> None:
    answer = told.data.get("customer_number")
    is_outdated = any(not differing_answer(outdated, answer) for outdated in order.outdated)
    kind = Kind.STALE if is_outdated else Kind.WRONG_VALUE
    judged.add(kind, f"{told.place}: {order.subject} {answer_shown(expected, answer)}")


def _judge_beside_answer(judged: JudgedOrders, order: EnrichedOrder, told: Told) -> None:
    if told.order != order.order:
        judged.add(Kind.BYTES_CHANGED, f"{told.place}: {order.order!r} became {told.order!r}")
    if told.record.key != order.key:
        judged.add(Kind.KEY_CHANGED, f"{told.place}: {order.key!r} became {told.record.key!r}")
    answer = told.data.get("customer_number")
    if isinstance(answer, dict) and not is_in_utc(answer.get("as_of")):
        judged.add(Kind.WRONG_VALUE, f"{told.place}: as_of {answer.get('as_of')!r} is not in UTC")
    number = answer.get("number") if isinstance(answer, dict) else None
    extensions = {
        "ce_supplierid": order.supplier_id,
        "ce_customerid": order.customer_id,
        "ce_customernumber": number if isinstance(number, str) else None,
    }
    judged.differences += envelope_differences(told, order, extensions)


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
