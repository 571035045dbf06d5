"""The model's reading of records: what is a dead letter, and why."""

import json
from datetime import UTC, date, datetime, time

import pytest

from model.builders import a_record
from model.envelope import LARGEST, Event, read_event
from model.json_text import member
from model.times import due_instant, read_time

_ORDER = {"order_id": "o", "supplier_id": "s", "customer_id": "c"}
_TYPE = "marketplace.order.created"
_TIME = "2026-01-01T00:00:00Z"
_ENVELOPE = {"specversion": "1.0", "id": "e1", "source": "test", "type": _TYPE, "time": _TIME, "data": _ORDER}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "empty_value"),
        (b" ", "invalid_json"),
        (b"x" * (LARGEST + 1), "too_large"),
        (b"\xff", "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"a":NaN}', "invalid_json"),
        (b"[" * 1000 + b"]" * 1000, "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"null", "invalid_data"),
        (b"[]", "invalid_data"),
        (b'{"order_id":"o","supplier_id":"s","customer_id":"c\\u0000"}', "invalid_data"),
        (b'{"order_id":"o\\ud800","supplier_id":"s"}', "invalid_data"),
        (b'{"order_id":"o\\u202e","supplier_id":"s"}', "invalid_data"),
        (b'{"order_id":"o","supplier_id":"a/b"}', "invalid_data"),
        (b'{"order_id":"o","supplier_id":"s","created_at":"2026-01-01T00:00:60Z"}', "invalid_data"),
    ],
)
def test_a_value_that_cannot_be_read_or_believed_is_a_dead_letter(value: bytes, code: str) -> None:
    assert read_event(a_record(_TYPE, _TIME, value)) == code


@pytest.mark.parametrize(
    "value",
    [
        b'{"order_id":7,"order_id":"o","supplier_id":"s","x":1E400,"y":"\\u0000\\ud800"}',
        b'{"order_id":"o","supplier_id":"s","customer_id":null,"created_at":null,"channel":7}',
        b' {"order_id":"o","supplier\\u005fid":"s","n":' + b"[" * 60 + b"]" * 60 + b"}\n",
    ],
)
def test_what_nobody_reads_may_be_anything(value: bytes) -> None:
    event = read_event(a_record(_TYPE, _TIME, value))

    assert isinstance(event, Event)
    assert (event.data["order_id"], event.data["supplier_id"], event.raw) == ("o", "s", value.strip())


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"ce_id": None}, "invalid_event"),
        ({"ce_source": ""}, "invalid_event"),
        ({"ce_specversion": "0.3"}, "invalid_event"),
        ({"ce_time": "2026-01-01T00:00:00"}, "invalid_event"),
        ({"ce_time": "2200-01-01T00:00:00Z"}, "invalid_event"),
        ({"content-type": "text/plain"}, "invalid_event"),
        ({"ce_type": "supplier.connection.accepted"}, "unknown_type"),
    ],
)
def test_attributes_are_judged_before_the_data(headers: dict[str, str | None], code: str) -> None:
    assert read_event(a_record(_TYPE, _TIME, b"{", **headers)) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"data_base64": "e30="}, "invalid_event"),
        ({"datacontenttype": "application/xml"}, "invalid_event"),
        ({"id": 7}, "invalid_event"),
        ({"time": None}, "invalid_event"),
        ({"data": None}, "invalid_data"),
        ({"data": "text"}, "invalid_data"),
        ({"type": "x"}, "unknown_type"),
    ],
)
def test_a_structured_envelope_is_judged_as_a_whole(change: dict[str, object], code: str) -> None:
    value = json.dumps(_ENVELOPE | change).encode()
    record = a_record(_TYPE, _TIME, value, **{"content-type": "application/cloudevents+json; charset=utf-8"})

    assert read_event(record) == code


def test_the_data_of_a_structured_event_is_the_slice_that_lies_in_it() -> None:
    value = b'{"data":{"no":1},"x":{"data":2}, "data" : {"price": 2.10,\n"a":"\\u00e4"} ,"y":1}'

    assert member(value, "data") == b'{"price": 2.10,\n"a":"\\u00e4"}'
    assert member(value, "none") is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-01t00:00:00.123456789z", datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2026-01-01T00:00:00.1234567890123Z", datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2026-01-01T00:00:00+05:45", datetime(2025, 12, 31, 18, 15, tzinfo=UTC)),
        ("2000-01-01T00:30:00+01:00", None),
        ("2026-01-01T24:00:00Z", None),
        ("2026-01-01 00:00:00Z", None),
        ("2026-01-01T00:00:00", None),
        ("٢٠٢٦-01-01T00:00:00Z", None),
    ],
)
def test_times_carry_an_offset_and_lie_in_two_centuries(text: str, at: datetime | None) -> None:
    assert read_time(text) == at


@pytest.mark.parametrize(
    ("day", "hour", "zone", "at"),
    [
        (date(2026, 6, 1), time(8), "Europe/Berlin", datetime(2026, 6, 1, 6, tzinfo=UTC)),
        (date(2026, 3, 29), time(2, 30), "Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
        (date(2026, 10, 25), time(2, 30), "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (date(2026, 10, 4), time(2, 15), "Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        (date(2011, 12, 30), time(8), "Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_a_day_comes_due_at_the_first_valid_instant_of_its_hour(day: date, hour: time, zone: str, at: datetime) -> None:
    assert due_instant(day, hour, zone) == at
