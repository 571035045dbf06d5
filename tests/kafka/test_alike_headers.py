"""What is not read again of headers that are alike: an event is opened as if all had been read."""

import random
from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition

from relationship_worker.kafka import alike_headers
from relationship_worker.kafka.alike_headers import AlikeHeaders
from relationship_worker.kafka.plain_records import FetchedRecord, head_of
from relationship_worker.messages.envelope import Headers, InvalidMessage, open_envelope
from relationship_worker.messages.orders import ORDER_TYPES

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


def opened(headers: AlikeHeaders | None, some: Headers, value: bytes | None = b"{}"):
    """The event, or why there is none: by what is kept, or (None) by the general way alone."""
    try:
        if headers is None:
            return open_envelope(some, value, ORDER_TYPES)
        return headers.open(FetchedRecord(PLACE, 0, None, value, head_of(some)))
    except InvalidMessage as why:
        return why.reason, why.detail


def after(
    kept: Sequence[tuple[str, bytes | None]], *, reads_again: bool, monkeypatch: pytest.MonkeyPatch
) -> AlikeHeaders:
    """Has opened an event with these headers. `reads_again`: whether the general way is there for the next one."""
    headers = AlikeHeaders(ORDER_TYPES)
    opened(headers, kept)
    if not reads_again:
        monkeypatch.setattr(alike_headers, "open_envelope", lambda *_: pytest.fail("all headers were read again"))
    return headers


@pytest.mark.parametrize("more", [[], TRACE, [("x-correlation", b"12")], [("x-null", None)], [("x-empty", b"")]])
def test_what_is_alike_is_not_read_again_and_each_event_has_its_own_id_time_and_trace(more, monkeypatch):
    mine = [("ce_id", b"8c1d-0002"), *OTHERS, ("ce_time", b"2026-03-02T12:00:01.456Z")]
    own = [(name, None if text is None else text[::-1]) for name, text in more]
    headers = after([*PLAIN, *more], reads_again=False, monkeypatch=monkeypatch)

    event = opened(headers, [*mine, *own])

    assert event == opened(None, [*mine, *own])
    assert event.id == "8c1d-0002"
    assert [text for _, text in event.trace] == [text for name, text in own if name.startswith("trace")]


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
def test_whatever_differs_is_told_as_if_nothing_was_kept(differing, monkeypatch):
    headers = after(PLAIN, reads_again=True, monkeypatch=monkeypatch)
    assert len(head_of(differing)) == len(head_of(PLAIN))

    assert opened(headers, differing) == opened(None, differing)
    assert opened(headers, PLAIN) == opened(None, PLAIN)


@pytest.mark.parametrize("value", [None, b"", b" " * 1_048_577, b" \n{} "])
def test_the_value_is_looked_at_all_the_same(value, monkeypatch):
    headers = after(PLAIN, reads_again=True, monkeypatch=monkeypatch)

    assert opened(headers, PLAIN, value) == opened(None, PLAIN, value)


@pytest.mark.parametrize(
    "kept",
    [
        [("ce_source", b"/first"), *PLAIN],
        [*PLAIN, ("Content-Type", b"application/json")],
        [*PLAIN, ("traceparent", b"\xff\xff")],
        [ID, *OTHERS[:3], ("content-type", b"application/cloudevents+json"), TIME],
    ],
)
def test_of_headers_of_which_not_all_count_each_event_reads_its_own(kept, monkeypatch):
    headers = after(kept, reads_again=True, monkeypatch=monkeypatch)
    other = [(name, text[:-1] + b"x" if name == "traceparent" else text) for name, text in kept]

    assert opened(headers, other) == opened(None, other)


def test_bytes_of_all_kinds_are_opened_as_the_general_way_opens_them():
    """Headers with some bytes changed, thousands of them, between some that are whole; the seed is the message."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    headers = AlikeHeaders(ORDER_TYPES)
    whole = [[*PLAIN], [*PLAIN, *TRACE], [*TRACE, *PLAIN], [*PLAIN, ("ce_traceparent", b"00-2")]]
    for _ in range(5_000):
        head = bytearray(head_of(rng.choice(whole)))
        for _ in range(rng.choice((0, 1, 2))):
            head[rng.randrange(len(head))] = rng.randrange(256)
        record = FetchedRecord(PLACE, 0, None, b"{}", bytes(head))
        by_kept: object
        try:
            by_kept = headers.open(record)
        except InvalidMessage as why:
            by_kept = why.reason, why.detail

        assert by_kept == opened(None, record.headers), f"seed {seed}"
