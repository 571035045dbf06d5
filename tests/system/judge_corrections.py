"""Corrections: behind their orders, one for each fact that changes what an order must be told, each once."""

from collections import defaultdict
from dataclasses import dataclass, field

from model.corrections import Course
from model.records import Answer, Correction, EnrichedOrder
from system.differences import Difference, Kind, answer_shown, differing, differing_answer, is_in_utc
from system.expectations import OrderId
from system.told import Told, envelope_differences

CORRECTED = "order.customer-number-corrected"


@dataclass
class FirstTold:
    """An order's first event: how it went out, what it was rightly told, and what that was corrected to.

    The course is None where the order was not caught up: nobody can say from outside which facts it knew.
    """

    order: EnrichedOrder
    told: Told | None
    answer: Answer
    course: Course | None
    corrections: list[Told] = field(default_factory=list)

    def told_by(self, turn: int) -> list[Answer]:
        """What the order was told last when a turn began, and whatever else it is told in the turn."""
        corrections = [] if self.course is None else self.course.corrections
        before = [self.answer, *(one.answer for one in corrections if one.turn < turn)]
        return [before[-1], *(one.answer for one in corrections if one.turn == turn)]


def by_order(outputs: list[Told]) -> dict[OrderId, list[Told]]:
    """Corrections by the order that they name, each partition in its order."""
    found: dict[OrderId, list[Told]] = defaultdict(list)
    for told in outputs:
        found[str(told.data.get("supplier_id")), str(told.data.get("order_id"))].append(told)
    return found


def likeliest(courses: list[Course], corrections: list[Told]) -> Course:
    """Of the ways in which an order may have gone on, the one that fits best."""
    return min(courses, key=lambda course: len(_differences_from(course, corrections)))


def judge_corrections(outputs: dict[OrderId, list[Told]], firsts: dict[OrderId, FirstTold]) -> list[Difference]:
    """Hold the corrections against the courses that their orders took."""
    differences = []
    for order_id, corrections in outputs.items():
        if order_id not in firsts:
            differences += [_of(Kind.GHOST, f"{told.place}: corrects {order_id}") for told in corrections]
    for first in firsts.values():
        if first.course is not None:
            differences += _differences_from(first.course, first.corrections)
        for told in first.corrections:
            differences += _judge_place(told, first)
    return differences


def _differences_from(course: Course, corrections: list[Told]) -> list[Difference]:
    """A request that a rule decides brings two facts, and may correct an order twice: what is told comes in their order."""
    differences = []
    found: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for told in corrections:
        found[told.cause].append(told)
    first = {cause: some[0] for cause, some in found.items()}
    last: Told | None = None
    for correction in course.corrections:
        left = found[correction.cause.source, correction.cause.id]
        one = left.pop(0) if left else None
        if one is None:
            what = f"correction of {correction.subject} of {correction.supplier_id}, caused by {correction.cause.id}"
            differences.append(_of(Kind.LOST, what))
            continue
        differences += _judge_one(correction, one)
        if last is not None and one.record.offset < last.record.offset:
            differences.append(_of(Kind.REORDERED, f"{one.place}: comes before {last.place}, which it corrects"))
        last = one
    return differences + [_too_much(told, first[told.cause]) for some in found.values() for told in some]


def _too_much(told: Told, first: Told) -> Difference:
    if told is not first:
        return _of(Kind.DUPLICATE, f"{told.place}: stands at {first.place} already")
    return _of(Kind.GHOST, f"{told.place}: {told.data.get('order_id')!r} corrected by {told.cause}")


def _judge_one(correction: Correction, told: Told) -> list[Difference]:
    differences = []
    for name, answer in (("previous", correction.previous), ("customer_number", correction.answer)):
        if differing_answer(answer, told.data.get(name)):
            what = f"{told.place}: {name} of {correction.subject} {answer_shown(answer, told.data.get(name))}"
            differences.append(_of(Kind.WRONG_VALUE, what))
    customer = {"customer_id": correction.customer_id}
    if differing(customer, told.data):
        differences.append(_of(Kind.WRONG_VALUE, f"{told.place}: {told.data.get('customer_id')!r} is another customer"))
    extensions = {
        "ce_supplierid": correction.supplier_id,
        "ce_customerid": correction.customer_id,
        "ce_customernumber": _number(told),
    }
    return differences + envelope_differences(told, correction, extensions)


def _judge_place(told: Told, first: FirstTold) -> list[Difference]:
    """On the order's partition and under its key, behind it; both answers as of an instant in UTC."""
    differences = []
    if told.record.key != first.order.key:
        differences.append(_of(Kind.KEY_CHANGED, f"{told.place}: {first.order.key!r} became {told.record.key!r}"))
    if first.told is not None and told.record.partition != first.told.record.partition:
        differences.append(_of(Kind.REORDERED, f"{told.place}: its order is at {first.told.place}, another partition"))
    elif first.told is not None and told.record.offset < first.told.record.offset:
        differences.append(_of(Kind.REORDERED, f"{told.place}: comes before its order at {first.told.place}"))
    for name in ("previous", "customer_number"):
        answer = told.data.get(name)
        if isinstance(answer, dict) and not is_in_utc(answer.get("as_of")):
            differences.append(_of(Kind.WRONG_VALUE, f"{told.place}: as_of {answer.get('as_of')!r} is not in UTC"))
    return differences


def _number(told: Told) -> str | None:
    answer = told.data.get("customer_number")
    number = answer.get("number") if isinstance(answer, dict) else None
    return number if isinstance(number, str) else None


def _of(kind: Kind, what: str) -> Difference:
    return Difference(kind=kind, what=what)
