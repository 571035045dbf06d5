"""The model's corrections, held against the page's paragraph about them."""

from datetime import UTC, datetime

import pytest

from model.builders import Told
from model.records import Correction, Outcome

_MARCH = "2026-03-01T00:00:00"  # when orders are created, unless a test says otherwise


def a_partner_without_number(**settings: object) -> Told:
    """A desk with one partner whose number is still to come."""
    desk = Told()
    desk.settings("2025-01-01T00:00:00", **settings)
    desk.request("2026-01-01T00:00:00")
    desk.accept("2026-01-02T00:00:00")
    return desk


def numbers(outcomes: list[Outcome]) -> list[tuple[str, str | None]]:
    """(order, number) of what is told anew."""
    return [(one.order_id, one.answer.number) for one in outcomes if isinstance(one, Correction)]


def test_a_number_that_comes_later_fills_the_gap_as_of_its_own_time() -> None:
    desk = a_partner_without_number()
    order = desk.order(_MARCH, channel="shop")

    [_, correction] = desk.number("2026-03-02T00:00:00", "4711")

    assert isinstance(correction, Correction)
    assert (correction.key, correction.subject, correction.cause.id) == (order.key, "o", "e5")
    assert correction.previous == order.answer
    assert (correction.answer.number, correction.answer.source, correction.answer.rule) == ("4711", "partner", 1)
    assert correction.answer.relationship_version == 3
    assert correction.answer.as_of == datetime(2026, 3, 2, tzinfo=UTC)
    assert correction.answer.flags == {"unknown_channel"}


def test_a_default_fills_what_went_out_without_a_number_and_nothing_else() -> None:
    desk = a_partner_without_number(default_customer_number="D")
    desk.order("2025-12-31T00:00:00", "nobody's", customer_id=None)
    desk.order(_MARCH, "partner's")
    desk.settings("2026-03-02T00:00:00", default_customer_number=None)
    desk.order("2026-03-02T00:00:00", "late")

    assert numbers(desk.settings("2026-03-03T00:00:00", default_customer_number="E")) == [("late", "E")]


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2026-03-01T00:00:00.000001", [("o", "4711")]),
        ("2026-03-04T00:00:00", [("o", "4711")]),
        ("2026-03-04T00:00:00.000001", []),
    ],
)
def test_the_window_closes_72_hours_after_the_creation(at: str, told: list[tuple[str, str]]) -> None:
    desk = a_partner_without_number()
    desk.order(_MARCH)

    assert numbers(desk.number(at, "4711")) == told


def test_the_window_is_that_of_the_newest_settings() -> None:
    desk = a_partner_without_number()
    desk.order(_MARCH)
    desk.number("2026-03-10T00:00:00", "4711")

    assert numbers(desk.settings("2026-03-11T00:00:00", correction_window_hours=720)) == [("o", "4711")]


def test_without_a_window_nothing_is_corrected_at_all() -> None:
    desk = a_partner_without_number(correction_window_hours=0)
    desk.order(_MARCH)

    assert numbers(desk.number("2026-02-01T00:00:00", "4711")) == []
    assert numbers(desk.settings("2026-03-11T00:00:00", correction_window_hours=1)) == [("o", "4711")]


def test_the_earliest_fact_wins_though_it_became_known_last() -> None:
    desk = a_partner_without_number()
    desk.order(_MARCH)
    desk.settings("2026-03-02T00:00:00", default_customer_number="D")

    assert numbers(desk.number("2026-03-01T12:00:00", "4711")) == [("o", "4711")]
    assert numbers(desk.number("2026-03-03T00:00:00", "4712")) == []


def test_a_decision_that_becomes_known_late_changes_the_answer_as_of_the_creation() -> None:
    desk = Told()
    desk.settings("2025-01-01T00:00:00", default_customer_number="D")
    desk.request("2026-01-01T00:00:00")
    desk.order("2026-02-28T00:00:00", "before")
    desk.order(_MARCH, "since")

    assert numbers(desk.accept("2026-02-28T12:00:00", "4711")) == [("since", "4711")]
    assert numbers(desk.end("2026-02-28T18:00:00")) == [("since", "D")]


def test_a_number_is_never_taken_back_to_none() -> None:
    desk = a_partner_without_number(default_customer_number="D")
    desk.order(_MARCH)

    assert numbers(desk.settings("2026-02-01T00:00:00", default_customer_number=None)) == []
    assert numbers(desk.settings("2026-02-02T00:00:00", default_customer_number=" D ")) == []


def test_a_removal_fills_no_gap_and_neither_does_a_number_that_was_kept() -> None:
    desk = a_partner_without_number()
    desk.number("2026-01-03T00:00:00", "4711")
    desk.end("2026-01-04T00:00:00")
    desk.order(_MARCH)

    assert numbers(desk.accept("2026-03-01T01:00:00")) == []
    assert numbers(desk.number("2026-03-01T02:00:00", "")) == []
    assert numbers(desk.number("2026-03-01T03:00:00", "4712")) == [("o", "4712")]


def test_what_is_known_when_the_order_comes_corrects_it_with_the_next_fact() -> None:
    desk = a_partner_without_number()
    desk.number("2026-03-02T00:00:00", "4711")

    assert desk.order(_MARCH).answer.number is None
    assert numbers(desk.end("2026-03-05T00:00:00")) == [("o", "4711")]


def test_an_order_that_comes_again_is_told_its_correction_and_the_first_customers_facts_count() -> None:
    desk = a_partner_without_number()
    desk.order(_MARCH)
    desk.order(_MARCH, customer_id="another")

    desk.request("2026-03-02T00:00:00", customer_id="another")
    assert numbers(desk.accept("2026-03-02T00:00:00", "4712", customer_id="another")) == []
    assert numbers(desk.number("2026-03-02T00:00:00", "4711")) == [("o", "4711")]

    again = desk.order(_MARCH, customer_id="another")
    assert (again.answer.number, again.customer_id) == ("4711", "another")


def test_decisions_that_waited_for_the_request_correct_one_after_the_other() -> None:
    desk = Told()
    desk.order(_MARCH)
    desk.accept("2026-02-02T00:00:00", "4711")
    desk.number("2026-02-03T00:00:00", "4712")

    told = desk.request("2026-02-01T00:00:00")

    assert numbers(told) == [("o", "4711"), ("o", "4712")]
    assert [one.cause.id for one in told if isinstance(one, Correction)] == ["e2", "e3"]


def test_an_order_beside_facts_may_have_known_some_of_them_until_all_is_settled() -> None:
    desk = a_partner_without_number()
    desk.order(_MARCH)
    desk.number("2026-03-02T00:00:00", "4711")
    desk.end("2026-03-03T00:00:00")
    desk.model.settle()
    desk.settings("2026-03-04T00:00:00", default_customer_number="D")

    courses = desk.model.orders["s", "o"].courses

    assert [[one.cause.id for one in course.corrections] for course in courses] == [["e5"], ["e6"], ["e7"]]
    assert [[one.turn for one in course.corrections] for course in courses] == [[0], [0], [1]]
