"""What can be judged from an input alone: its time, its number, its date."""

from datetime import date, timedelta

import pytest

from builders import NOON, an_input
from relationship_worker.domain.relationship import Judged, Kind, Refusal, Refused, judge_alone


@pytest.mark.parametrize("kind", list(Kind))
def test_an_input_may_be_five_minutes_ahead_of_our_clock(kind):
    told = judge_alone(an_input(kind, at=NOON + timedelta(minutes=5)), now=NOON, max_length=20)

    assert isinstance(told, Judged)


@pytest.mark.parametrize("kind", list(Kind))
def test_an_input_from_the_future_is_refused(kind):
    ahead = NOON + timedelta(minutes=5, microseconds=1)

    assert judge_alone(an_input(kind, at=ahead), now=NOON, max_length=20) == Refused(Refusal.FROM_THE_FUTURE)


@pytest.mark.parametrize("kind", [Kind.ACCEPT, Kind.NUMBER])
def test_an_invalid_number_refuses_the_whole_event(kind):
    told = judge_alone(an_input(kind, customer_number="47\u200b11"), now=NOON, max_length=20)

    assert told == Refused(Refusal.INVALID_CUSTOMER_NUMBER)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-03-02T08:00:00Z"])
def test_an_invalid_date_refuses_the_deferral(text):
    told = judge_alone(an_input(Kind.DEFER, resubmission_date=text), now=NOON, max_length=20)

    assert told == Refused(Refusal.INVALID_RESUBMISSION_DATE)


@pytest.mark.parametrize("text", [None, "", " ", "\u3000\t"])
def test_a_null_empty_or_blank_number_brings_none(text):
    told = judge_alone(an_input(Kind.ACCEPT, customer_number=text), now=NOON, max_length=20)

    assert isinstance(told, Judged)
    assert told.customer_number is None


def test_number_and_date_are_judged_into_the_form_in_which_they_are_kept():
    told = judge_alone(
        an_input(Kind.DEFER, customer_number=" 4711\u00a0", resubmission_date="2026-04-01", reason=" so "),
        now=NOON,
        max_length=20,
    )

    assert isinstance(told, Judged)
    assert told.customer_number == "4711"
    assert told.resubmission_date == date(2026, 4, 1)
    assert told.reason == " so "
