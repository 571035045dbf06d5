"""Corrections: a fact that becomes known may change what orders must be told. The page's paragraph, sentence by sentence."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from model.envelope import Event
from model.orders import Question
from model.records import ENRICHED, Answer, Correction, EnrichedOrder

if TYPE_CHECKING:
    from model.worker import Model

_GAPS = ("partner_without_number", "default_missing")


@dataclass
class Course:
    """What an order is told, one after the other: an answer, and what corrects it."""

    answer: Answer
    corrections: list[Correction] = field(default_factory=list)

    @property
    def last(self) -> Answer:
        """What the order was told last."""
        return self.corrections[-1].answer if self.corrections else self.answer


@dataclass
class AnsweredOrder:
    """An order and the ways in which it may have gone on.

    The first course is that of the records as they were taken. Until all is settled, facts race with the order: its
    answer may have known any number of those that came after it, which then do not correct it. Each is a course.
    """

    order: EnrichedOrder
    asked: Question
    courses: list[Course]

    @classmethod
    def first(cls, order: EnrichedOrder, asked: Question) -> "AnsweredOrder":
        """The order as it was answered, by all facts that are known."""
        return cls(order=order, asked=asked, courses=[Course(order.answer)])


def corrections(model: "Model", event: Event) -> list[Correction]:
    """What orders have to be told anew, once the fact that an event brought is known. An order itself corrects nothing."""
    told = []
    customer_id = event.data.get("customer_id")
    for answered in model.answered_of(
        str(event.data["supplier_id"]), None if customer_id is None else str(customer_id)
    ):
        due = must_be_told(answered.asked)
        for course in answered.courses:
            if is_another(due, course.last) and due.number is not None and _window(answered.asked):
                course.corrections.append(_correction(answered, course, due, event, model.turn))
                told += course.corrections[-1:] if course is answered.courses[0] else []
        if answered.order.turn == model.turn:
            answered.courses.append(Course(answered.asked.answer()))
    return told


def must_be_told(asked: Question) -> Answer:
    """(a) The table's answer as of the creation; (b) of a gap, as of the earliest later fact in the window that fills it."""
    as_created = asked.answer()
    if as_created.reason not in _GAPS:
        return as_created
    fills = [version.valid_from for version in asked.relationship.versions if version.brings_number]
    if as_created.number is None:
        fills += asked.supplier.defaults_named
    for at in sorted(fills):
        if asked.created_at < at <= asked.created_at + _window(asked):
            filled = asked.answer(at=at)
            if filled.number is not None and is_another(filled, as_created):
                return filled
    return as_created


def is_another(one: Answer, other: Answer) -> bool:
    """Only another number, or another one's number, is worth a word."""
    return (one.number, one.source) != (other.number, other.source)


def _window(asked: Question) -> timedelta:
    """That of the supplier's newest settings; none at all means no corrections at all."""
    return timedelta(hours=asked.supplier.newest.correction_window_hours)


def _correction(answered: AnsweredOrder, course: Course, due: Answer, event: Event, turn: int) -> Correction:
    order = answered.order
    return Correction(
        topic=ENRICHED,
        key=order.key,
        type="order.customer-number-corrected",
        subject=order.order_id,
        cause=event.cause,
        trace=event.trace,
        supplier_id=order.supplier_id,
        customer_id=order.customer_id,
        order_id=order.order_id,
        previous=course.last,
        answer=due,
        turn=turn,
    )
