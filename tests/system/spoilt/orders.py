"""Spoilt orders."""

import json
from dataclasses import replace

from model.records import ENRICHED
from system.differences import Kind
from system.rendering import rendered_answer
from system.spoilt.history import History, Spoilt


def drop_an_order(history: History) -> None:
    history.records.remove(history.order(lambda one: one.answer.number)[1])


def double_an_order(history: History) -> None:
    history.add(history.find(ENRICHED))


def swap_orders_of_a_key(history: History) -> None:
    first = history.find(ENRICHED, lambda record: (record.key or b"").startswith(b"shop-"))
    second = history.find(ENRICHED, lambda record: record.key == first.key and record != first)
    history.swap(first, second)


def part_orders_of_a_key(history: History) -> None:
    order = history.find(ENRICHED, lambda record: (record.key or b"").startswith(b"shop-"))
    history.put(order, replace(order, partition=(order.partition + 1) % 4, offset=1_000_000))


def forget_a_leading_zero(history: History) -> None:
    order, record = history.order(lambda one: (one.answer.number or "").startswith("0"))
    history.answer(record, number=(order.answer.number or "")[1:])


def name_another_rule(history: History) -> None:
    history.answer(history.find(ENRICHED), rule=True)


def drop_a_flag(history: History) -> None:
    history.answer(history.order(lambda one: one.answer.flags == {"unknown_channel"})[1], flags=[])


def claim_to_be_behind(history: History) -> None:
    settled = history.order(lambda one: one.answer.rule == 1 and not one.behind)[1]
    history.answer(settled, number=None, source="none", rule=7, flags=["decisions_not_caught_up"])


def tell_an_outdated_answer(history: History) -> None:
    order, record = history.order(lambda one: any(answer.number != one.answer.number for answer in one.outdated))
    outdated = next(answer for answer in order.outdated if answer.number != order.answer.number)
    history.answer(record, **json.loads(rendered_answer(outdated)))


def round_a_price(history: History) -> None:
    record = history.find(ENRICHED, lambda one: b"1.10" in (one.value or b""))
    history.put(record, replace(record, value=(record.value or b"").replace(b"1.10", b"1.1")))


def lose_an_unknown_field(history: History) -> None:
    record = history.find(ENRICHED, lambda one: b'"x_0":' in (one.value or b""))
    history.put(record, replace(record, value=(record.value or b"").replace(b'"x_0":', b'"y_0":')))


def lose_a_key(history: History) -> None:
    record = history.find(ENRICHED, lambda one: one.key == b"")
    history.put(record, replace(record, key=None))


def invent_an_order(history: History) -> None:
    history.head(history.order(lambda one: one.answer.number)[1], "ce_causationid", b"nobody sent this")


def correct_an_order(history: History) -> None:
    record = history.find(ENRICHED)
    history.add(record)
    history.head(history.records[-1], "ce_type", b"order.customer-number-corrected")
    history.head(history.records[-1], "ce_id", b"of its own")


def give_another_suppliers_number(history: History) -> None:
    order, record = history.order(lambda one: one.answer.number)
    other = next(index for supplier, index in history.expected.plan.suppliers.items() if supplier != order.supplier_id)
    history.answer(record, number=f"{other:02}-00001-1")


SPOILT: tuple[Spoilt, ...] = (
    (drop_an_order, {Kind.LOST}),
    (double_an_order, {Kind.DUPLICATE}),
    (swap_orders_of_a_key, {Kind.REORDERED}),
    (part_orders_of_a_key, {Kind.REORDERED}),
    (forget_a_leading_zero, {Kind.WRONG_VALUE}),
    (name_another_rule, {Kind.WRONG_VALUE}),
    (drop_a_flag, {Kind.WRONG_VALUE}),
    (claim_to_be_behind, {Kind.WRONG_VALUE}),
    (tell_an_outdated_answer, {Kind.STALE}),
    (round_a_price, {Kind.BYTES_CHANGED}),
    (lose_an_unknown_field, {Kind.BYTES_CHANGED}),
    (lose_a_key, {Kind.KEY_CHANGED}),
    (invent_an_order, {Kind.GHOST, Kind.LOST}),
    (correct_an_order, {Kind.GHOST}),
    (give_another_suppliers_number, {Kind.CROSS_TENANT, Kind.WRONG_VALUE}),
)
