"""The transition table of a relationship, cell by cell."""

from datetime import date

import pytest

from builders import NOON, a_relationship, judged, minutes_after_noon
from relationship_worker.domain.relationship import (
    Changed,
    Kind,
    Parked,
    Refusal,
    Refused,
    Relationship,
    State,
    Unchanged,
    after,
    decide,
)

NUMBER_SET = "number set"

# Copied from the domain page: a state is where the input leads to.
TABLE = {
    State.NONE: {
        Kind.REQUEST: State.REQUESTED,
        Kind.WITHDRAW: Refused(Refusal.UNKNOWN_RELATIONSHIP),
        Kind.ACCEPT: Parked(),
        Kind.REJECT: Parked(),
        Kind.DEFER: Parked(),
        Kind.END: Parked(),
        Kind.NUMBER: Parked(),
    },
    State.REQUESTED: {
        Kind.REQUEST: Unchanged(),
        Kind.WITHDRAW: State.WITHDRAWN,
        Kind.ACCEPT: State.PARTNER,
        Kind.REJECT: State.REJECTED,
        Kind.DEFER: State.DEFERRED,
        Kind.END: Refused(Refusal.NOT_A_PARTNER),
        Kind.NUMBER: Refused(Refusal.NOT_A_PARTNER),
    },
    State.DEFERRED: {
        Kind.REQUEST: Unchanged(),
        Kind.WITHDRAW: State.WITHDRAWN,
        Kind.ACCEPT: State.PARTNER,
        Kind.REJECT: State.REJECTED,
        Kind.DEFER: State.DEFERRED,
        Kind.END: Refused(Refusal.NOT_A_PARTNER),
        Kind.NUMBER: Refused(Refusal.NOT_A_PARTNER),
    },
    State.PARTNER: {
        Kind.REQUEST: Unchanged(),
        Kind.WITHDRAW: Refused(Refusal.ALREADY_PARTNER),
        Kind.ACCEPT: Unchanged(),
        Kind.REJECT: Refused(Refusal.ALREADY_PARTNER),
        Kind.DEFER: Refused(Refusal.ALREADY_PARTNER),
        Kind.END: State.ENDED,
        Kind.NUMBER: NUMBER_SET,
    },
    State.REJECTED: {
        Kind.REQUEST: State.REQUESTED,
        Kind.WITHDRAW: Refused(Refusal.NOT_OPEN),
        Kind.ACCEPT: State.PARTNER,
        Kind.REJECT: Unchanged(),
        Kind.DEFER: Refused(Refusal.NOT_OPEN),
        Kind.END: Refused(Refusal.NOT_A_PARTNER),
        Kind.NUMBER: Refused(Refusal.NOT_A_PARTNER),
    },
    State.ENDED: {
        Kind.REQUEST: State.REQUESTED,
        Kind.WITHDRAW: Refused(Refusal.NOT_OPEN),
        Kind.ACCEPT: State.PARTNER,
        Kind.REJECT: State.REJECTED,
        Kind.DEFER: Refused(Refusal.NOT_OPEN),
        Kind.END: Unchanged(),
        Kind.NUMBER: Refused(Refusal.NOT_A_PARTNER),
    },
    State.WITHDRAWN: {
        Kind.REQUEST: State.REQUESTED,
        Kind.WITHDRAW: Unchanged(),
        Kind.ACCEPT: Refused(Refusal.WITHDRAWN),
        Kind.REJECT: Refused(Refusal.WITHDRAWN),
        Kind.DEFER: Refused(Refusal.WITHDRAWN),
        Kind.END: Refused(Refusal.NOT_A_PARTNER),
        Kind.NUMBER: Refused(Refusal.NOT_A_PARTNER),
    },
}
CELLS = [(state, kind, expected) for state, row in TABLE.items() for kind, expected in row.items()]
LEADS_TO_A_STATE = [cell for cell in CELLS if isinstance(cell[2], State)]
CHANGES_NOTHING = [cell for cell in CELLS if not isinstance(cell[2], State) and cell[2] != NUMBER_SET]
KNOWN_STATES = [state for state in State if state is not State.NONE]


def test_the_table_has_every_state_and_every_input():
    kinds = {Kind.REQUEST, Kind.WITHDRAW, Kind.ACCEPT, Kind.REJECT, Kind.DEFER, Kind.END, Kind.NUMBER}

    assert set(TABLE) == set(State)
    assert all(set(row) == kinds for row in TABLE.values())


@pytest.mark.parametrize(("state", "kind", "leads_to"), LEADS_TO_A_STATE)
def test_a_transition_makes_the_next_version(state, kind, leads_to):
    relationship = a_relationship(state, number="4711")

    outcome = decide(relationship, judged(kind), at=minutes_after_noon(1))

    assert isinstance(outcome, Changed)
    assert outcome.version.state is leads_to
    assert outcome.version.previous_state is state
    assert outcome.version.version == relationship.version + 1
    assert outcome.version.valid_from == minutes_after_noon(1)
    assert outcome.version.is_transition
    assert outcome.version.customer_number == relationship.customer_number


@pytest.mark.parametrize(("state", "kind", "expected"), CHANGES_NOTHING)
def test_what_the_table_does_not_allow_changes_nothing(state, kind, expected):
    relationship = a_relationship(state, number="4711")

    outcome = decide(relationship, judged(kind), at=minutes_after_noon(1))

    assert outcome == expected


@pytest.mark.parametrize(("state", "kind", "expected"), CHANGES_NOTHING)
def test_an_old_input_meets_the_table_first_and_is_stale_only_where_it_would_change_something(state, kind, expected):
    relationship = a_relationship(state, number="4711")

    outcome = decide(relationship, judged(kind), at=minutes_after_noon(-60))

    assert outcome == expected


@pytest.mark.parametrize(("state", "kind", "_"), [c for c in LEADS_TO_A_STATE if c[0] is not State.NONE])
def test_a_transition_older_than_the_newest_version_is_stale(state, kind, _):
    outcome = decide(a_relationship(state), judged(kind), at=minutes_after_noon(-0.0001))

    assert outcome == Refused(Refusal.STALE)


@pytest.mark.parametrize(("state", "kind", "leads_to"), LEADS_TO_A_STATE)
def test_equal_times_are_taken_in_order_of_arrival(state, kind, leads_to):
    outcome = decide(a_relationship(state), judged(kind), at=NOON)

    assert isinstance(outcome, Changed)
    assert outcome.version.state is leads_to


def test_a_partner_gets_a_number():
    partner = a_relationship(State.PARTNER)

    outcome = decide(partner, judged(Kind.NUMBER, customer_number="00042"), at=minutes_after_noon(1))

    assert isinstance(outcome, Changed)
    assert outcome.version.state is State.PARTNER
    assert outcome.version.previous_state is State.PARTNER
    assert outcome.version.version == 4
    assert outcome.version.customer_number == "00042"
    assert outcome.version.previous_number is None
    assert not outcome.version.is_transition


def test_a_partners_number_is_changed():
    partner = a_relationship(State.PARTNER, number="4711")

    outcome = decide(partner, judged(Kind.NUMBER, customer_number="4712"), at=minutes_after_noon(1))

    assert isinstance(outcome, Changed)
    assert (outcome.version.previous_number, outcome.version.customer_number) == ("4711", "4712")


def test_a_partners_number_is_removed_by_a_null():
    partner = a_relationship(State.PARTNER, number="4711")

    outcome = decide(partner, judged(Kind.NUMBER, customer_number=None), at=minutes_after_noon(1))

    assert isinstance(outcome, Changed)
    assert (outcome.version.previous_number, outcome.version.customer_number) == ("4711", None)
    assert not outcome.version.is_transition


@pytest.mark.parametrize("number", ["4711", None])
@pytest.mark.parametrize("minutes", [-60, 0, 60])
def test_the_same_number_again_changes_nothing_whenever_it_was_assigned(number, minutes):
    partner = a_relationship(State.PARTNER, number=number)

    outcome = decide(partner, judged(Kind.NUMBER, customer_number=number), at=minutes_after_noon(minutes))

    assert outcome == Unchanged()


@pytest.mark.parametrize("number", ["04711", "4711a", None])
def test_another_number_that_is_older_than_the_newest_version_is_stale(number):
    partner = a_relationship(State.PARTNER, number="4711")

    outcome = decide(partner, judged(Kind.NUMBER, customer_number=number), at=minutes_after_noon(-1))

    assert outcome == Refused(Refusal.STALE)


@pytest.mark.parametrize("state", [s for s in KNOWN_STATES if s is not State.PARTNER])
@pytest.mark.parametrize("number", ["4711", "4712", None])
def test_only_a_partners_number_can_be_assigned(state, number):
    outcome = decide(a_relationship(state, number="4711"), judged(Kind.NUMBER, customer_number=number), at=NOON)

    assert outcome == Refused(Refusal.NOT_A_PARTNER)


@pytest.mark.parametrize("state", [State.REQUESTED, State.DEFERRED, State.REJECTED, State.ENDED])
def test_accepting_with_a_number_makes_one_version_with_both(state):
    outcome = decide(a_relationship(state), judged(Kind.ACCEPT, customer_number="4711"), at=minutes_after_noon(1))

    assert isinstance(outcome, Changed)
    assert outcome.version.state is State.PARTNER
    assert outcome.version.version == 4
    assert outcome.version.customer_number == "4711"
    assert outcome.version.is_transition


def test_accepting_a_partner_with_another_number_is_a_number_change():
    partner = a_relationship(State.PARTNER, number="4711")

    outcome = decide(partner, judged(Kind.ACCEPT, customer_number="4712"), at=minutes_after_noon(1))

    assert isinstance(outcome, Changed)
    assert outcome.version.state is State.PARTNER
    assert (outcome.version.previous_number, outcome.version.customer_number) == ("4711", "4712")
    assert not outcome.version.is_transition


def test_accepting_a_partner_with_another_number_too_late_is_stale():
    partner = a_relationship(State.PARTNER, number="4711")

    outcome = decide(partner, judged(Kind.ACCEPT, customer_number="4712"), at=minutes_after_noon(-1))

    assert outcome == Refused(Refusal.STALE)


@pytest.mark.parametrize("number", ["4711", None])
@pytest.mark.parametrize("minutes", [-60, 0, 60])
def test_accepting_a_partner_without_a_number_or_with_the_same_changes_nothing(number, minutes):
    partner = a_relationship(State.PARTNER, number="4711")

    outcome = decide(partner, judged(Kind.ACCEPT, customer_number=number), at=minutes_after_noon(minutes))

    assert outcome == Unchanged()


def test_deferring_again_with_the_same_date_is_a_new_version():
    deferred = a_relationship(State.DEFERRED)

    outcome = decide(deferred, judged(Kind.DEFER, resubmission_date=date(2026, 4, 1)), at=minutes_after_noon(1))

    assert isinstance(outcome, Changed)
    assert outcome.version.version == 4
    assert outcome.version.resubmission_date == date(2026, 4, 1)
    assert outcome.version.is_transition


def test_a_version_says_who_decided_and_why():
    told = judged(Kind.REJECT, decided_by="m.ölçer", reason="Bonität")

    outcome = decide(a_relationship(State.REQUESTED), told, at=minutes_after_noon(1))

    assert isinstance(outcome, Changed)
    assert (outcome.version.decided_by, outcome.version.reason) == ("m.ölçer", "Bonität")


@pytest.mark.parametrize(
    ("state", "kind"), [(State.NONE, Kind.REQUEST), (State.ENDED, Kind.REQUEST), (State.DEFERRED, Kind.WITHDRAW)]
)
def test_nobody_at_the_supplier_decides_a_request_or_a_withdrawal(state, kind):
    outcome = decide(a_relationship(state), judged(kind, decided_by="j.meier"), at=minutes_after_noon(1))

    assert isinstance(outcome, Changed)
    assert outcome.version.decided_by is None


@pytest.mark.parametrize("kind", [Kind.PROFILE, Kind.ASSORTMENT])
@pytest.mark.parametrize("state", KNOWN_STATES)
def test_profile_and_assortment_are_kept_in_every_state_and_make_no_version(kind, state):
    outcome = decide(a_relationship(state), judged(kind), at=minutes_after_noon(-60))

    assert outcome == Unchanged()


@pytest.mark.parametrize("kind", [Kind.PROFILE, Kind.ASSORTMENT])
def test_profile_and_assortment_of_an_unknown_customer_are_refused(kind):
    assert decide(Relationship(), judged(kind), at=NOON) == Refused(Refusal.UNKNOWN_RELATIONSHIP)


def test_the_first_version_follows_on_none():
    outcome = decide(Relationship(), judged(Kind.REQUEST), at=NOON)

    assert isinstance(outcome, Changed)
    assert outcome.version.version == 1
    assert outcome.version.previous_state is State.NONE


def test_a_parked_decision_counts_from_its_request_where_that_is_later():
    requested = after(decide(Relationship(), judged(Kind.REQUEST), at=NOON).version)
    taken_before = judged(Kind.ACCEPT, at=minutes_after_noon(-30), customer_number="4711")

    outcome = decide(requested, taken_before, at=NOON)

    assert isinstance(outcome, Changed)
    assert outcome.version.valid_from == NOON
    assert outcome.version.customer_number == "4711"


def test_a_parked_deferral_goes_by_its_requests_time():
    requested = after(decide(Relationship(), judged(Kind.REQUEST), at=NOON).version)
    deferral = judged(Kind.DEFER, at=minutes_after_noon(-30), resubmission_date=date(2026, 3, 9))

    outcome = decide(requested, deferral, at=NOON)

    assert isinstance(outcome, Changed)
    assert outcome.version.valid_from == NOON


def test_a_number_that_was_parked_before_its_acceptance_is_refused():
    requested = after(decide(Relationship(), judged(Kind.REQUEST), at=NOON).version)

    outcome = decide(requested, judged(Kind.NUMBER, at=minutes_after_noon(-30), customer_number="4711"), at=NOON)

    assert outcome == Refused(Refusal.NOT_A_PARTNER)
