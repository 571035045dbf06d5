"""Which number goes onto an order: every row of the decision table, under both settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import patient
from relationship_worker.domain.customer_numbers import Channel, Ruling, Source, rules_that_did_not_fire, which_number
from relationship_worker.domain.supplier import PartnerWithoutNumber, PublicCatalogue, Settings

PUBLIC, PRIVATE, ABSENT = Channel.PUBLIC, Channel.PRIVATE, None
PARTNER, DEFAULT, NONE = Source.PARTNER, Source.DEFAULT, Source.NONE

BUILT_IN = {}
NEVER_BY_DEFAULT = {"partner_without_number": PartnerWithoutNumber.NONE}
BOOKED_APART = {"public_catalogue": PublicCatalogue.DEFAULT_ALWAYS}
BOTH = NEVER_BY_DEFAULT | BOOKED_APART

# switches, partner, channel, individual, default → number, source, reason, rule
ROWS = [
    (BUILT_IN, True, PUBLIC, "I", "D", "I", PARTNER, None, 1),
    (BUILT_IN, True, PRIVATE, "I", "D", "I", PARTNER, None, 1),
    (BUILT_IN, True, ABSENT, "I", "D", "I", PARTNER, None, 1),
    (BUILT_IN, True, PUBLIC, "I", None, "I", PARTNER, None, 1),
    (BUILT_IN, True, PRIVATE, "I", None, "I", PARTNER, None, 1),
    (BUILT_IN, True, ABSENT, "I", None, "I", PARTNER, None, 1),
    (BUILT_IN, True, PUBLIC, None, "D", "D", DEFAULT, "partner_without_number", 2),
    (BUILT_IN, True, PRIVATE, None, "D", "D", DEFAULT, "partner_without_number", 3),
    (BUILT_IN, True, ABSENT, None, "D", "D", DEFAULT, "partner_without_number", 3),
    (BUILT_IN, True, PUBLIC, None, None, None, NONE, "partner_without_number", 4),
    (BUILT_IN, True, PRIVATE, None, None, None, NONE, "partner_without_number", 4),
    (BUILT_IN, True, ABSENT, None, None, None, NONE, "partner_without_number", 4),
    (BUILT_IN, False, PUBLIC, None, "D", "D", DEFAULT, "not_a_partner", 5),
    (BUILT_IN, False, ABSENT, None, "D", "D", DEFAULT, "not_a_partner", 5),
    (BUILT_IN, False, PRIVATE, None, "D", "D", DEFAULT, "not_a_partner_on_private_catalogue", 6),
    (BUILT_IN, False, PUBLIC, None, None, None, NONE, "default_missing", 7),
    (BUILT_IN, False, PRIVATE, None, None, None, NONE, "default_missing", 7),
    (BUILT_IN, False, ABSENT, None, None, None, NONE, "default_missing", 7),
    (NEVER_BY_DEFAULT, True, PUBLIC, "I", "D", "I", PARTNER, None, 1),
    (NEVER_BY_DEFAULT, True, PRIVATE, "I", "D", "I", PARTNER, None, 1),
    (NEVER_BY_DEFAULT, True, PUBLIC, None, "D", "D", DEFAULT, "partner_without_number", 2),
    (NEVER_BY_DEFAULT, True, PRIVATE, None, "D", None, NONE, "partner_without_number", 3),
    (NEVER_BY_DEFAULT, True, ABSENT, None, "D", None, NONE, "partner_without_number", 3),
    (NEVER_BY_DEFAULT, True, PRIVATE, None, None, None, NONE, "partner_without_number", 4),
    (NEVER_BY_DEFAULT, False, PUBLIC, None, "D", "D", DEFAULT, "not_a_partner", 5),
    (NEVER_BY_DEFAULT, False, PRIVATE, None, "D", "D", DEFAULT, "not_a_partner_on_private_catalogue", 6),
    (NEVER_BY_DEFAULT, False, ABSENT, None, None, None, NONE, "default_missing", 7),
    (BOOKED_APART, True, PUBLIC, "I", "D", "D", DEFAULT, "public_catalogue_default", 1),
    (BOOKED_APART, True, PUBLIC, "I", None, "I", PARTNER, None, 1),
    (BOOKED_APART, True, PRIVATE, "I", "D", "I", PARTNER, None, 1),
    (BOOKED_APART, True, ABSENT, "I", "D", "I", PARTNER, None, 1),
    (BOOKED_APART, True, PUBLIC, None, "D", "D", DEFAULT, "partner_without_number", 2),
    (BOOKED_APART, True, PRIVATE, None, "D", "D", DEFAULT, "partner_without_number", 3),
    (BOOKED_APART, True, PUBLIC, None, None, None, NONE, "partner_without_number", 4),
    (BOOKED_APART, False, PUBLIC, None, "D", "D", DEFAULT, "not_a_partner", 5),
    (BOOKED_APART, False, PRIVATE, None, "D", "D", DEFAULT, "not_a_partner_on_private_catalogue", 6),
    (BOTH, True, PUBLIC, "I", "D", "D", DEFAULT, "public_catalogue_default", 1),
    (BOTH, True, PRIVATE, "I", "D", "I", PARTNER, None, 1),
    (BOTH, True, PUBLIC, None, "D", "D", DEFAULT, "partner_without_number", 2),
    (BOTH, True, ABSENT, None, "D", None, NONE, "partner_without_number", 3),
]


@pytest.mark.parametrize(
    ("switches", "partner", "channel", "individual", "default", "number", "source", "reason", "rule"), ROWS
)
def test_the_decision_table(switches, partner, channel, individual, default, number, source, reason, rule):
    settings = Settings(default_customer_number=default, **switches)

    ruling = which_number(partner=partner, individual=individual, channel=channel, settings=settings)

    assert (ruling.number, ruling.source, ruling.reason, ruling.rule) == (number, source, reason, rule)
    assert ruling.private_catalogue == (rule == 6)


@pytest.mark.parametrize("channel", [PUBLIC, PRIVATE, ABSENT])
def test_a_number_that_is_kept_of_a_former_partner_does_not_count(channel):
    ruling = which_number(partner=False, individual="4711", channel=channel, settings=Settings())

    assert ruling == Ruling(number=None, source=Source.NONE, reason="default_missing", rule=7)


def test_an_individual_number_that_equals_the_default_is_still_the_partners():
    settings = Settings(default_customer_number="4711")

    ruling = which_number(partner=True, individual="4711", channel=PRIVATE, settings=settings)

    assert ruling == Ruling(number="4711", source=Source.PARTNER, reason=None, rule=1)


@patient
@given(
    partner=st.booleans(),
    individual=st.sampled_from([None, "I"]),
    channel=st.sampled_from([None, *Channel]),
    default=st.sampled_from([None, "D"]),
    switches=st.sampled_from([BUILT_IN, NEVER_BY_DEFAULT, BOOKED_APART, BOTH]),
)
def test_every_order_is_answered_and_every_null_has_a_reason(partner, individual, channel, default, switches):
    settings = Settings(default_customer_number=default, **switches)

    ruling = which_number(partner=partner, individual=individual, channel=channel, settings=settings)

    assert (ruling.number is None) == (ruling.source is Source.NONE)
    assert ruling.reason is not None or ruling.source is Source.PARTNER
    assert ruling.number in (None, individual, default)


@pytest.mark.parametrize(
    ("switches", "partner", "channel", "individual", "default", "number", "source", "reason", "rule"), ROWS
)
def test_the_rules_that_did_not_fire_are_all_but_the_one_that_did(
    switches, partner, channel, individual, default, number, source, reason, rule
):
    settings = Settings(default_customer_number=default, **switches)

    others = rules_that_did_not_fire(partner=partner, individual=individual, channel=channel, settings=settings)

    assert {*others, rule} == set(range(1, 8))
    assert rule not in others
    assert all(others.values())


def test_each_rule_that_did_not_fire_says_what_was_missing():
    with_default = Settings(default_customer_number="D")

    on_private = rules_that_did_not_fire(partner=False, individual="kept", channel=PRIVATE, settings=with_default)
    without_channel = rules_that_did_not_fire(partner=True, individual=None, channel=ABSENT, settings=with_default)

    assert on_private == {
        1: "the customer was not a partner then",
        2: "the customer was not a partner then",
        3: "the customer was not a partner then",
        4: "the customer was not a partner then",
        5: "the channel was private",
        7: "the supplier had a default",
    }
    assert without_channel == {
        1: "the partner had no number of its own",
        2: "the order named no channel",
        4: "the supplier had a default",
        5: "the customer was a partner then",
        6: "the customer was a partner then",
        7: "the customer was a partner then",
    }
