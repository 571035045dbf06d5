"""Bad input: a dead letter with the record as it came, once; the valid records before and behind it go on."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from roads.driving import DECISIONS, ORDERS, REQUESTS, Road, Told

MIB = 1024 * 1024
NOW = datetime.now(UTC).isoformat()
ACCEPTED = "supplier.connection.accepted"
REQUESTED = "marketplace.connection.requested"
CREATED = "marketplace.order.created"
TYPES = {REQUESTS: REQUESTED, DECISIONS: ACCEPTED, ORDERS: CREATED}


@dataclass(frozen=True)
class Bad:
    """A record that nobody can believe, and the reason that is due."""

    why: str
    reason: str
    value: bytes | None
    without: tuple[str, ...] = ()
    instead: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = b"k"


def order(**more: Any) -> bytes:
    data = {"order_id": f"O-{uuid4()}", "supplier_id": "shop-1", "customer_id": "ida", **more}
    return json.dumps(data).encode()


def order_with(member: bytes) -> bytes:
    return order()[:-1] + b', "x": ' + member + b"}"


def envelope(**more: Any) -> bytes:
    attributes = {"specversion": "1.0", "id": str(uuid4()), "source": "/test", "type": CREATED, "time": NOW}
    attributes |= {"data": json.loads(order())} | more
    return json.dumps({name: value for name, value in attributes.items() if value is not ...}).encode()


STRUCTURED = (("content-type", b"application/cloudevents+json"),)
CE = ("ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time")

OF_ANY_TOPIC = [
    Bad("no value", "empty_value", None),
    Bad("neither key nor value", "empty_value", None, key=None),
    Bad("an empty value", "empty_value", b""),
    Bad("2 MiB", "too_large", b"{" + b" " * 2 * MIB + b"}"),
    Bad("8 MiB, and large headers", "too_large", b"x" * (8 * MIB), instead=(("x-large", b"h" * 70_000),)),
    Bad("no UTF-8", "invalid_json", b'{"a": "\xc3\x28"}'),
    Bad("UTF-16", "invalid_json", b"\xff\xfe{\x00}\x00"),
    Bad("a byte order mark", "invalid_json", b"\xef\xbb\xbf{}"),
    Bad("a NUL byte", "invalid_json", b'{"a": "a\x00b"}'),
    Bad("NaN", "invalid_json", b'{"a": NaN}'),
    Bad("100,000 levels deep", "invalid_json", b"[" * 100_000 + b"]" * 100_000),
    Bad("1,000 levels deep", "invalid_json", b'{"a":' * 1000 + b"1" + b"}" * 1000),
    Bad("cut off", "invalid_json", b'{"supplier_id": "shop'),
    Bad("blanks", "invalid_json", b"  \n"),
    Bad("a list", "invalid_data", b"[]"),
    Bad("no fields", "invalid_data", b"{}"),
    *(Bad(f"without {name}", "invalid_event", b"{}", without=(name,)) for name in CE),
    Bad("an old CloudEvents version", "invalid_event", b"{}", instead=(("ce_specversion", b"0.3"),)),
    Bad("a time without an offset", "invalid_event", b"{}", instead=(("ce_time", b"2026-01-01T10:00:00"),)),
    Bad("a time in 1999", "invalid_event", b"{}", instead=(("ce_time", b"1999-12-31T23:59:59Z"),)),
    Bad("a time in 2200", "invalid_event", b"{}", instead=(("ce_time", b"2200-01-01T00:00:00Z"),)),
    Bad("a time of year 9999", "invalid_event", b"{}", instead=(("ce_time", b"9999-12-31T23:59:59Z"),)),
    Bad("an id that is no UTF-8", "invalid_event", b"{}", instead=(("ce_id", b"\xff\xfe"),)),
    Bad("an id with a NUL", "invalid_event", b"{}", instead=(("ce_id", b"a\x00b"),)),
    Bad("XML", "invalid_event", b"<order/>", instead=(("content-type", b"application/xml"),)),
    Bad("an unknown type", "unknown_type", b"{}", instead=(("ce_type", b"marketplace.order.cancelled"),)),
    Bad("structured mode: no JSON", "invalid_json", b"{", without=CE, instead=STRUCTURED),
    Bad("structured mode: a list", "invalid_event", b"[]", without=CE, instead=STRUCTURED),
    Bad("structured mode: no attributes", "invalid_event", b"{}", without=CE, instead=STRUCTURED),
]
OF_ORDERS = [
    Bad("structured mode: no data", "invalid_data", envelope(data=...), without=CE, instead=STRUCTURED),
    Bad("structured mode: data is null", "invalid_data", envelope(data=None), without=CE, instead=STRUCTURED),
    Bad("structured mode: base64", "invalid_event", envelope(data_base64="e30="), without=CE, instead=STRUCTURED),
    Bad("structured mode: id 42", "invalid_event", envelope(id=42), without=CE, instead=STRUCTURED),
    Bad("a lone surrogate in order_id", "invalid_data", order(order_id="a\ud800b")),
    Bad("U+0000 in order_id", "invalid_data", order(order_id="a\0b")),
    Bad("a right-to-left override in order_id", "invalid_data", order(order_id="a\u202eb")),
    Bad("an order_id of 129 characters", "invalid_data", order(order_id="x" * 129)),
    Bad("a supplier_id that is a path", "invalid_data", order(supplier_id="../../etc/passwd")),
    Bad("a supplier_id that is SQL", "invalid_data", order(supplier_id="'; DROP TABLE answers; --")),
    Bad("a customer_id that is a number", "invalid_data", order(customer_id=17850.0)),
    Bad("created_at without an offset", "invalid_data", order(created_at="2026-01-01T10:00:00")),
    Bad("created_at in 1999", "invalid_data", order(created_at="1999-01-01T10:00:00Z")),
    Bad("created_at as a number", "invalid_data", order(created_at=1760000000)),
    Bad("NaN deep inside", "invalid_json", order_with(b'[{"price": NaN}]')),
    Bad("bytes that are no UTF-8 in a field nobody reads", "invalid_json", order_with(b'"\xff"')),
]
OF_DECISIONS = [
    Bad("decided_by as a number", "invalid_data", b'{"supplier_id": "s", "customer_id": "c", "decided_by": 42}'),
    Bad("a number that is one", "invalid_data", b'{"supplier_id": "s", "customer_id": "c", "customer_number": 42}'),
    Bad("U+0000 in a reason", "invalid_data", b'{"supplier_id": "s", "customer_id": "c", "reason": "a\\u0000b"}'),
]
OF_REQUESTS = [
    Bad("a profile as text", "invalid_data", b'{"supplier_id": "s", "customer_id": "c", "profile": "text"}'),
    Bad("contacts as an object", "invalid_data", b'{"supplier_id":"s","customer_id":"c","profile":{"contacts":{}}}'),
]


async def test_bad_orders_are_dead_letters_and_hold_back_no_order(road: Road):
    await road.start()
    before = await road.order("before", "ida", partition=1)
    places = {await send_bad(road, ORDERS, bad): bad for bad in [*OF_ANY_TOPIC, *OF_ORDERS]}
    behind = await road.order("behind", "ida", partition=1)
    await road.settled()

    assert_dead_letters(await road.told("dead-letters", len(places)), ORDERS, places)
    assert [o.cause for o in await road.read("enriched-orders")] == [before, behind]


async def test_bad_decisions_are_dead_letters_and_hold_back_no_decision(road: Road):
    await road.start()
    await road.request("ida")
    await road.settled()
    accepted = await road.accept("ida", "1", partition=1)
    places = {await send_bad(road, DECISIONS, bad): bad for bad in [*OF_ANY_TOPIC, *OF_DECISIONS]}
    ended = await road.send("supplier.connection.ended", {"supplier_id": "shop-1", "customer_id": "ida"}, partition=1)

    assert_dead_letters(await road.told("dead-letters", len(places)), DECISIONS, places)
    assert [o.cause for o in (await road.told("relationship-events", 3))][1:] == [accepted, ended]


async def test_bad_requests_are_dead_letters_and_hold_back_no_request(road: Road):
    await road.start()
    before = await road.request("ida", partition=1)
    places = {await send_bad(road, REQUESTS, bad): bad for bad in [*OF_ANY_TOPIC, *OF_REQUESTS]}
    behind = await road.request("jan", partition=1)

    assert_dead_letters(await road.told("dead-letters", len(places)), REQUESTS, places)
    assert {o.cause for o in await road.told("relationship-events", 2)} == {before, behind}


async def test_an_unreadable_record_sent_twice_is_two_dead_letters_and_mended_an_ordinary_order(road: Road):
    await road.start()
    await road.send(CREATED, b"{", id_="mended", key=b"k")
    await road.send(CREATED, b"{", id_="mended", key=b"k")
    await road.order("mended", "ida", id_="mended")

    assert len(await road.told("dead-letters", 2)) == 2
    assert [o.cause for o in await road.told("enriched-orders", 1)] == ["mended"]


async def test_dead_letter_headers_that_were_there_already_stay_in_front(road: Road):
    await road.start()
    own = {"deadletter-reason": "from before", "x-other": "1"}
    await road.send(CREATED, b"{", key=b"k", **own)

    [letter] = await road.told("dead-letters", 1)

    reasons = [text for name, text in letter.headers if name == "deadletter-reason"]
    assert reasons == [b"from before", b"invalid_json"]


LARGE = b"x" * (8 * MIB + 300_000)  # more than an output topic takes

TOO_LARGE_TO_PASS_ON = [
    Bad("an order with a large id", "too_large", order(), instead=(("ce_id", LARGE),)),
    Bad("an order with a large source", "too_large", order(), instead=(("ce_source", LARGE),)),
    Bad("an order with a large trace", "too_large", order(), instead=(("traceparent", b"0"), ("tracestate", LARGE))),
    Bad("an order with a large key", "too_large", order(), key=LARGE),
    Bad("no order, with a large header", "too_large", b"{", instead=(("x-large", LARGE),)),
    Bad("no order, with a large key", "empty_value", b"", key=LARGE),
]


async def test_orders_that_are_too_large_to_be_passed_on_hold_back_nothing(road: Road):
    """Nor do they fit the dead letters, which say what was left out."""
    await road.start()
    reasons = {(await send_bad(road, ORDERS, bad))[1]: bad.reason for bad in TOO_LARGE_TO_PASS_ON}
    behind = await road.order("behind", "ida", partition=1)

    assert [o.cause for o in await road.told("enriched-orders", 1)] == [behind]
    letters = await road.told("dead-letters", len(reasons))
    assert {int(o.header("deadletter-offset") or -1): o.header("deadletter-reason") for o in letters} == reasons
    assert all("left out" in (o.header("deadletter-detail") or "") for o in letters)


async def test_a_decision_that_is_too_large_to_be_passed_on_holds_back_nothing(road: Road):
    await road.start()
    decision = json.dumps({"supplier_id": "shop-1", "customer_id": "ida"}).encode()
    for large in ("ce_id", "x-large"):
        await send_bad(road, REQUESTS, Bad(large, "too_large", decision[:-1], instead=((large, LARGE),)))
        await send_bad(road, REQUESTS, Bad(large, "too_large", decision, instead=((large, LARGE),)))
    behind = await road.request("jan", partition=1)

    assert [o.cause for o in await road.told("relationship-events", 1)] == [behind]
    assert len(await road.told("dead-letters", 4)) == 4


async def send_bad(road: Road, topic: str, bad: Bad) -> tuple[int, int]:
    headers: dict[str, bytes] = {
        "ce_id": str(uuid4()).encode(),
        "ce_source": b"/test",
        "ce_type": TYPES[topic].encode(),
        "ce_specversion": b"1.0",
        "ce_time": NOW.encode(),
        "content-type": b"application/json",
        **dict(bad.instead),
    }
    kept: list[tuple[str, bytes | None]] = [(name, text) for name, text in headers.items() if name not in bad.without]
    odd: list[tuple[str, bytes | None]] = [
        ("x-bytes", b"\xff\x00"),
        ("x-null", None),
        ("x-twice", b"1"),
        ("x-twice", b"2"),
    ]
    return await road.raw(topic, bad.value, [*kept, *odd], key=bad.key, partition=1)


def assert_dead_letters(told: list[Told], topic: str, places: dict[tuple[int, int], Bad]) -> None:
    found = {(int(o.header("deadletter-partition") or -1), int(o.header("deadletter-offset") or -1)): o for o in told}
    assert len(told) == len(found) == len(places)
    for place, bad in places.items():
        letter = found[place]
        assert letter.header("deadletter-topic") == topic
        assert letter.header("deadletter-reason") == bad.reason, bad.why
        assert letter.key == bad.key, bad.why
        assert ("x-bytes", b"\xff\x00") in letter.headers
        assert [text for name, text in letter.headers if name == "x-twice"] == [b"1", b"2"]
        if bad.why.startswith("8 MiB"):
            assert letter.value is None or letter.value == bad.value
        else:
            assert letter.value == bad.value, bad.why
