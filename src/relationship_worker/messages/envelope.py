"""CloudEvents 1.0 on Kafka: open the envelope of what comes in, in binary or structured mode, and seal what goes out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

import msgspec
import xxhash

from relationship_worker.messages import json_text
from relationship_worker.messages.times import InvalidTime, read_time

MAX_VALUE_BYTES = 1_048_576  # of an input's value

Headers = Sequence[tuple[str, bytes | None]]


class Reason(StrEnum):
    """Why a record is a dead letter."""

    EMPTY_VALUE = "empty_value"
    TOO_LARGE = "too_large"
    INVALID_JSON = "invalid_json"
    INVALID_EVENT = "invalid_event"
    UNKNOWN_TYPE = "unknown_type"
    INVALID_DATA = "invalid_data"
    CONFLICTING_EVENT_ID = "conflicting_event_id"
    UNKNOWN_RELATIONSHIP = "unknown_relationship"
    PROCESSING_FAILED = "processing_failed"


class InvalidMessage(Exception):
    """The record can't be read or believed: it is set aside as a dead letter, and the next one goes on.

    `detail` says what was wrong and where; it never holds anything of the payload.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """An event's attributes and its data, byte for byte without outer white space."""

    id: str
    source: str
    type: str
    time: datetime
    time_text: str  # as it came
    data: bytes
    trace: tuple[tuple[str, bytes], ...] = ()  # headers that pass the trace context on, in the form in which it came


TRACE_NAMES = ("traceparent", "tracestate")
_JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json", re.IGNORECASE | re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
WHITE_SPACE = b" \t\r\n"
_TEXT = msgspec.json.Decoder(str)


def open_envelope(headers: Headers, value: bytes | None, types: Iterable[str]) -> Envelope:
    """The event of a record. Raises InvalidMessage with the first thing that is wrong, in the contract's order of checks.

    `types`: those that the topic carries. In binary mode the data is yet unread.
    """
    if not value:
        raise InvalidMessage(Reason.EMPTY_VALUE, "the record has no value")
    if len(value) > MAX_VALUE_BYTES:
        raise InvalidMessage(Reason.TOO_LARGE, f"the value has {len(value)} bytes, at most {MAX_VALUE_BYTES} are read")
    attributes = dict(headers)
    if attributes.get("content-type") != b"application/json":
        media_type = _media_type(headers)
        if media_type == "application/cloudevents+json":
            return _open_structured(value, types, attributes)
        is_json = media_type is None or (
            _JSON_TYPE.fullmatch(media_type) and not media_type.startswith("application/cloudevents")
        )
        if not is_json:
            raise InvalidMessage(Reason.INVALID_EVENT, "content-type is neither JSON nor application/cloudevents+json")
    try:
        id_ = attributes["ce_id"].decode()  # type: ignore[union-attr]
        source = attributes["ce_source"].decode()  # type: ignore[union-attr]
        type_ = attributes["ce_type"].decode()  # type: ignore[union-attr]
        version = attributes["ce_specversion"]
        time = attributes["ce_time"].decode()  # type: ignore[union-attr]
    except KeyError as missing:
        raise InvalidMessage(Reason.INVALID_EVENT, f"the header {missing.args[0]} is missing") from None
    except (AttributeError, UnicodeDecodeError):
        raise InvalidMessage(Reason.INVALID_EVENT, "a ce_ header is null or no UTF-8") from None
    if version != b"1.0":
        raise InvalidMessage(Reason.INVALID_EVENT, "specversion is not 1.0")
    trace = _trace(attributes) if "traceparent" in attributes or "ce_traceparent" in attributes else ()
    return _checked(id_, source, type_, time, value.strip(WHITE_SPACE), trace, types)


def _trace(attributes: Mapping[str, bytes | None]) -> tuple[tuple[str, bytes], ...]:
    """The trace context in the form in which it came: Kafka headers, or CloudEvents extensions."""
    return tuple(
        (name, text)
        for plain in TRACE_NAMES
        for name in (plain, f"ce_{plain}")
        if (text := attributes.get(name)) and text.isascii()
    )


def _checked(
    id_: str,
    source: str,
    type_: str,
    time: str,
    data: bytes,
    trace: tuple[tuple[str, bytes], ...],
    types: Iterable[str],
) -> Envelope:
    known_type = type_ in types
    if not (_is_plain(id_) and _is_plain_source(source) and (known_type or _is_plain(type_))):
        name = next(n for n, text in (("id", id_), ("source", source), ("type", type_)) if not _is_plain(text))
        raise InvalidMessage(Reason.INVALID_EVENT, f"{name} is empty or holds control characters")
    try:
        at = read_time(time)
    except InvalidTime as why:
        raise InvalidMessage(Reason.INVALID_EVENT, f"time {why}") from None
    if not known_type:
        raise InvalidMessage(Reason.UNKNOWN_TYPE, f"the type is none of this topic's ({', '.join(sorted(types))})")
    return Envelope(id_, source, type_, at, time, data, trace)


def _is_plain(text: str) -> bool:
    return (text.isprintable() if text.isascii() else not _CONTROL.search(text)) and text != ""


def _is_plain_source(text: str) -> bool:
    return _is_plain_short(text) if len(text) <= SHORT else _is_plain(text)


SHORT = 200  # characters: what is longer is not kept, be it as large as a record
_is_plain_short = lru_cache(maxsize=1_000)(_is_plain)  # some kilobytes; a marketplace has few sources


def is_structured(headers: Headers) -> bool:
    """True where `open_envelope` takes the record's value for the whole event, its attributes included."""
    said = dict(headers).get("content-type")
    return said != b"application/json" and _media_type(headers) == "application/cloudevents+json"


def _media_type(headers: Headers) -> str | None:
    """Of the last content-type header, whatever the case of its name; None where there is none."""
    found = None
    for name, text in headers:
        if name.lower() == "content-type" and text is not None:
            found = text.decode("latin-1").partition(";")[0].strip().lower()
    return found


def _open_structured(value: bytes, types: Iterable[str], headers: Mapping[str, bytes | None]) -> Envelope:
    try:
        members = json_text.members(value)
    except json_text.NotJson as why:
        raise InvalidMessage(Reason.INVALID_JSON, f"the envelope {why}") from None
    except json_text.WrongShape:
        raise InvalidMessage(Reason.INVALID_EVENT, "the envelope is no JSON object") from None
    present = {name: raw for name, raw in members.items() if raw != b"null"}
    texts = {}
    for name in (
        "id",
        "source",
        "type",
        "specversion",
        "time",
        "datacontenttype",
        "subject",
        "dataschema",
        *TRACE_NAMES,
    ):
        if name in present:
            texts[name] = _text(name, present[name])
    for name in ("id", "source", "type", "specversion", "time"):
        if name not in texts:
            raise InvalidMessage(Reason.INVALID_EVENT, f"the attribute {name} is missing")
    if texts["specversion"] != "1.0":
        raise InvalidMessage(Reason.INVALID_EVENT, "specversion is not 1.0")
    media_type = texts.get("datacontenttype", "application/json").partition(";")[0].strip()
    if "data_base64" in present or not _JSON_TYPE.fullmatch(media_type):
        raise InvalidMessage(Reason.INVALID_EVENT, "the data is not JSON (data_base64, or another datacontenttype)")
    extensions = {f"ce_{name}": texts[name].encode("utf-8", "replace") for name in TRACE_NAMES if name in texts}
    trace = _trace({name: headers.get(name) for name in TRACE_NAMES} | extensions)
    data = present.get("data", b"")
    envelope = _checked(texts["id"], texts["source"], texts["type"], texts["time"], data, trace, types)
    if not data:
        raise InvalidMessage(Reason.INVALID_DATA, "there is no data")
    return envelope


def _text(name: str, raw: bytes) -> str:
    try:
        return _TEXT.decode(raw)
    except msgspec.DecodeError:
        raise InvalidMessage(Reason.INVALID_EVENT, f"the attribute {name} is no text") from None


def event_key(topic: str, source: str, id_: str) -> bytes:
    """16 bytes that stand for `(topic, source, id)`, wherever an event must be recognised or ids derived from it."""
    hashed = _key_begun(topic, source).copy() if len(source) <= SHORT else begin_key(topic, source)
    hashed.update(id_.encode())
    return hashed.digest()


def begin_key(topic: str, source: str) -> blake2b:
    """What is the same of the `event_key` of all events of a source: a copy of it is given the id in UTF-8."""
    return blake2b(f"{topic}\0{source}\0".encode(), digest_size=16)


_key_begun = lru_cache(maxsize=1_000)(begin_key)  # half a megabyte; a marketplace has few sources


def derived_key(key: bytes) -> bytes:
    """Another 16 bytes for the same event, always the same ones: for what it leads to besides its first effect."""
    return blake2b(key, digest_size=16).digest()


def data_hash(data: bytes) -> bytes:
    """8 bytes that tell one event's data from another's of the same `(source, id)`. Guards against mistakes, not against
    somebody who makes two of the same hash: he would be told that his second event is his first."""
    return xxhash.xxh3_64_digest(data)
