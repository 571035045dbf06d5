"""An order in, the same order out with its answer: the bytes of the fast lane."""

import re
from datetime import datetime
from functools import lru_cache

import msgspec

from relationship_worker.domain.customer_number_text import has_hidden_characters
from relationship_worker.domain.customer_numbers import Channel, Ruling
from relationship_worker.messages import json_text
from relationship_worker.messages.envelope import Envelope, InvalidMessage, Reason
from relationship_worker.messages.times import InvalidTime, read_time, write_time, written_anew

ORDER_CREATED = "marketplace.order.created"
ORDER_ENRICHED = "order.enriched"
ORDER_TYPES = frozenset({ORDER_CREATED})

MAX_ORDER_ID = 128  # characters
MAX_ID = 64


class OrderCreated(msgspec.Struct, gc=False):
    """What the worker reads of an order; the document may hold anything else."""

    order_id: str
    supplier_id: str
    customer_id: str | None = None
    created_at: str | None = None
    channel: msgspec.Raw = msgspec.Raw(b"null")


class Order(msgspec.Struct, frozen=True, gc=False):
    """A checked order, and of its event what goes with it. `channel_known` is false where it names one that is none of ours."""

    event_id: bytes  # UTF-8
    source: str
    trace: tuple[tuple[str, bytes], ...]
    data: bytes
    order_id: str
    supplier_id: str
    customer_id: str | None
    created_at: datetime
    as_of: bytes  # when it was created, as the worker writes it
    channel: Channel | None
    channel_known: bool


class PlainOrder(msgspec.Struct, gc=False):
    """The same as nearly all orders are written: at half the price where the channel is one of ours."""

    order_id: str
    supplier_id: str
    customer_id: str | None = None
    created_at: str | None = None
    channel: Channel | None = None


_PLAIN = msgspec.json.Decoder(PlainOrder)
_DECODER = msgspec.json.Decoder(OrderCreated)
_FIELDS = OrderCreated.__struct_fields__
_CHANNELS: dict[bytes, Channel | None] = {b'"public"': Channel.PUBLIC, b'"private"': Channel.PRIVATE, b"null": None}
_TEXT = msgspec.json.Decoder(str)


def read_order(event: Envelope) -> Order:
    """The order of an event. Raises InvalidMessage."""
    data, channel, known = _read(event.data)
    if not has_order_id(data.order_id):
        detail = f"order_id is not 1 to {MAX_ORDER_ID} visible characters without outer white space"
        raise InvalidMessage(Reason.INVALID_DATA, detail)
    if not is_supplier_id(data.supplier_id):
        raise InvalidMessage(Reason.INVALID_DATA, "supplier_id is not 1 to 64 letters, digits and . _ : @ + -")
    if data.customer_id is not None and not is_party_id(data.customer_id):
        raise InvalidMessage(Reason.INVALID_DATA, "customer_id is not 1 to 64 letters, digits and . _ : @ + -")
    created_at, text = event.time, event.time_text
    if data.created_at is not None and data.created_at != text:
        try:
            created_at, text = read_time(data.created_at), data.created_at
        except InvalidTime as why:
            raise InvalidMessage(Reason.INVALID_DATA, f"created_at {why}") from None
    return Order(
        event.id.encode(),
        event.source,
        event.trace,
        event.data,
        data.order_id,
        data.supplier_id,
        data.customer_id,
        created_at,
        written_anew(text, created_at).encode(),
        channel,
        known,
    )


def read_plain(text: bytes) -> PlainOrder | None:
    """An order as nearly all are written; None of any other, and where anything is wrong: the general way says what."""
    if not json_text.is_flat(text):
        return None
    try:
        if not text.isascii():
            text.decode()  # the decoder takes any bytes inside strings
        return _PLAIN.decode(text)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return None


def _read(text: bytes) -> tuple[PlainOrder | OrderCreated, Channel | None, bool]:
    """The order, its channel, and whether that is one of ours."""
    plain = read_plain(text)
    if plain is not None:
        return plain, plain.channel, True
    try:
        data = json_text.read(text, _DECODER, _FIELDS)
    except json_text.NotJson as why:
        raise InvalidMessage(Reason.INVALID_JSON, f"the value {why}") from None
    except json_text.WrongShape as why:
        raise InvalidMessage(Reason.INVALID_DATA, f"the order does not fit its type: {why}") from None
    return data, *_channel(bytes(data.channel))


def has_order_id(text: str) -> bool:
    """1 to MAX_ORDER_ID visible characters without outer white space."""
    visible = text.isprintable() if text.isascii() else not has_hidden_characters(text)
    return visible and text.strip() == text and 0 < len(text) <= MAX_ORDER_ID


is_party_id = re.compile(r"[A-Za-z0-9._:@+-]{1,64}", re.ASCII).fullmatch


def is_supplier_id(text: str) -> bool:
    """The same, and kept: suppliers are few, and each has many orders."""
    return len(text) <= MAX_ID and _is_supplier_id(text)


@lru_cache(maxsize=10_000)  # a megabyte
def _is_supplier_id(text: str) -> bool:
    return is_party_id(text) is not None


def _channel(raw: bytes) -> tuple[Channel | None, bool]:
    try:
        return _CHANNELS[raw], True
    except KeyError:
        return _other_channel(raw)


def _other_channel(raw: bytes) -> tuple[Channel | None, bool]:
    try:
        return Channel(_TEXT.decode(raw)), True  # written with escapes
    except (msgspec.DecodeError, ValueError):
        return None, False


NO_CUSTOMER = "no_customer"
UNKNOWN_CHANNEL = "unknown_channel"
NOT_CAUGHT_UP = "decisions_not_caught_up"


def write_correction(told: "Answer", ruling: Ruling, version: int | None, *, as_of: datetime) -> str:
    """The ANSWER that a corrected order is told, as JSON text; what is flagged of the order itself stays so."""
    before, after = around_as_of(
        ruling, version, no_customer=NO_CUSTOMER in told.flags, unknown_channel=UNKNOWN_CHANNEL in told.flags
    )
    return before + write_time(as_of) + after


def around_as_of(
    ruling: Ruling, version: int | None, *, no_customer: bool, unknown_channel: bool = False, caught_up: bool = True
) -> tuple[str, str]:
    """The ANSWER of the contract as JSON text, but for the instant that it goes by: what stands before and behind it."""
    flags = [
        name
        for name, raised in (
            (NO_CUSTOMER, no_customer),
            (UNKNOWN_CHANNEL, unknown_channel),
            ("private_catalogue", ruling.private_catalogue),
            (NOT_CAUGHT_UP, not caught_up),
        )
        if raised
    ]
    before = msgspec.json.encode(
        {
            "number": ruling.number,
            "source": ruling.source,
            "reason": ruling.reason,
            "rule": ruling.rule,
            "relationship_version": version,
        }
    ).decode()
    return before[:-1] + ',"as_of":"', '","flags":' + msgspec.json.encode(flags).decode() + "}"


class Answer(msgspec.Struct):
    """An ANSWER read back from its JSON text."""

    number: str | None
    source: str
    reason: str | None
    rule: int
    relationship_version: int | None
    as_of: str
    flags: list[str]


_ANSWER = msgspec.json.Decoder(Answer)


def read_answer(text: str | bytes) -> Answer:
    """An ANSWER as it was written."""
    return _ANSWER.decode(text)
