"""Resubmission dates, and the instants at which reminders are due."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, patient
from relationship_worker.domain.resubmission import (
    InvalidResubmissionDate,
    due_at,
    is_time_zone,
    last_day_due,
    resubmission_date,
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_null_is_no_date():
    assert resubmission_date(None, deferred_at=NOON) is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-02", date(2026, 3, 2)),
        ("2026-12-31", date(2026, 12, 31)),
        ("2028-02-29", date(2028, 2, 29)),
        ("2000-01-01", date(2000, 1, 1)),
        ("2001-05-06", date(2001, 5, 6)),
    ],
)
def test_a_calendar_date_is_read_also_one_that_is_over(text, day):
    assert resubmission_date(text, deferred_at=NOON) == day


NO_DATES = [
    *("", " ", "null", "tomorrow", "2026", "2026-04", "2026-4-1", "26-04-01", "20260401", "2026/04/01", "01.04.2026"),
    *("2026-04-01T08:00:00Z", "2026-04-01T00:00", "2026-04-01Z", "2026-04-01 ", " 2026-04-01", "2026-04-01\n"),
    *("2026-W14-3", "2026-091", "+2026-04-01", "-2026-04-01", "2026-13-01", "2026-00-01", "2026-04-00", "2026-04-31"),
    *("2027-02-29", "2100-02-29", "0000-01-01", "\uff12026-04-01", "2026-04-0\u0661", "2026\u201104\u201101"),
    "2026-04-01\x00",
]


@pytest.mark.parametrize("text", NO_DATES)
def test_what_is_no_calendar_date_is_refused(text):
    with pytest.raises(InvalidResubmissionDate):
        resubmission_date(text, deferred_at=NOON)


@pytest.mark.parametrize("text", ["1999-12-31", "1999-01-01", "0001-01-01", "1900-03-01"])
def test_a_date_before_2000_is_refused(text):
    with pytest.raises(InvalidResubmissionDate):
        resubmission_date(text, deferred_at=NOON)


# The deferral's time, the last day that is allowed, the first that is not.
LIMITS = [
    ("2026-03-02T12:00:00+00:00", "2031-03-02", "2031-03-03"),
    ("2026-03-02T23:59:59.999999+00:00", "2031-03-02", "2031-03-03"),
    ("2026-03-03T00:30:00+01:00", "2031-03-02", "2031-03-03"),  # 2 March in UTC
    ("2026-03-02T23:30:00-01:00", "2031-03-03", "2031-03-04"),  # 3 March in UTC
    ("2024-02-29T12:00:00+00:00", "2029-02-28", "2029-03-01"),
    ("2023-02-28T12:00:00+00:00", "2028-02-28", "2028-02-29"),
    ("2023-03-01T00:00:00+00:00", "2028-02-29", "2028-03-02"),
    ("2025-12-31T23:00:00-05:00", "2031-01-01", "2031-01-02"),
]


@pytest.mark.parametrize(("deferred_at", "last", "_"), LIMITS)
def test_a_date_may_lie_five_calendar_years_after_the_deferral_in_utc(deferred_at, last, _):
    assert resubmission_date(last, deferred_at=at(deferred_at)) == date.fromisoformat(last)


@pytest.mark.parametrize(("deferred_at", "_", "text"), LIMITS)
def test_a_later_date_is_refused(deferred_at, _, text):
    with pytest.raises(InvalidResubmissionDate):
        resubmission_date(text, deferred_at=at(deferred_at))


@pytest.mark.parametrize("text", ["2031-03-03", "2199-12-31", "9999-12-31"])
def test_a_date_far_ahead_is_refused(text):
    with pytest.raises(InvalidResubmissionDate):
        resubmission_date(text, deferred_at=NOON)


DUE = [
    # ordinary days
    ("2026-01-15", "08:00", "Europe/Berlin", "2026-01-15T07:00:00+00:00"),
    ("2026-07-01", "08:00", "Europe/Berlin", "2026-07-01T06:00:00+00:00"),
    ("2026-07-01", "00:00", "Europe/Berlin", "2026-06-30T22:00:00+00:00"),
    ("2026-07-01", "23:59", "Pacific/Honolulu", "2026-07-02T09:59:00+00:00"),
    ("2026-06-01", "08:00", "Asia/Kathmandu", "2026-06-01T02:15:00+00:00"),
    ("2026-06-01", "08:00", "Pacific/Kiritimati", "2026-05-31T18:00:00+00:00"),
    ("2026-06-01", "08:00", "UTC", "2026-06-01T08:00:00+00:00"),
    # the hour that is skipped: the first instant after it
    ("2026-03-29", "01:59", "Europe/Berlin", "2026-03-29T00:59:00+00:00"),
    ("2026-03-29", "02:00", "Europe/Berlin", "2026-03-29T01:00:00+00:00"),
    ("2026-03-29", "02:30", "Europe/Berlin", "2026-03-29T01:00:00+00:00"),
    ("2026-03-29", "02:59", "Europe/Berlin", "2026-03-29T01:00:00+00:00"),
    ("2026-03-29", "03:00", "Europe/Berlin", "2026-03-29T01:00:00+00:00"),
    ("2026-03-29", "08:00", "Europe/Berlin", "2026-03-29T06:00:00+00:00"),
    ("2026-03-08", "02:30", "America/New_York", "2026-03-08T07:00:00+00:00"),
    ("2026-03-29", "01:30", "Europe/London", "2026-03-29T01:00:00+00:00"),
    # the hour that comes twice: the first time
    ("2026-10-25", "02:00", "Europe/Berlin", "2026-10-25T00:00:00+00:00"),
    ("2026-10-25", "02:30", "Europe/Berlin", "2026-10-25T00:30:00+00:00"),
    ("2026-10-25", "03:00", "Europe/Berlin", "2026-10-25T02:00:00+00:00"),
    ("2026-11-01", "01:30", "America/New_York", "2026-11-01T05:30:00+00:00"),
    # half an hour
    ("2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),
    ("2026-10-04", "02:30", "Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),
    ("2026-04-05", "01:45", "Australia/Lord_Howe", "2026-04-04T14:45:00+00:00"),
    ("2016-05-01", "02:45", "America/Caracas", "2016-05-01T07:00:00+00:00"),
    ("2018-05-04", "23:45", "Asia/Pyongyang", "2018-05-04T15:00:00+00:00"),
    # midnight itself
    ("2018-11-04", "00:00", "America/Sao_Paulo", "2018-11-04T03:00:00+00:00"),
    ("2018-11-04", "00:30", "America/Sao_Paulo", "2018-11-04T03:00:00+00:00"),
    ("2018-02-17", "23:30", "America/Sao_Paulo", "2018-02-18T01:30:00+00:00"),
    ("2026-04-24", "00:00", "Africa/Cairo", "2026-04-23T22:00:00+00:00"),
    ("2026-10-29", "23:30", "Africa/Cairo", "2026-10-29T20:30:00+00:00"),
    # a day that the islands never had
    ("2011-12-29", "08:00", "Pacific/Apia", "2011-12-29T18:00:00+00:00"),
    ("2011-12-30", "00:00", "Pacific/Apia", "2011-12-30T10:00:00+00:00"),
    ("2011-12-30", "08:00", "Pacific/Apia", "2011-12-30T10:00:00+00:00"),
    ("2011-12-30", "23:59", "Pacific/Apia", "2011-12-30T10:00:00+00:00"),
    ("2011-12-31", "08:00", "Pacific/Apia", "2011-12-30T18:00:00+00:00"),
    # summer time below zero: Morocco's Ramadan
    ("2026-02-16", "08:00", "Africa/Casablanca", "2026-02-16T08:00:00+00:00"),
    ("2026-03-22", "02:30", "Africa/Casablanca", "2026-03-22T02:00:00+00:00"),
]


@pytest.mark.parametrize(("day", "hour", "zone", "instant"), DUE)
def test_a_reminder_is_due_at_the_suppliers_hour(day, hour, zone, instant):
    due = due_at(date.fromisoformat(day), time_zone=zone, reminder_time=time.fromisoformat(hour))

    assert due == at(instant)
    assert due.utcoffset() == timedelta(0)


ZONES = [
    *("Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "America/Sao_Paulo", "America/Havana"),
    *("Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "Africa/Cairo", "Africa/Casablanca", "Asia/Pyongyang"),
    *("Asia/Gaza", "Asia/Tehran", "Antarctica/Troll", "America/Caracas", "UTC"),
]
days = st.dates(date(2000, 1, 1), date(2040, 12, 31))
hours = st.builds(time, st.integers(0, 23), st.integers(0, 59))


@patient
@given(day=days, hour=hours, zone=st.sampled_from(ZONES))
def test_a_reminder_is_due_at_the_first_instant_at_which_the_clock_on_the_wall_shows_the_hour(day, hour, zone):
    asked = datetime.combine(day, hour)

    due = due_at(day, time_zone=zone, reminder_time=hour)

    a_second_before = due - timedelta(seconds=1)
    assert due.astimezone(ZoneInfo(zone)).replace(tzinfo=None) >= asked
    assert a_second_before.astimezone(ZoneInfo(zone)).replace(tzinfo=None) < asked


@patient
@given(day=days, hour=hours, zone=st.sampled_from(ZONES))
def test_outside_gaps_a_reminder_is_due_at_the_hour_to_the_second(day, hour, zone):
    asked = datetime.combine(day, hour)
    there_and_back = asked.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).astimezone(ZoneInfo(zone))
    exists = there_and_back.replace(tzinfo=None) == asked

    due = due_at(day, time_zone=zone, reminder_time=hour)

    assert (due.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == asked) == exists


moments = st.datetimes(datetime(2000, 1, 1), datetime(2190, 1, 1), timezones=st.just(UTC))


@patient
@given(moments, st.dates())
def test_a_date_that_is_taken_is_never_too_early_nor_too_late(deferred_at, day):
    try:
        kept = resubmission_date(day.isoformat(), deferred_at=deferred_at)
    except InvalidResubmissionDate:
        assert day.year < 2000 or day >= deferred_at.date() + timedelta(days=5 * 365)
    else:
        assert kept == day
        assert date(2000, 1, 1) <= day <= deferred_at.date() + timedelta(days=5 * 366)


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+12"])
def test_names_of_time_zones(name):
    assert is_time_zone(name)


NO_ZONES = ["", ".", "..", "/", "Europe", "../../etc/passwd", "Europe/Berlin\x00", "\ud800", "a" * 10_000]


@pytest.mark.parametrize("name", NO_ZONES)
def test_what_is_no_name_of_a_time_zone(name):
    assert not is_time_zone(name)


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (datetime(2026, 3, 2, 6, 59, 59, tzinfo=UTC), date(2026, 3, 1)),
        (datetime(2026, 3, 2, 7, tzinfo=UTC), date(2026, 3, 2)),
        (datetime(2026, 3, 1, 23, 30, tzinfo=UTC), date(2026, 3, 1)),  # half past midnight of the 2nd, in Berlin
    ],
)
def test_a_day_is_due_from_its_reminder_hour_on_in_the_suppliers_zone(now, last):
    assert last_day_due(now, time_zone="Europe/Berlin", reminder_time=time(8)) == last
