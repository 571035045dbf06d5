"""The checker leaves free what the pages leave open: an order beside a fact, or answered before it was caught up."""

import json
from dataclasses import replace
from typing import TypeGuard

from model.corrections import AnsweredOrder
from model.records import Correction, Expected
from system.differences import Kind
from system.expectations import Expectations, expectations
from system.rendering import rendered_answer, rendered_reading
from system.scenario import scenario
from system.spoilt.history import NOW, SMALL, History


def test_an_order_beside_a_fact_may_have_known_it() -> None:
    plans = (expectations(scenario(seed, NOW, SMALL)) for seed in range(100))
    expected, answered = next(
        (plan, order) for plan in plans for order in plan.model.orders.values() if is_corrected_or_knew(order)
    )
    history = History(expected, rendered_reading(expected))

    history.records.remove(history.corrected(answered.courses[0].corrections[0]))

    assert history.judged().report() == "no differences"


def is_corrected_or_knew(answered: AnsweredOrder) -> bool:
    """An order that is corrected once, or never, depending on whether its answer knew the fact."""
    told = [len(course.corrections) for course in answered.courses]
    return told[0] == 1 and 0 in told and answered.courses[told.index(0)].answer == answered.order.answer


def test_an_order_that_was_not_caught_up_says_so_and_its_answer_stands() -> None:
    history = History.of_seed(6)
    order, record = history.order(lambda one: any(answer.number for answer in one.behind) and one.answer.number)
    behind = next(answer for answer in order.behind if answer.number)
    told = json.loads(rendered_answer(behind))

    history.answer(record, **told | {"flags": [*told["flags"], "decisions_not_caught_up"]})
    verdict = history.judged()

    assert (verdict.report(), verdict.not_caught_up) == ("no differences", 1)


def test_an_order_that_travels_beside_facts_may_have_known_all_of_them() -> None:
    plan = scenario(12, NOW, SMALL)
    swapped = replace(
        plan,
        rounds=tuple(replace(round_, early=(), orders=round_.early + round_.orders) for round_ in plan.rounds),
    )

    orders, late_orders = (expectations(played).model.orders for played in (plan, swapped))

    knew_all = {id_: courses_of(order)[-1] for id_, order in orders.items()}
    assert knew_all == {id_: courses_of(order)[0] for id_, order in late_orders.items()}
    assert sum(len(set(map(str, courses_of(order)))) > 1 for order in orders.values()) >= 20


def test_an_order_may_be_corrected_twice_by_one_request_that_a_rule_decides() -> None:
    """By what the request brings, and by what the rule makes of it: once each."""
    expected = expectations(scenario(6, NOW, SMALL))
    at, once = next((at, one) for at, one in enumerate(expected.told) if is_the_only_correction(expected, one))
    again = replace(once, previous=once.answer, answer=replace(once.answer, number=f"{once.answer.number}-2"))
    for course in expected.model.orders[once.supplier_id, once.order_id].courses:
        course.corrections.append(again)
    expected.told.insert(at + 1, again)

    twice = History(expected, rendered_reading(expected))
    assert twice.judged().report() == "no differences"

    twice.records.remove(twice.corrected(once))  # what is left of the two is told in place of the first
    assert {one.kind for one in twice.judged().differences} == {Kind.LOST, Kind.WRONG_VALUE}


def is_the_only_correction(expected: Expectations, told: Expected) -> TypeGuard[Correction]:
    """Of an order that could not go on otherwise."""
    if not isinstance(told, Correction):
        return False
    return [course.corrections for course in expected.model.orders[told.supplier_id, told.order_id].courses] == [[told]]


def courses_of(answered: AnsweredOrder) -> list[list[object]]:
    """What the order may be told, one after the other: answers, and which facts corrected them."""
    return [[course.answer, *((one.cause, one.answer) for one in course.corrections)] for course in answered.courses]
