"""The model's reading of orders and settings, held against sentences of the pages."""

import pytest

from model.builders import Told, told
from model.orders import not_caught_up

_NUMBERED = {"customer_id": "numbered"}
_PLAIN = {"customer_id": "plain"}


def a_desk(**settings: object) -> Told:
    """A supplier with a partner that has a number and one that has none."""
    desk = Told()
    desk.settings("2025-01-01T00:00:00", **settings)
    for customer in ("numbered", "plain"):
        desk.request("2026-01-01T00:00:00", customer_id=customer)
    desk.accept("2026-01-02T00:00:00", "4711", customer_id="numbered")
    desk.accept("2026-01-02T00:00:00", customer_id="plain")
    return desk


@pytest.mark.parametrize(
    ("settings", "order", "answer"),
    [
        ({"default_customer_number": "D"}, _NUMBERED, ("4711", "partner", None, 1)),
        (
            {"default_customer_number": "D"},
            _PLAIN | {"channel": "public"},
            ("D", "default", "partner_without_number", 2),
        ),
        (
            {"default_customer_number": "D"},
            _PLAIN | {"channel": "private"},
            ("D", "default", "partner_without_number", 3),
        ),
        ({"default_customer_number": "D"}, _PLAIN, ("D", "default", "partner_without_number", 3)),
        ({}, _PLAIN, (None, "none", "partner_without_number", 4)),
        ({"default_customer_number": "D"}, {"channel": "public"}, ("D", "default", "not_a_partner", 5)),
        (
            {"default_customer_number": "D"},
            {"channel": "private"},
            ("D", "default", "not_a_partner_on_private_catalogue", 6),
        ),
        ({}, {"channel": "private"}, (None, "none", "default_missing", 7)),
        (
            {"default_customer_number": "D", "partner_without_number": "none"},
            _PLAIN,
            (None, "none", "partner_without_number", 3),
        ),
        (
            {"default_customer_number": "D", "partner_without_number": "none"},
            _PLAIN | {"channel": "public"},
            ("D", "default", "partner_without_number", 2),
        ),
        (
            {"default_customer_number": "D", "public_catalogue": "default_always"},
            _NUMBERED | {"channel": "public"},
            ("D", "default", "public_catalogue_default", 1),
        ),
        ({"public_catalogue": "default_always"}, _NUMBERED | {"channel": "public"}, ("4711", "partner", None, 1)),
        (
            {"default_customer_number": "D", "public_catalogue": "default_always"},
            _NUMBERED,
            ("4711", "partner", None, 1),
        ),
    ],
)
def test_the_decision_table_answers(
    settings: dict[str, object], order: dict[str, object], answer: tuple[str | None, str, str | None, int]
) -> None:
    found = a_desk(**settings).order("2026-02-01T00:00:00", **order).answer

    assert (found.number, found.source, found.reason, found.rule) == answer


@pytest.mark.parametrize(
    ("created_at", "number", "version"),
    [
        ("2025-12-31T23:59:59.999", "D", None),
        ("2026-01-01T23:59:59.999999", "D", 1),
        ("2026-01-02T00:00:00", "4711", 2),
        ("2199-01-01T00:00:00", "4711", 2),
    ],
)
def test_the_order_goes_by_what_held_when_it_was_created(created_at: str, number: str, version: int | None) -> None:
    answer = a_desk(default_customer_number="D").order(created_at, **_NUMBERED).answer

    assert (answer.number, answer.relationship_version) == (number, version)


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({"customer_id": None}, {"no_customer"}),
        ({"channel": "PUBLIC"}, {"unknown_channel"}),
        ({"channel": 7}, {"unknown_channel"}),
        ({"channel": "private"}, {"private_catalogue"}),
        ({"channel": None}, set()),
    ],
)
def test_what_is_unusual_about_an_order_is_flagged(fields: dict[str, object], flags: set[str]) -> None:
    answer = a_desk(default_customer_number="D").order("2026-02-01T00:00:00", **fields).answer

    assert answer.flags == flags


def test_the_same_order_again_gets_the_first_answer_and_no_second_complaint() -> None:
    desk = a_desk()
    first = desk.order("2026-02-01T00:00:00", **_PLAIN)
    desk.number("2026-02-15T00:00:00", "0815", **_PLAIN)

    again = desk.order("2026-03-01T00:00:00", **_PLAIN)

    assert again.answer == first.answer
    assert told(desk.events)[-4:] == [
        "order.enriched",
        "order.customer-number-missing",
        "customer-number-changed",
        "order.enriched",
    ]


def test_an_order_knows_what_it_would_have_been_told_before_the_decisions_were_applied() -> None:
    desk = a_desk(default_customer_number="D")
    desk.model.settle()
    desk.number("2026-01-15T00:00:00", "0815", **_NUMBERED)

    order = desk.order("2026-02-01T00:00:00", **_NUMBERED)

    assert order.answer.number == "0815"
    assert {answer.number for answer in order.behind} == {"4711"}
    assert {answer.number for answer in order.outdated} == {"4711", "D", None}
    assert not_caught_up(order.answer).flags == {"decisions_not_caught_up"}


@pytest.mark.parametrize(
    "fields",
    [
        {"time_zone": "Mars/Olympus"},
        {"reminder_time": "24:00"},
        {"customer_number_max_length": 65},
        {"customer_number_max_length": "20"},
        {"correction_window_hours": 721},
        {"partner_without_number": "maybe"},
        {"default_customer_number": "x" * 21},
        {"default_customer_number": 7},
    ],
)
def test_one_wrong_setting_refuses_all_of_an_event(fields: dict[str, object]) -> None:
    desk = a_desk(default_customer_number="D")

    assert told(desk.settings("2025-02-01T00:00:00", **{"default_customer_number": "E"} | fields)) == [
        "refused invalid_settings"
    ]
    assert desk.order("2026-02-01T00:00:00").answer.number == "D"


def test_settings_are_merged_reset_by_null_and_never_go_back() -> None:
    desk = a_desk(default_customer_number="D", public_catalogue="default_always")

    assert told(desk.settings("2024-12-31T00:00:00", default_customer_number="E")) == ["refused stale"]
    desk.settings("2026-03-01T00:00:00", default_customer_number=None, colour="ignored")

    assert desk.order("2026-02-28T00:00:00", "o1", channel="public").answer.number == "D"
    assert desk.order("2026-03-01T00:00:00", "o2", channel="public").answer.number is None
    assert desk.model.supplier("s").newest.public_catalogue == "default_always"
