"""CloudEvents on Kafka: from a record to an event, or to the reason why it is a dead letter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from model.fields import are_believable
from model.json_text import NotJson, member, read_json, without_outer_blanks
from model.records import DECISIONS, ORDERS, REQUESTS, Cause, Record
from model.times import read_time

LARGEST = 1_048_576
LARGEST_RECORD = 2 * LARGEST  # with key and headers
MOST_HEADERS = 10_000
STRUCTURED = "application/cloudevents+json"

_TYPES = {
    REQUESTS: {
        "marketplace.connection.requested",
        "marketplace.connection.withdrawn",
        "marketplace.customer.profile-updated",
        "marketplace.customer.assortment-assigned",
        "marketplace.customer.erased",
    },
    DECISIONS: {
        "supplier.connection.accepted",
        "supplier.connection.rejected",
        "supplier.connection.deferred",
        "supplier.connection.ended",
        "supplier.customer-number.assigned",
        "supplier.settings.changed",
    },
    ORDERS: {"marketplace.order.created"},
}
_TRACE = ("traceparent", "tracestate")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_JSON = re.compile(r"application/([a-z0-9._+-]+\+)?json")


@dataclass(frozen=True, kw_only=True)
class Event:
    """A readable event. `raw` is its data as it came, without outer white space."""

    record: Record
    cause: Cause
    type: str
    time: datetime
    raw: bytes
    data: Mapping[str, object]
    trace: tuple[tuple[str, bytes], ...]


def read_event(record: Record) -> Event | str:
    """The event in a record, or the code of the first check that fails (conflicting ids are not seen from here)."""
    if not record.value:
        return "empty_value"
    if len(record.value) > LARGEST or len(record.headers) > MOST_HEADERS or _size(record) > LARGEST_RECORD:
        return "too_large"
    if _media_type(_content_type(record)) == STRUCTURED:
        return _read_structured(record, record.value)
    return _read_binary(record, record.value)


def _size(record: Record) -> int:
    """Bytes of key, value and headers, without what Kafka writes between them."""
    headers = sum(len(name.encode()) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _read_binary(record: Record, value: bytes) -> Event | str:
    attributes = {name: record.header(f"ce_{name}") for name in ("id", "source", "type", "specversion", "time")}
    if not _is_json(_content_type(record)):
        return "invalid_event"
    return _read(record, attributes, value, _trace(record, {}))


def _read_structured(record: Record, value: bytes) -> Event | str:
    try:
        envelope = read_json(value)
    except NotJson:
        return "invalid_json"
    if not isinstance(envelope, dict) or "data_base64" in envelope:
        return "invalid_event"
    content_type = envelope.get("datacontenttype")
    if content_type is not None and not (isinstance(content_type, str) and _is_json(content_type)):
        return "invalid_event"
    return _read(record, envelope, member(value, "data"), _trace(record, envelope))


def _read(
    record: Record, attributes: Mapping[str, object], raw: bytes | None, trace: tuple[tuple[str, bytes], ...]
) -> Event | str:
    texts = [attributes.get(name) for name in ("id", "source", "type", "specversion", "time")]
    if not all(isinstance(text, str) and text and not _CONTROL.search(text) for text in texts):
        return "invalid_event"
    id_, source, type_, version, time_text = (str(text) for text in texts)
    time = read_time(time_text)
    if version != "1.0" or time is None:
        return "invalid_event"
    if type_ not in _TYPES[record.topic]:
        return "unknown_type"
    if raw is None:
        return "invalid_data"
    try:
        data = read_json(raw)
    except NotJson:
        return "invalid_json"
    if not isinstance(data, dict) or not are_believable(type_, data):
        return "invalid_data"
    return Event(
        record=record,
        cause=Cause(topic=record.topic, source=source, id=id_),
        type=type_,
        time=time,
        raw=without_outer_blanks(raw),
        data=data,
        trace=trace,
    )


def _trace(record: Record, envelope: Mapping[str, object]) -> tuple[tuple[str, bytes], ...]:
    """The trace context in the form in which it came: a Kafka header, or an extension of the event."""
    there = [(name, value) for name, value in record.headers if value is not None]
    headers = [(name, value) for name, value in there if name in _TRACE]
    extensions = [(name, value) for name, value in there if name in tuple(f"ce_{name}" for name in _TRACE)]
    in_envelope = [(f"ce_{name}", str(envelope[name]).encode()) for name in _TRACE if name in envelope]
    return tuple(headers + (in_envelope or extensions))


def _content_type(record: Record) -> str | None:
    """The last one that says something; what is no UTF-8 names no type that anybody knows."""
    said = [value for name, value in record.headers if name == "content-type" and value is not None]
    return said[-1].decode("utf-8", "replace") if said else None


def _is_json(content_type: str | None) -> bool:
    if content_type is None:
        return True
    media_type = _media_type(content_type)
    return _JSON.fullmatch(media_type) is not None and not media_type.startswith("application/cloudevents")


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()
