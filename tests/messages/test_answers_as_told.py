"""The answer to an order as it stands on the wire, beside the order's own bytes."""

import json

import pytest

from builders import ORDER_CREATED, an_event, an_order, write_answer
from relationship_worker.domain.customer_numbers import Ruling, Source
from relationship_worker.messages.orders import Answer, read_answer, read_order

OF_A_PARTNER = Ruling(number="00042", source=Source.PARTNER, reason=None, rule=1)
NOT_A_PARTNER = Ruling(number="D", source=Source.DEFAULT, reason="not_a_partner", rule=5)
OWN_CATALOGUE = Ruling(
    number="D", source=Source.DEFAULT, reason="not_a_partner_on_private_catalogue", rule=6, private_catalogue=True
)
NONE = Ruling(number=None, source=Source.NONE, reason="default_missing", rule=7)


def told(ruling: Ruling, version: int | None = 3, *, caught_up: bool = True, **fields: object) -> dict[str, object]:
    order = read_order(an_event(ORDER_CREATED, an_order(created_at="2026-03-02T13:00:00.5+01:00", **fields)))
    return json.loads(write_answer(order, ruling, version, caught_up=caught_up))


def test_an_answer_says_number_source_reason_rule_version_and_time():
    assert told(OF_A_PARTNER) == {
        "number": "00042",
        "source": "partner",
        "reason": None,
        "rule": 1,
        "relationship_version": 3,
        "as_of": "2026-03-02T12:00:00.500000Z",
        "flags": [],
    }


def test_an_answer_without_a_number():
    assert told(NONE, None, customer_id=None) == {
        "number": None,
        "source": "none",
        "reason": "default_missing",
        "rule": 7,
        "relationship_version": None,
        "as_of": "2026-03-02T12:00:00.500000Z",
        "flags": ["no_customer"],
    }


@pytest.mark.parametrize(
    ("answer", "flags"),
    [
        (told(OF_A_PARTNER, channel="public"), set()),
        (told(OF_A_PARTNER, channel="phone"), {"unknown_channel"}),
        (told(NOT_A_PARTNER, channel=7), {"unknown_channel"}),
        (told(NOT_A_PARTNER, None, customer_id=None), {"no_customer"}),
        (told(OWN_CATALOGUE, channel="private"), {"private_catalogue"}),
        (told(OF_A_PARTNER, caught_up=False), {"decisions_not_caught_up"}),
        (told(NONE, None, customer_id=None, channel=[], caught_up=False),
         {"no_customer", "unknown_channel", "decisions_not_caught_up"}),
        (told(OWN_CATALOGUE, None, customer_id=None, channel="private"), {"no_customer", "private_catalogue"}),
    ],
)  # fmt: skip
def test_the_flags(answer, flags):
    assert set(answer["flags"]) == flags
    assert len(answer["flags"]) == len(flags)


@pytest.mark.parametrize("number", ['"', "\\", "ä", "😀", "</script>", "a b", "%s", "{}", "\U0010ffff", "'"])
def test_any_number_is_told_as_it_is(number):
    ruling = Ruling(number=number, source=Source.PARTNER, reason=None, rule=1)

    assert told(ruling)["number"] == number


def test_equal_rulings_at_different_times_are_told_with_their_own_time():
    orders = [
        read_order(an_event(ORDER_CREATED, an_order(created_at=text)))
        for text in ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    ]

    answers = [read_answer(write_answer(order, OF_A_PARTNER, 1, caught_up=True)) for order in orders]

    assert [answer.as_of for answer in answers] == ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"]


def test_an_answer_is_read_back():
    order = read_order(an_event(ORDER_CREATED, an_order(channel="phone")))

    answer = read_answer(write_answer(order, NOT_A_PARTNER, 2, caught_up=False))

    assert answer == Answer(
        number="D",
        source="default",
        reason="not_a_partner",
        rule=5,
        relationship_version=2,
        as_of="2026-03-02T12:00:00Z",
        flags=["unknown_channel", "decisions_not_caught_up"],
    )
