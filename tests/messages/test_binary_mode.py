"""Events in binary mode: attributes in headers, data in the value, and the order in which they are checked."""

from datetime import UTC, datetime

import pytest

from builders import binary_headers
from relationship_worker.messages.envelope import Envelope, InvalidMessage, Reason, event_key, open_envelope
from relationship_worker.messages.incoming import DECISION_TYPES, REQUEST_TYPES
from relationship_worker.messages.orders import ORDER_TYPES

JSON_TYPE = ("content-type", b"application/json")
MEBIBYTE = 1_048_576


def opened(value=b'{"a":1}', headers=None, types=ORDER_TYPES) -> Envelope:
    return open_envelope([JSON_TYPE, *binary_headers()] if headers is None else headers, value, types)


def why_not(value=b'{"a":1}', headers=None, types=ORDER_TYPES) -> Reason:
    with pytest.raises(InvalidMessage) as why:
        opened(value, headers, types)
    return why.value.reason


def test_an_event_is_opened():
    assert opened(b' {"price": 2.10}\r\n') == Envelope(
        id="e-1",
        source="/marketplace",
        type="marketplace.order.created",
        time=datetime(2026, 3, 2, 12, tzinfo=UTC),
        time_text="2026-03-02T12:00:00Z",
        data=b'{"price": 2.10}',
        trace=(),
    )


def test_only_the_white_space_of_json_is_cut():
    assert opened(b"\t\x0c{}\x0b\n").data == b"\x0c{}\x0b"


@pytest.mark.parametrize("value", [None, b""])
def test_a_record_without_a_value_is_a_dead_letter(value):
    assert why_not(value) is Reason.EMPTY_VALUE


def test_a_value_of_one_mebibyte_is_read():
    value = b'{"a":"' + b"x" * (MEBIBYTE - 8) + b'"}'

    assert len(value) == MEBIBYTE
    assert opened(value).data == value


@pytest.mark.parametrize("size", [MEBIBYTE + 1, 2 * MEBIBYTE])
def test_a_larger_value_is_a_dead_letter_also_if_it_is_blanks(size):
    assert why_not(b" " * size) is Reason.TOO_LARGE


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion", "time"])
def test_every_required_attribute_is_required(name):
    assert why_not(headers=binary_headers(without=name)) is Reason.INVALID_EVENT


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion", "time"])
@pytest.mark.parametrize("text", [None, b"", b"\xff\xfe", b"\xed\xa0\x80", b"\x00"])
def test_an_attribute_that_is_null_empty_or_no_text_is_no_attribute(name, text):
    assert why_not(headers=binary_headers(**{name: text})) is Reason.INVALID_EVENT


@pytest.mark.parametrize("name", ["id", "source", "type"])
@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\x7fb", "a\x85b", "\t", "a\x1fb"])
def test_control_characters_in_names_are_refused(name, text):
    assert why_not(headers=binary_headers(**{name: text.encode()})) is Reason.INVALID_EVENT


@pytest.mark.parametrize(
    "text", ["ü-4711", "客户 1", "😀", "' OR 1=1 --", "../../etc/passwd", "a" * 5_000, "\u202e1", "%00"]
)
def test_hostile_ids_are_ids(text):
    assert opened(headers=binary_headers(id=text.encode(), source=text.encode())).id == text


@pytest.mark.parametrize("version", [b"0.3", b"1", b"1.0 ", b"1.1", b"2.0", b"v1.0"])
def test_another_specversion_is_refused(version):
    assert why_not(headers=binary_headers(specversion=version)) is Reason.INVALID_EVENT


@pytest.mark.parametrize(
    "time", [b"2026-03-02T12:00:00", b"2026-03-02", b"yesterday", b"1772452800", b"1999-12-31T23:59:59Z"]
)
def test_a_time_that_is_none_is_refused(time):
    assert why_not(headers=binary_headers(time=time)) is Reason.INVALID_EVENT


def test_names_of_headers_are_as_they_are_written():
    headers = [(name.upper(), text) for name, text in binary_headers()]

    assert why_not(headers=headers) is Reason.INVALID_EVENT


@pytest.mark.parametrize("type_", ["marketplace.order.deleted", "order.enriched", "Marketplace.Order.Created", "*"])
def test_an_unknown_type_is_a_dead_letter(type_):
    assert why_not(headers=binary_headers(type=type_.encode())) is Reason.UNKNOWN_TYPE


def test_of_an_unknown_type_those_that_are_taken_are_said():
    with pytest.raises(InvalidMessage) as why:
        open_envelope(binary_headers(type=b"secret"), b"{}", ORDER_TYPES)

    assert why.value.detail == "the type is none of this topic's (marketplace.order.created)"


@pytest.mark.parametrize(
    ("type_", "types"),
    [
        (b"marketplace.connection.requested", ORDER_TYPES),
        (b"supplier.connection.accepted", ORDER_TYPES),
        (b"marketplace.order.created", REQUEST_TYPES),
        (b"supplier.connection.accepted", REQUEST_TYPES),
        (b"marketplace.order.created", DECISION_TYPES),
        (b"marketplace.customer.erased", DECISION_TYPES),
    ],
)
def test_a_type_of_another_topic_is_unknown(type_, types):
    assert why_not(headers=binary_headers(type=type_), types=types) is Reason.UNKNOWN_TYPE


def test_the_topics_carry_the_types_of_the_contract():
    assert {
        "marketplace.connection.requested",
        "marketplace.connection.withdrawn",
        "marketplace.customer.profile-updated",
        "marketplace.customer.assortment-assigned",
        "marketplace.customer.erased",
    } == REQUEST_TYPES
    assert {
        "supplier.connection.accepted",
        "supplier.connection.rejected",
        "supplier.connection.deferred",
        "supplier.connection.ended",
        "supplier.customer-number.assigned",
        "supplier.settings.changed",
    } == DECISION_TYPES
    assert {"marketplace.order.created"} == ORDER_TYPES


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/json",
        b"application/json; charset=utf-8",
        b"Application/JSON",
        b"application/vnd.shop.order+json",
        None,
    ],
)
@pytest.mark.parametrize("name", ["content-type", "Content-Type", "CONTENT-TYPE"])
def test_json_is_read_whatever_it_is_called(name, content_type):
    assert opened(headers=[*binary_headers(), (name, content_type)]).id == "e-1"


def test_json_is_read_where_nothing_is_said_of_it():
    assert opened(headers=binary_headers()).id == "e-1"


@pytest.mark.parametrize(
    "content_type",
    [
        *(b"text/plain", b"application/xml", b"application/octet-stream", b"application/jsonx", b"json", b"\xff"),
        *(b"application/cloudevents", b"application/cloudevents+avro", b"application/cloudevents-batch+json"),
    ],
)
def test_another_content_type_is_refused(content_type):
    assert why_not(headers=[*binary_headers(), ("content-type", content_type)]) is Reason.INVALID_EVENT


# Each value is wrong in all that its reason says and in all that follows.
FIRST_WRONG = [
    (b"", [], Reason.EMPTY_VALUE),
    (b"{" * (MEBIBYTE + 1), [], Reason.TOO_LARGE),
    (b"{", binary_headers(type=b"none", without="id"), Reason.INVALID_EVENT),
    (b"{", binary_headers(type=b"none", time=b"none"), Reason.INVALID_EVENT),
    (b"{", binary_headers(type=b"none"), Reason.UNKNOWN_TYPE),
]


@pytest.mark.parametrize(("value", "headers", "reason"), FIRST_WRONG)
def test_the_first_thing_that_is_wrong_is_the_reason(value, headers, reason):
    assert why_not(value, headers) is reason


def test_the_reason_says_nothing_of_the_payload():
    with pytest.raises(InvalidMessage) as why:
        opened(headers=binary_headers(id=b"\x00secret", type=b"secret", source=b"secret"), value=b"secret")

    assert "secret" not in str(why.value)


TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_trace_context_in_headers_is_passed_on_as_headers():
    headers = [*binary_headers(), ("traceparent", TRACE), ("tracestate", b"rojo=1")]

    assert opened(headers=headers).trace == (("traceparent", TRACE), ("tracestate", b"rojo=1"))


def test_trace_context_in_extensions_is_passed_on_as_extensions():
    headers = binary_headers(traceparent=TRACE, tracestate=b"rojo=1")

    assert opened(headers=headers).trace == (("ce_traceparent", TRACE), ("ce_tracestate", b"rojo=1"))


def test_trace_context_in_both_forms_is_passed_on_in_both():
    headers = [*binary_headers(traceparent=TRACE), ("traceparent", TRACE)]

    assert sorted(opened(headers=headers).trace) == [("ce_traceparent", TRACE), ("traceparent", TRACE)]


@pytest.mark.parametrize("trace", [None, b"", b"\xff"])
def test_trace_context_that_is_none_stops_nothing(trace):
    assert opened(headers=[*binary_headers(), ("traceparent", trace)]).trace == ()


def test_an_event_is_told_apart_by_topic_source_and_id():
    keys = {
        event_key("orders", "/a", "1"),
        event_key("orders", "/a", "2"),
        event_key("orders", "/b", "1"),
        event_key("relationship-decisions", "/a", "1"),
        event_key("orders", "/a/1", ""),
        event_key("orders", "", "/a1"),
    }

    assert len(keys) == 6
    assert {len(key) for key in keys} == {16}
    assert event_key("orders", "/a", "1") in keys
