"""Spoilt corrections."""

import json
from dataclasses import replace

from system.differences import Kind
from system.rendering import rendered_answer
from system.spoilt.history import History, Spoilt


def correct_for_no_reason(history: History) -> None:
    record = history.correction()[1]
    other = history.event("relationship.accepted").header("ce_causationid") or ""
    history.add(record)
    history.head(history.records[-1], "ce_causationid", other.encode())
    history.head(history.records[-1], "ce_id", b"of its own")


def drop_a_correction(history: History) -> None:
    history.records.remove(history.correction()[1])


def double_a_correction(history: History) -> None:
    history.add(history.correction()[1])


def correct_by_another_fact(history: History) -> None:
    history.head(history.correction()[1], "ce_causationid", b"some other fact")


def correct_with_another_number(history: History) -> None:
    correction, record = history.correction()
    history.correct(record, number=f"{correction.answer.number}0")


def correct_as_of_the_creation(history: History) -> None:
    correction, record = history.correction(lambda one: one.answer.as_of != one.previous.as_of)
    history.correct(record, as_of=correction.previous.as_of.isoformat())


def forget_what_was_told_last(history: History) -> None:
    correction, record = history.correction(lambda one: one.previous.number is not None)
    answer = json.loads(rendered_answer(correction.previous))
    history.tell(record, previous=answer | {"number": None, "source": "none"})


def correct_another_customers_order(history: History) -> None:
    history.tell(history.correction()[1], customer_id="another")


def correct_under_another_key(history: History) -> None:
    record = history.correction()[1]
    history.put(record, replace(record, key=b"another"))


def correct_on_another_partition(history: History) -> None:
    record = history.correction()[1]
    history.put(record, replace(record, partition=(record.partition + 1) % 4, offset=1_000_000))


def correct_before_the_order(history: History) -> None:
    correction, record = history.correction()
    history.swap(record, history.first(correction))


def correct_backwards(history: History) -> None:
    first, second = next(
        order.courses[0].corrections[:2]
        for order in history.expected.model.orders.values()
        if len(order.courses) == 1 and len(order.courses[0].corrections) > 1
    )
    history.swap(history.corrected(first), history.corrected(second))


def correct_with_another_suppliers_number(history: History) -> None:
    correction, record = history.correction()
    suppliers = history.expected.plan.suppliers
    other = next(index for supplier, index in suppliers.items() if supplier != correction.supplier_id)
    history.correct(record, number=f"{other:02}-00001-1")


def tell_a_corrected_order_its_first_answer_again(history: History) -> None:
    orders = history.expected.model.orders
    order, record = history.order(
        lambda one: any(
            correction.turn < one.turn for correction in orders[one.supplier_id, one.order_id].courses[0].corrections
        )
    )
    first = orders[order.supplier_id, order.order_id].order
    history.answer(record, **json.loads(rendered_answer(first.answer)))


SPOILT: tuple[Spoilt, ...] = (
    (correct_for_no_reason, {Kind.GHOST}),
    (drop_a_correction, {Kind.LOST}),
    (double_a_correction, {Kind.DUPLICATE}),
    (correct_by_another_fact, {Kind.GHOST, Kind.LOST}),
    (correct_with_another_number, {Kind.WRONG_VALUE}),
    (correct_as_of_the_creation, {Kind.WRONG_VALUE}),
    (forget_what_was_told_last, {Kind.WRONG_VALUE}),
    (correct_another_customers_order, {Kind.WRONG_VALUE}),
    (correct_under_another_key, {Kind.KEY_CHANGED}),
    (correct_on_another_partition, {Kind.REORDERED}),
    (correct_before_the_order, {Kind.REORDERED}),
    (correct_backwards, {Kind.REORDERED}),
    (correct_with_another_suppliers_number, {Kind.CROSS_TENANT, Kind.WRONG_VALUE}),
    (tell_a_corrected_order_its_first_answer_again, {Kind.WRONG_VALUE}),
)
