"""Orders that are read in one go, their headers like those of an order before: the same as if all was read step by step."""

import json
import random
from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition

from builders import an_order
from relationship_worker.kafka import asked_orders
from relationship_worker.kafka.asked_orders import AskedOrders
from relationship_worker.kafka.plain_records import FetchedRecord, head_of
from relationship_worker.messages.envelope import Headers, InvalidMessage

PLACE = TopicPartition("orders", 0)
ID = ("ce_id", b"8c1d-0001")
TIME = ("ce_time", b"2026-03-02T12:00:00.123Z")
OTHERS = [
    ("ce_source", b"/marketplace"),
    ("ce_type", b"marketplace.order.created"),
    ("ce_specversion", b"1.0"),
    ("content-type", b"application/json"),
]
TRACE = [("traceparent", b"00-1"), ("tracestate", b"a=b")]
PLAIN = [ID, *OTHERS, TIME]
ORDER = json.dumps(an_order()).encode()


def asked(orders: AskedOrders | None, some: Headers | bytes, value: bytes | None = ORDER):
    """The order, or why there is none: by what is kept, or (None) step by step."""
    record = FetchedRecord(PLACE, 0, None, value, some if isinstance(some, bytes) else head_of(some))
    try:
        return (orders or AskedOrders()).read(record)
    except InvalidMessage as why:
        return why.reason, why.detail


def after(kept: Sequence[tuple[str, bytes | None]]) -> AskedOrders:
    """Has read an order with these headers."""
    orders = AskedOrders()
    asked(orders, kept)
    return orders


def in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing is read step by step."""
    monkeypatch.setattr(asked_orders, "open_envelope", lambda *_: pytest.fail("all headers were read again"))


@pytest.mark.parametrize("more", [[], TRACE, [("x-correlation", b"12")], [("x-null", None)], [("x-empty", b"")]])
def test_what_is_alike_is_not_read_again_and_each_event_has_its_own_id_time_and_trace(more, monkeypatch):
    mine = [("ce_id", b"8c1d-0002"), *OTHERS, ("ce_time", b"2026-03-02T12:00:01.456Z")]
    own = [(name, None if text is None else text[::-1]) for name, text in more]
    orders = after([*PLAIN, *more])
    step_by_step = asked(None, [*mine, *own])
    in_one_go(monkeypatch)

    order = asked(orders, [*mine, *own])

    assert order == step_by_step
    assert order.event_id == b"8c1d-0002"
    assert [text for _, text in order.trace] == [text for name, text in own if name.startswith("trace")]


@pytest.mark.parametrize(
    "differing",
    [
        [ID, ("ce_source", b"/marketplacf"), *OTHERS[1:], TIME],
        [ID, OTHERS[0], ("ce_type", b"marketplace.order.creates"), *OTHERS[2:], TIME],
        [ID, *OTHERS[:2], ("ce_specversion", b"1.1"), OTHERS[3], TIME],
        [ID, *OTHERS[:3], ("content-type", b"application/xmls"), TIME],
        [("ce_ib", ID[1]), *OTHERS, TIME],
        [("ce_id", b"8c1d\x000001"), *OTHERS, TIME],
        [("ce_id", "8c1d-äö1".encode()[:9]), *OTHERS, TIME],
        [("ce_id", b"8c1d-\xff\xfe01"), *OTHERS, TIME],
        [ID, *OTHERS, ("ce_time", b"2026-03-02T25:00:00.123Z")],
        [ID, *OTHERS, ("ce_time", b"1999-03-02T12:00:00.123Z")],
        [TIME, *OTHERS, ID],
    ],
)
def test_whatever_differs_is_told_as_if_nothing_was_kept(differing):
    orders = after(PLAIN)
    assert len(head_of(differing)) == len(head_of(PLAIN))

    assert asked(orders, differing) == asked(None, differing)
    assert asked(orders, PLAIN) == asked(None, PLAIN)


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            b"",
            b" " * 1_048_577,
            ORDER + b" " * 1_048_576,
            b" \n{} ",
            b"[]",
            b" \t" + ORDER + b"\r\n",
            ORDER.replace(b"s-1", b"s 1"),
        ),
        *(ORDER.replace(b"c-1", "ä".encode()), ORDER.replace(b"c-1", b"\xff"), ORDER.replace(b"o-1", b" o-1")),
    ],
)
def test_the_value_is_looked_at_all_the_same(value):
    orders = after(PLAIN)

    assert asked(orders, PLAIN, value) == asked(None, PLAIN, value)


@pytest.mark.parametrize(
    "created_at",
    [
        *(
            "2026-03-02T12:00:00Z",
            "2026-03-02T12:00:00.120Z",
            "2026-03-02T12:00:00.123456Z",
            "2026-02-28T23:59:59.999Z",
        ),
        None,
    ],
)
def test_times_in_the_usual_forms_are_read_in_one_go(created_at, monkeypatch):
    value = json.dumps(an_order(created_at=created_at)).encode()
    orders = after(PLAIN)
    step_by_step = asked(None, PLAIN, value)
    in_one_go(monkeypatch)

    assert asked(orders, PLAIN, value) == step_by_step


@pytest.mark.parametrize(
    "created_at",
    [
        *(
            "2026-03-02T12:00:00.000Z",
            "2026-03-02T12:00:00.000000Z",
            "2026-03-02T13:00:00+01:00",
            "2026-03-02t12:00:00Z",
        ),
        *("2026-02-29T12:00:00Z", "2026-03-02T24:00:00Z", "2026-03-02T12:00:60Z", "1999-12-31T23:59:59Z"),
        *("2200-01-01T00:00:00Z", "2026-03-02T12:00:00.12Z", "2026-03-02", "", "\u0662026-03-02T12:00:00Z", "\ud800"),
    ],
)
def test_times_in_any_other_form_are_read_or_refused_step_by_step(created_at):
    value = json.dumps(an_order(created_at=created_at)).encode()
    orders = after(PLAIN)

    assert asked(orders, PLAIN, value) == asked(None, PLAIN, value)


@pytest.mark.parametrize(
    "kept",
    [
        [("ce_source", b"/first"), *PLAIN],
        [*PLAIN, ("Content-Type", b"application/json")],
        [*PLAIN, ("traceparent", b"\xff\xff")],
        [ID, *OTHERS[:3], ("content-type", b"application/cloudevents+json"), TIME],
    ],
)
def test_of_headers_of_which_not_all_count_each_event_reads_its_own(kept):
    orders = after(kept)
    other = [(name, text[:-1] + b"x" if name == "traceparent" else text) for name, text in kept]

    assert asked(orders, other) == asked(None, other)


def changed(rng: random.Random, some: bytes) -> bytes:
    """None, one or two of the bytes."""
    anew = bytearray(some)
    for _ in range(rng.choice((0, 0, 1, 2))):
        anew[rng.randrange(len(anew))] = rng.randrange(256)
    return bytes(anew)


def test_records_with_any_bytes_are_read_as_if_nothing_was_kept():
    """Some bytes of headers and values changed, thousands of times, between some that are whole; the seed is the message."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    orders = AskedOrders()
    whole = [[*PLAIN], [*PLAIN, *TRACE], [*TRACE, *PLAIN], [*PLAIN, ("ce_traceparent", b"00-2")]]
    for _ in range(5_000):
        head, value = changed(rng, head_of(rng.choice(whole))), changed(rng, ORDER)

        assert asked(orders, head, value) == asked(None, head, value), f"seed {seed}: {head!r} {value!r}"
