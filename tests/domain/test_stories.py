"""Whole stories of a relationship: what it remembers on the way."""

from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, judged, minutes_after_noon, patient, story
from relationship_worker.domain.relationship import Changed, Kind, Relationship, State, after, decide

ASK = judged(Kind.REQUEST)
ACCEPT = judged(Kind.ACCEPT)
ACCEPT_WITH_4711 = judged(Kind.ACCEPT, customer_number="4711")
REJECT = judged(Kind.REJECT)
DEFER = judged(Kind.DEFER)
END = judged(Kind.END)
WITHDRAW = judged(Kind.WITHDRAW)


def previously_rejected(*inputs):
    return [relationship.previously_rejected for relationship in story(*inputs)]


def test_a_rejected_customer_who_asks_again_is_marked_until_accepted():
    assert previously_rejected(ASK, REJECT, ASK, DEFER, ACCEPT) == [False, False, True, True, False]


def test_a_rejected_customer_may_still_be_accepted():
    after_all = story(ASK, REJECT, ACCEPT_WITH_4711)[-1]

    assert after_all.state is State.PARTNER
    assert after_all.customer_number == "4711"
    assert not after_all.previously_rejected


def test_the_mark_outlives_a_withdrawal():
    assert previously_rejected(ASK, REJECT, ASK, WITHDRAW, ASK) == [False, False, True, True, True]


def test_the_mark_outlives_a_second_rejection():
    assert previously_rejected(ASK, REJECT, ASK, REJECT, ASK) == [False, False, True, True, True]


def test_the_mark_does_not_come_back_after_an_acceptance():
    told = previously_rejected(ASK, REJECT, ASK, ACCEPT, END, ASK)

    assert told == [False, False, True, False, False, False]


def test_a_former_partner_who_is_rejected_and_asks_again_is_marked():
    assert previously_rejected(ASK, ACCEPT, END, REJECT, ASK) == [False, False, False, False, True]


def test_a_withdrawn_request_leaves_no_mark():
    assert previously_rejected(ASK, WITHDRAW, ASK) == [False, False, False]


def test_a_number_change_leaves_the_mark_alone():
    assert previously_rejected(ASK, ACCEPT, judged(Kind.NUMBER, customer_number="4711")) == [False, False, False]


def test_a_number_survives_the_end_of_the_partnership():
    told = story(ASK, ACCEPT_WITH_4711, END, ACCEPT)

    assert [r.state for r in told] == [State.REQUESTED, State.PARTNER, State.ENDED, State.PARTNER]
    assert [r.customer_number for r in told] == [None, "4711", "4711", "4711"]


def test_a_number_survives_an_end_and_a_new_request():
    assert story(ASK, ACCEPT_WITH_4711, END, ASK, DEFER, ACCEPT)[-1].customer_number == "4711"


def test_a_number_survives_end_and_rejection():
    assert story(ASK, ACCEPT_WITH_4711, END, REJECT, ACCEPT)[-1].customer_number == "4711"


def test_a_removed_number_does_not_come_back():
    removed = judged(Kind.NUMBER, customer_number=None)

    assert story(ASK, ACCEPT_WITH_4711, removed, END, ACCEPT)[-1].customer_number is None


def test_a_later_acceptance_may_bring_another_number():
    anew = judged(Kind.ACCEPT, customer_number="4712")

    assert story(ASK, ACCEPT_WITH_4711, END, anew)[-1].customer_number == "4712"


def test_versions_count_from_one():
    told = story(ASK, DEFER, DEFER, ACCEPT_WITH_4711, judged(Kind.NUMBER, customer_number="4712"), END)

    assert [r.version for r in told] == [1, 2, 3, 4, 5, 6]


inputs = st.builds(
    lambda kind, minute, number: judged(kind, at=minutes_after_noon(minute), customer_number=number),
    st.sampled_from(list(Kind)),
    st.integers(-5, 5),
    st.sampled_from([None, "4711", "4712"]),
)


@patient
@given(st.lists(inputs, max_size=30))
def test_versions_count_without_gaps_and_never_go_back_in_time_whatever_comes(told):
    relationship = Relationship()

    versions = []
    for one in told:
        outcome = decide(relationship, one, at=one.at)
        if isinstance(outcome, Changed):
            versions.append(outcome.version)
            relationship = after(outcome.version)

    assert [v.version for v in versions] == list(range(1, len(versions) + 1))
    assert [v.valid_from for v in versions] == sorted(v.valid_from for v in versions)
    for earlier, later in pairwise(versions):
        assert later.previous_state is earlier.state
        assert later.previous_number == earlier.customer_number


@patient
@given(st.lists(inputs, max_size=30), inputs)
def test_an_input_that_changed_something_changes_nothing_more_at_once_unless_it_defers(told, again):
    relationship = Relationship()
    for one in [*told, again]:
        outcome = decide(relationship, one, at=one.at)
        if isinstance(outcome, Changed):
            relationship = after(outcome.version)

    repeated = decide(relationship, again, at=again.at)

    assert again.kind is Kind.DEFER or not isinstance(repeated, Changed)


@patient
@given(st.lists(inputs, max_size=30))
def test_no_relationship_is_ever_invented_from_a_decision(told):
    relationship = Relationship()

    for one in (one for one in told if one.kind is not Kind.REQUEST):
        assert not isinstance(decide(relationship, one, at=one.at), Changed)


def test_a_request_is_open_since_the_customer_asked_however_often_it_is_deferred():
    told = story(
        judged(Kind.REQUEST),
        judged(Kind.DEFER, resubmission_date=date(2026, 4, 1)),
        judged(Kind.DEFER),
        judged(Kind.REJECT),
        judged(Kind.REQUEST),
    )

    assert [r.open_since for r in told] == [NOON, NOON, NOON, None, minutes_after_noon(4)]
    assert [r.resubmission_date for r in told] == [None, date(2026, 4, 1), None, None, None]
