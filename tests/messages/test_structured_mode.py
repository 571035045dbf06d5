"""Events in structured mode: one JSON object, whose data is a slice of it."""

import itertools
from datetime import UTC, datetime

import pytest

from builders import STRUCTURED, binary_headers, structured
from relationship_worker.messages.envelope import (
    Envelope,
    InvalidMessage,
    Reason,
    data_hash,
    is_structured,
    open_envelope,
)
from relationship_worker.messages.orders import ORDER_TYPES


def opened(value: bytes, headers=STRUCTURED) -> Envelope:
    return open_envelope(headers, value, ORDER_TYPES)


def why_not(value: bytes, headers=STRUCTURED) -> Reason:
    with pytest.raises(InvalidMessage) as why:
        opened(value, headers)
    return why.value.reason


def test_an_event_is_opened():
    assert opened(structured('{"price": 2.10}')) == Envelope(
        id="e-1",
        source="/marketplace",
        type="marketplace.order.created",
        time=datetime(2026, 3, 2, 12, tzinfo=UTC),
        time_text="2026-03-02T12:00:00Z",
        data=b'{"price": 2.10}',
        trace=(),
    )


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents+json",
        b"application/cloudevents+json; charset=utf-8",
        b"application/cloudevents+json;charset=UTF-8",
        b"Application/CloudEvents+JSON",
        b" application/cloudevents+json ",
    ],
)
@pytest.mark.parametrize("name", ["content-type", "Content-Type"])
def test_the_content_type_says_that_the_mode_is_structured(name, content_type):
    assert opened(structured(), [(name, content_type)]).id == "e-1"


@pytest.mark.parametrize("names", list(itertools.product(["content-type", "Content-Type"], repeat=2)))
@pytest.mark.parametrize(
    "types", list(itertools.product([b"application/json", b"application/cloudevents+json"], repeat=2))
)
def test_whoever_asks_for_the_mode_is_told_the_one_in_which_the_event_was_read(names, types):
    """Or an erasure would look for contacts in another place than where they were read."""
    attributes = [pair for pair in binary_headers(id=b"binary") if pair[0] != "content-type"]
    headers = [*attributes, *zip(names, types, strict=True)]

    assert is_structured(headers) == (opened(structured(), headers).id == "e-1")


def test_attributes_in_headers_count_for_nothing():
    assert opened(structured(), [*STRUCTURED, *binary_headers(id=b"other", type=b"none")]).id == "e-1"


DATA = [
    b"{}",
    b'{"a":1}',
    b'{ "a" :\t1 ,\r\n"b":[ 1 , 2 ]\n}',
    b'{"price":2.10,"weight":1e-999,"n":12345678901234567890123456789,"x":1.000000000000000005,"e":1E+400}',
    b'{"a":1,"a":2,"\\u0061":3}',
    '{"city":"M\u00fcnchen","nfd":"Mu\u0308nchen","emoji":"\U0001f600","bidi":"\u202e","bom":"\ufeff"}'.encode(),
    b'{"escaped":"\\u004d\\u00fcnchen\\/\\b","nul":"\\u0000","pair":"\\ud83d\\ude00"}',
    b'{"broken":"\\ud83d","other":"\\ude00\\ud83d"}',
    b'{"\\ud800":1}',
    b'{"backslashes":"\\\\ud800","quote":"\\""}',
    b'{"data":{"data":1},"id":"inner","specversion":"0.3"}',
    b'{"looks":"\\",\\"data\\":{\\"a\\":2}"}',
    b"[1, 2]",
    b'"text"',
    b"0",
    b"-0.0",
    b"false",
]


@pytest.mark.parametrize("data", DATA)
def test_the_data_is_the_slice_as_it_lies_in_the_envelope(data):
    assert opened(structured(data)).data == data


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(
    "envelope",
    [
        b' \t\r\n{"data" \n:\t%b \r\n, %b }\n',
        b'{%b,"data":   %b   }',
        b'{%b,"before":{"data":{"a":1}},"data":%b,"after":{"data":{"a":1}}}',
        b'{"data":null,%b,"data":%b}',
        b'{"data":{"a":1},%b,"d\\u0061ta":%b}',
        b'{"broken":"\\ud800",%b,"data":%b,"\\udc00":"\\udfff"}',
    ],
)
def test_white_space_and_neighbours_do_not_touch_the_data(envelope, data):
    attributes = structured(None)[1:-1]
    parts = (data, attributes) if b'"data" \n' in envelope else (attributes, data)

    assert opened(envelope % parts).data == data


def test_the_same_event_in_either_mode_has_the_same_data():
    data = b'{ "price" : 2.10 }'

    in_binary = open_envelope(binary_headers(), b"\n" + data + b" ", ORDER_TYPES)

    assert data_hash(opened(structured(data)).data) == data_hash(in_binary.data)


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion", "time"])
def test_every_required_attribute_is_required(name):
    assert why_not(structured(without=name)) is Reason.INVALID_EVENT


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion", "time"])
@pytest.mark.parametrize("wrong", [None, 1, 1.0, True, [], {}, ["e-1"], "", "\x00", "\ud800"])
def test_an_attribute_of_another_type_is_no_attribute(name, wrong):
    assert why_not(structured(**{name: wrong})) is Reason.INVALID_EVENT


@pytest.mark.parametrize("version", ["0.3", "1", "1.0 ", "1.1"])
def test_another_specversion_is_refused(version):
    assert why_not(structured(specversion=version)) is Reason.INVALID_EVENT


def test_attributes_may_be_written_with_escapes():
    value = structured().replace(b'"id": "e-1"', b'"\\u0069d": "\\u0065-1"')

    assert opened(value).id == "e-1"


def test_among_repeated_attributes_the_last_counts():
    value = structured().replace(b'"id": "e-1"', b'"id": 7, "id": "e-0", "\\u0069d": "e-1"')

    assert opened(value).id == "e-1"


@pytest.mark.parametrize("last", [b"null", b"7"])
def test_a_last_attribute_that_is_wrong_counts_too(last):
    value = structured().replace(b'"id": "e-1"', b'"id": "e-1", "id": ' + last)

    assert why_not(value) is Reason.INVALID_EVENT


@pytest.mark.parametrize("value", [structured(None), structured("null"), structured('{"a":1}')[:-1] + b',"data":null}'])
def test_an_event_without_data_is_a_dead_letter(value):
    assert why_not(value) is Reason.INVALID_DATA


@pytest.mark.parametrize("base64", ["eyJhIjoxfQ==", "", 1, {}])
@pytest.mark.parametrize("data", [None, '{"a":1}'])
def test_data_in_base64_is_not_read(base64, data):
    assert why_not(structured(data, data_base64=base64)) is Reason.INVALID_EVENT


def test_no_data_in_base64_is_as_if_it_were_absent():
    assert opened(structured(data_base64=None)).data == b'{"a":1}'


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.order+json"],
)
def test_data_is_json(content_type):
    assert opened(structured(datacontenttype=content_type)).data == b'{"a":1}'


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/xml", "application/jsonx", "json", 1, [], {}])
def test_data_of_another_content_type_is_refused(content_type):
    assert why_not(structured(datacontenttype=content_type)) is Reason.INVALID_EVENT


@pytest.mark.parametrize("value", [b"[]", b'"text"', b"1", b"null", b"true", b"[" + structured() + b"]"])
def test_an_envelope_that_is_no_object_is_no_event(value):
    assert why_not(value) is Reason.INVALID_EVENT


@pytest.mark.parametrize(
    "value",
    [
        *(b" ", b"\n\t", b"{", b"nonsense", b"{}{}", structured()[:-1], structured() + b"x", structured() + b"\x00"),
        *(b"\xef\xbb\xbf" + structured(), structured().decode().encode("utf-16")),
        structured(b'{"a":NaN}'),
        structured(b'{"a":01}'),
        structured(b'{"a":"\xff"}'),
        structured(b'{"a":"\xed\xa0\x80"}'),
        structured(b'{"a":"\x00"}'),
        structured(b'{"a":1,}'),
        structured(without="id").replace(b"1.0", b"\xff"),
        structured(b"[" * 1_000 + b"]" * 1_000),
        structured(b"[" * 100_000 + b"]" * 100_000),
        structured(b"[" * 100_000),
    ],
)
def test_an_envelope_that_is_no_json_is_said_to_be_that_first(value):
    assert why_not(value) is Reason.INVALID_JSON


def test_64_levels_of_nesting_pass():
    data = b'{"a":' * 62 + b"1" + b"}" * 62

    assert opened(structured(data)).data == data


# Wrong in all that the reason says and in all that follows.
FIRST_WRONG = [
    (b"", Reason.EMPTY_VALUE),
    (b"{" * 1_048_577, Reason.TOO_LARGE),
    (structured(None, without="id", type="none")[:-1], Reason.INVALID_JSON),
    (structured(None, without="id", type="none"), Reason.INVALID_EVENT),
    (structured(None, time="2026-03-02T12:00:00", type="none"), Reason.INVALID_EVENT),
    (structured(None, type="none"), Reason.UNKNOWN_TYPE),
    (structured(None), Reason.INVALID_DATA),
]


@pytest.mark.parametrize(("value", "reason"), FIRST_WRONG)
def test_the_first_thing_that_is_wrong_is_the_reason(value, reason):
    assert why_not(value) is reason


def test_the_reason_says_nothing_of_the_payload():
    with pytest.raises(InvalidMessage) as why:
        opened(structured(id="\x00secret", source="secret", subject="secret"))

    assert "secret" not in str(why.value)


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_trace_context_in_extensions_is_passed_on_as_extensions():
    event = opened(structured(traceparent=TRACE, tracestate="rojo=1"))

    assert event.trace == (("ce_traceparent", TRACE.encode()), ("ce_tracestate", b"rojo=1"))


def test_trace_context_in_headers_is_passed_on_as_headers():
    event = opened(structured(), [*STRUCTURED, ("traceparent", TRACE.encode()), ("tracestate", b"rojo=1")])

    assert event.trace == (("traceparent", TRACE.encode()), ("tracestate", b"rojo=1"))


def test_no_trace_context_is_no_trace():
    assert opened(structured(traceparent=None)).trace == ()
