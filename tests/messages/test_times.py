"""Times as the contract reads and writes them."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import patient
from model import times as model
from relationship_worker.messages.times import InvalidTime, read_time, write_time, written_anew


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-02T12:00:00Z", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("2026-03-02t12:00:00z", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("2026-03-02T12:00:00+00:00", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("2026-03-02T12:00:00-00:00", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("2026-03-02T12:00:00+01:00", datetime(2026, 3, 2, 11, tzinfo=UTC)),
        ("2026-03-02T12:00:00-08:00", datetime(2026, 3, 2, 20, tzinfo=UTC)),
        ("2026-03-02T12:00:00+05:45", datetime(2026, 3, 2, 6, 15, tzinfo=UTC)),
        ("2026-03-02T12:00:00+23:59", datetime(2026, 3, 1, 12, 1, tzinfo=UTC)),
        ("2026-03-02T23:59:59.5Z", datetime(2026, 3, 2, 23, 59, 59, 500_000, tzinfo=UTC)),
        ("2026-03-02T12:00:00.123Z", datetime(2026, 3, 2, 12, 0, 0, 123_000, tzinfo=UTC)),
        ("2026-03-02T12:00:00.000001Z", datetime(2026, 3, 2, 12, 0, 0, 1, tzinfo=UTC)),
        ("2026-03-02T12:00:00.123456789Z", datetime(2026, 3, 2, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-03-02T12:00:00.1234567890123Z", datetime(2026, 3, 2, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-03-02T12:00:00.999999999+01:00", datetime(2026, 3, 2, 11, 0, 0, 999_999, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2000-01-01T00:00:00Z", datetime(2000, 1, 1, tzinfo=UTC)),
        ("1999-12-31T23:00:00-01:00", datetime(2000, 1, 1, tzinfo=UTC)),
        ("2199-12-31T23:59:59.999999999Z", datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2200-01-01T00:30:00+01:00", datetime(2199, 12, 31, 23, 30, tzinfo=UTC)),
    ],
)
def test_a_time_with_an_offset_is_read_and_cut_to_microseconds(text, instant):
    read = read_time(text)

    assert read == instant
    assert read.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "now", "2026-03-02", "2026-03-02T12:00:00", "2026-03-02T12:00:00.5", "2026-03-02 12:00:00Z"),
        *("2026-03-02T12:00Z", "2026-03-02T12Z", "20260302T120000Z", "2026-W10-1T12:00:00Z", "2026-061T12:00:00Z"),
        *("2026-03-02T23:59:60Z", "2016-12-31T23:59:60Z", "2026-03-02T24:00:00Z", "2026-03-02T12:60:00Z"),
        *(
            "2026-03-02T12:00:00+1:00",
            "2026-03-02T12:00:00+0100",
            "2026-03-02T12:00:00+01",
            "2026-03-02T12:00:00+24:00",
        ),
        *("2026-03-02T12:00:00+24:00", "2026-03-02T12:00:00+01:60", "2026-03-02T12:00:00\u221201:00"),
        *("2026-03-02T12:00:00.Z", "2026-03-02T12:00:00,5Z", "2026-03-02T12:00:00 Z"),
        *(" 2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z ", "2026-03-02T12:00:00Z\n", "2026-03-02T12:00:00Z\x00"),
        *("2026-3-2T12:00:00Z", "26-03-02T12:00:00Z", "12026-03-02T12:00:00Z", "-2026-03-02T12:00:00Z"),
        *("2026-02-29T12:00:00Z", "2026-04-31T12:00:00Z", "2026-13-01T12:00:00Z", "2026-00-01T12:00:00Z"),
        *(
            "2026-03-00T12:00:00Z",
            "２０２６-03-02T12:00:00Z",
            "2026-03-02T12:00:0\u0660Z",
            "2026-03-02T12:00:00\u221201:00",
        ),
        *("2026-03-02T12:00:Z\0.123Z", "2026-03-02T12:00:00.1Z\0Z", '2026-03-02T12:00:00.Z\0"Z'),
        *("2026-03-02T12:00:00UTC", "2026-03-02T12:00:00Europe/Berlin", "2026-03-02T12:00:00Z[UTC]", "1772452800"),
    ],
)
def test_what_is_no_time_with_an_offset_is_refused(text):
    with pytest.raises(InvalidTime):
        read_time(text)


def read_or_refused(text: str) -> datetime | None:
    try:
        return read_time(text)
    except InvalidTime:
        return None


def test_texts_that_are_nearly_times_are_read_or_refused_as_the_model_reads_them():
    """Thousands of them, each with some characters changed; the seed is the message."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    whole = [
        "2026-03-02T12:00:00.123Z",
        "2199-12-31T23:59:59.999Z",
        "2000-01-01T00:00:00Z",
        "2026-03-02T12:00:00.5+01:00",
    ]
    pieces = [*'0123456789-:.,TtZz+W "\0\u0661\uff11', "Z\0", "+0", "00"]
    for _ in range(15_000):
        changed = rng.choice(whole)
        for piece in rng.choices(pieces, k=rng.choice((1, 2, 3))):
            at = rng.randrange(len(changed))
            changed = changed[:at] + piece + changed[at + len(piece) :]

        assert read_or_refused(changed) == model.read_time(changed), f"seed {seed}: {changed!a}"


@pytest.mark.parametrize(
    "text",
    [
        *("1999-12-31T23:59:59.999999Z", "2000-01-01T00:30:00+01:00", "1970-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        *(
            "0001-01-01T00:00:00+23:59",
            "2200-01-01T00:00:00Z",
            "2199-12-31T23:30:00-01:00",
            "9999-12-31T23:59:59-23:59",
        ),
    ],
)
def test_a_time_outside_2000_to_2199_in_utc_is_refused(text):
    with pytest.raises(InvalidTime):
        read_time(text)


def test_the_reason_does_not_repeat_the_text():
    with pytest.raises(InvalidTime) as why:
        read_time("secret")

    assert "secret" not in str(why.value)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2026, 3, 2, 12, tzinfo=UTC), "2026-03-02T12:00:00Z"),
        (datetime(2026, 3, 2, 12, 0, 0, 5, tzinfo=UTC), "2026-03-02T12:00:00.000005Z"),
        (datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "2199-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_is_written_in_utc(time, text):
    assert write_time(time) == text


@patient
@given(st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)))
def test_what_is_written_is_read_back(time):
    assert read_time(write_time(time)) == time


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T12:00:00Z",
        "2026-03-02T12:00:00.000Z",
        "2026-03-02T12:00:00.120Z",
        "2026-03-02T12:00:00.000120Z",
        "2026-03-02T12:00:00.123456789Z",
        "2026-03-02t12:00:00.5z",
        "2026-03-02T12:00:00.123+00:00",
        "2026-03-02T14:00:00+02:00",
        "2026-03-02T12:00:00.1Z",
    ],
)
def test_a_time_is_written_anew_as_it_would_be_from_the_instant(text):
    time = read_time(text)

    assert written_anew(text, time) == write_time(time)
