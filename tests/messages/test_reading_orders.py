"""What the worker reads of an order, and what it leaves alone."""

import json
import random
from datetime import UTC, datetime

import pytest
from msgspec.structs import astuple

from builders import NOON, ORDER_CREATED, an_event, an_order
from relationship_worker.domain.customer_numbers import Channel
from relationship_worker.messages import orders
from relationship_worker.messages.envelope import InvalidMessage, Reason
from relationship_worker.messages.orders import Order, read_order


def read(data) -> Order:
    return read_order(an_event(ORDER_CREATED, data))


def why_not(data) -> Reason:
    with pytest.raises(InvalidMessage) as why:
        read(data)
    return why.value.reason


def with_members(members: str) -> str:
    """An order that holds these members too, as they are written."""
    return '{"order_id":"o-1","supplier_id":"s-1","customer_id":"c-1",' + members + "}"


def test_an_order_is_read():
    order = read(an_order(created_at="2026-03-01T09:30:00+01:00", channel="public", lines=[{"price": 2.10}]))

    assert (order.order_id, order.supplier_id, order.customer_id) == ("o-1", "s-1", "c-1")
    assert order.created_at == datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
    assert order.channel is Channel.PUBLIC
    assert order.channel_known


def test_an_order_that_does_not_say_when_was_created_when_it_was_told():
    assert read(an_order()).created_at == NOON
    assert read(an_order(created_at=None)).created_at == NOON


@pytest.mark.parametrize("data", [{"order_id": "o-1", "supplier_id": "s-1"}, an_order(customer_id=None)])
def test_a_walk_in_has_no_customer(data):
    assert read(data).customer_id is None


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ('"public"', Channel.PUBLIC),
        ('"private"', Channel.PRIVATE),
        ('"\\u0070ublic"', Channel.PUBLIC),
        ('  "private"  ', Channel.PRIVATE),
        ("null", None),
    ],
)
def test_the_channels(text, channel):
    order = read(with_members(f'"channel":{text}'))

    assert order.channel is channel
    assert order.channel_known


@pytest.mark.parametrize(
    "text",
    [
        *('""', '"Public"', '"public "', '"phone"', '"null"', "1", "1e999", "9" * 5_000, "true", "false", "[]", "{}"),
        *('["public"]', '{"a":1}', '"\\u0000"', '"\\ud800"', '"\\udc00"', '"public\\u0000"'),
    ],
)
def test_any_other_channel_counts_as_absent_and_is_flagged(text):
    order = read(with_members(f'"channel":{text}'))

    assert order.channel is None
    assert not order.channel_known


@pytest.mark.parametrize("name", ["order_id", "supplier_id"])
def test_an_order_needs_its_ids(name):
    data = an_order()
    del data[name]

    assert why_not(data) is Reason.INVALID_DATA


@pytest.mark.parametrize("name", ["order_id", "supplier_id", "customer_id", "created_at"])
@pytest.mark.parametrize("text", ["1", "1.5", "1e999", "-" + "9" * 5_000, "true", "false", "[]", "{}", '["a"]'])
def test_a_field_that_is_read_must_be_text(name, text):
    assert why_not(with_members(f'"{name}":{text}')) is Reason.INVALID_DATA


@pytest.mark.parametrize("name", ["order_id", "supplier_id", "customer_id", "created_at"])
@pytest.mark.parametrize("text", ["\\u0000", "a\\u0000", "\\ud800", "\\udc00", "a\\ud83d\\u0041", "\\ude00\\ud83d"])
def test_nul_and_lone_surrogates_in_a_field_that_is_read_are_refused(name, text):
    assert why_not(with_members(f'"{name}":"{text}"')) is Reason.INVALID_DATA


@pytest.mark.parametrize("name", ["order_id", "supplier_id"])
def test_an_id_that_is_null_is_absent(name):
    assert why_not(an_order(**{name: None})) is Reason.INVALID_DATA


@pytest.mark.parametrize("name", ["supplier_id", "customer_id"])
@pytest.mark.parametrize("text", ["a", "0", "Az09._:@+-", "17850.0", "00042", "x" * 64, "..", "-"])
def test_ids_of_parties(name, text):
    assert getattr(read(an_order(**{name: text})), name) == text


@pytest.mark.parametrize("name", ["supplier_id", "customer_id"])
@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "x" * 65, "a b", " a", "a ", "a\n", "\na", "a\t", "a/b", "a\\b", "a%b", "a#b", "a,b", "a'b", 'a"b'),
        *("ä", "a\u0308", "客", "\uff10", "\u0660", "\u212a", "a\u200b", "\ufeffa", "😀", "a\x7f", "a\x85"),
    ],
)
def test_what_is_no_id_of_a_party(name, text):
    assert why_not(an_order(**{name: text})) is Reason.INVALID_DATA


@pytest.mark.parametrize(
    "text", ["C536379", "00042", "a b", "a/b", "Ü-客户-😀", "x" * 128, "😀" * 128, "u\u0308" * 64, "'; --", "a\u3000b"]
)
def test_ids_of_orders(text):
    assert read(an_order(order_id=text)).order_id == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "x" * 129,
            "😀" * 129,
            " a",
            "a ",
            "\u3000a",
            "a\u00a0",
            "a\nb",
            "a\tb",
            "a\x7fb",
            "a\x85b",
            "a\u200bb",
        ),
        *("a\u202eb", "a\u2066b", "\ufeffa", "a\u00adb", "a\u2028b", "a\u2029b", "\n"),
    ],
)
def test_what_is_no_id_of_an_order(text):
    assert why_not(an_order(order_id=text)) is Reason.INVALID_DATA


@pytest.mark.parametrize(
    "text",
    ["", "2026-03-02", "2026-03-02T12:00:00", "2026-03-02T12:00:60Z", "1999-12-31T23:59:59Z", "2200-01-01T00:00:00Z"],
)
def test_a_creation_time_that_is_none_is_refused(text):
    assert why_not(an_order(created_at=text)) is Reason.INVALID_DATA


@pytest.mark.parametrize("data", ["[]", '"text"', "1", "null", "true", "[{}]", "1e999", '"\\ud800"'])
def test_an_order_is_an_object(data):
    assert why_not(data) is Reason.INVALID_DATA


UNREAD = [
    '"x":1e999',
    '"x":-1e-999',
    '"x":' + "9" * 5_000,
    '"x":1.000000000000000005',
    '"x":"\\u0000"',
    '"x":"\\ud800"',
    '"x":"\\udc00"',
    '"x":"\\ude00\\ud83d"',
    '"x":["\\ud800",{"\\udfff":"\\u0000"}]',
    '"\\ud800":1',
    '"\\u0000":1',
    '"":1',
    '"x":"\ufeff"',
    '"x":"\U0010ffff\uffff"',
    '"x":{"order_id":7,"supplier_id":null}',
    '"Order_id":7',
    '"order_id\\u0000":7',
    '"order_id\\ud800":7',
    '"x":"\\"order_id\\":7"',
    '"x":1,"x":"2"',
    '"x":' + "[" * 63 + "]" * 63,
    '"x":' + '{"a":' * 63 + "1" + "}" * 63,
    '"x":' + "[" * 30 + '{"a":"\\ud800"}' + "]" * 30,
    '"x":"' + "[{" * 5_000 + '"',
    '"x":"\\"' + "[{" * 5_000 + '"',
    '"x":[' + "[]," * 5_000 + "1]",
]


@pytest.mark.parametrize("members", UNREAD)
def test_what_is_not_read_may_hold_anything_and_is_passed_on_as_it_is(members):
    data = with_members(members)

    order = read(data)

    assert (order.order_id, order.supplier_id, order.customer_id) == ("o-1", "s-1", "c-1")
    assert order.data == data.encode()


@pytest.mark.parametrize(
    "members",
    [
        '"order_id":"o-2"',
        '"order_id":7,"order_id":"o-2"',
        '"order_id":null,"order_id":"o-2"',
        '"order_id":"\\u0000","order_id":"o-2"',
        '"order_id":"\\ud800","order_id":"o-2"',
        '"order_id":{"a":["\\udc00"]},"order_id":"o-2"',
        '"order_id":1e999,"order_id":"o-2"',
        '"\\u006frder_id":"o-2"',
        '"\\u006Frder\\u005fid":"\\u006f-2"',
        '"order_id":7,"x":"\\ud800","\\u006frder_id":"o-2"',
        '"supplier_id":7,"order_id":"o-2","supplier_id":"s-1"',
        '"channel":"\\ud800","order_id":7,"order_id":"o-2"',
    ],
)
def test_among_repeated_keys_the_last_counts_whatever_stood_before(members):
    order = read(with_members(members))

    assert (order.order_id, order.supplier_id, order.customer_id) == ("o-2", "s-1", "c-1")


@pytest.mark.parametrize(
    "members",
    [
        '"order_id":7',
        '"order_id":null',
        '"order_id":"\\ud800"',
        '"order_id":7,"order_id":"\\ud800"',
        '"order_id":"o-2","\\u006frder_id":7',
        '"order_id":"o-2","\\u006frder_id":"\\u0000"',
    ],
)
def test_a_last_one_that_is_wrong_counts_too(members):
    assert why_not(with_members(members)) is Reason.INVALID_DATA


def test_the_last_channel_and_the_last_time_count():
    members = '"channel":7,"created_at":7,"channel":"phone","channel":"private","created_at":"2026-03-01T00:00:00Z"'

    order = read(with_members(members))

    assert order.channel is Channel.PRIVATE
    assert order.channel_known
    assert order.created_at == datetime(2026, 3, 1, tzinfo=UTC)


NO_JSON = [
    *(b"", b"nonsense", b"{", b"}", b"{}{}", b"{},", b"'{}'", b'{"a":1,}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-}'),
    *(
        b'{"a":01}',
        b'{"a":1.}',
        b'{"a":.5}',
        b'{"a":+1}',
        b'{"a":0x1}',
        b'{"a":"\n"}',
        b'{"a":"\x00"}',
        b'{"a":"\\x41"}',
    ),
    *(
        b'{"a":"\\ud8"}',
        b'{"a":"\\ud800\\u"}',
        b'{"a":tru}',
        b"{'a':1}",
        b"{a:1}",
        b'{"a" 1}',
        b'{"a":1 "b":2}',
        b"\x00",
    ),
    *(b'{"a":1}\x00', b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b'{"a":"\xc0\x80"}', b'{"a":"\xed\xa0\x80"}', b'{"\xff":1}'),
    *(
        b'{"a":"\xf4\x90\x80\x80"}',
        b'{"a":"\xe2\x82"}',
        "{}".encode("utf-16"),
        "{}".encode("utf-32"),
        b"/**/{}",
        b"{}//",
    ),
    *(b"\x0c{}", "\u00a0{}".encode(), "{}\u2028".encode()),
    *(
        b"[" * 1_000 + b"]" * 1_000,
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ),
    *(b'{"a":' * 100_000, b'[{"a":' * 50_000, b'{"order_id":7,"x":' + b"[" * 1_000 + b"]" * 1_000 + b"}"),
    b'{"order_id":7,"x":"\\ud800","y":' + b"[" * 1_000 + b"]" * 1_000 + b"}",
]


@pytest.mark.parametrize("data", NO_JSON)
def test_what_is_no_json_is_a_dead_letter(data):
    assert why_not(data) is Reason.INVALID_JSON


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ('{"order_id":"o-1","secret":tru}', "invalid character (byte 28)"),
        ('{"order_id":7,"x":"secret",}', "trailing comma in object (byte 27)"),
        ('{"order_id":"o-1","x":"secret', "it ends too early"),
        ("", "it ends too early"),
    ],
)
def test_what_is_no_json_is_said_with_its_place_and_none_of_its_text(data, says):
    with pytest.raises(InvalidMessage) as why:
        read(data)

    assert why.value.detail == f"the value is not JSON ({says})"


@pytest.mark.parametrize("end", ["1.", "tru", '"\\x"', '"\n"', "NaN"])
@pytest.mark.parametrize("before", ['"order_id":7', '"x":"\\ud800"', '"order_id":"\\ud800"', '"order_id":null'])
def test_a_document_that_is_no_json_is_said_to_be_that_before_all_else(before, end):
    assert why_not(f'{{"supplier_id":"s-1",{before},"end":{end}}}') is Reason.INVALID_JSON


@pytest.mark.parametrize("levels", [1_000, 1_001, 5_000])
def test_too_deep_is_too_deep_also_beside_strings_that_look_like_brackets(levels):
    data = with_members('"x":' + '["]]]]]\\"]",' * (levels - 1) + "1" + "]" * (levels - 1))

    assert why_not(data) is Reason.INVALID_JSON


@pytest.mark.parametrize(
    "data",
    [
        with_members('"order_id":["secret"]'),
        with_members('"supplier_id":"secret secret"'),
        with_members('"created_at":"secret"'),
        with_members('"order_id":"secret\\u0000"'),
        '{"secret":',
    ],
)
def test_the_reason_says_nothing_of_the_order(data):
    with pytest.raises(InvalidMessage) as why:
        read(data)

    assert "secret" not in str(why.value)


def test_a_real_order_is_kept_byte_for_byte():
    document = json.dumps(an_order(total=2.10, note="Grüße"), indent=2, ensure_ascii=False)

    assert read(document).data == document.encode()


GOOD = {
    "order_id": '"o-1"',
    "supplier_id": '"s-1"',
    "customer_id": '"c-1"',
    "created_at": '"2026-03-02T12:00:00.123Z"',
    "channel": '"public"',
}
NAMES = [*GOOD, r"ch\u0061nnel", r"\u006frder_id", r"channel\u0000", "Channel", "lines", "", r"\ud800"]
VALUES = [
    *(
        "null",
        "true",
        "1",
        "-0",
        "1.",
        "01",
        "1e999",
        "9" * 30,
        "NaN",
        "nul",
        "[]",
        "{}",
        "[1,]",
        '{"a":{"channel":1}}',
    ),
    *(
        '""',
        '"private"',
        r'"p\u0075blic"',
        '"public "',
        '"phone"',
        r'"\ud800"',
        r'"\ud83d\ude00"',
        r'"\x"',
        '"a\x01"',
        "'a'",
    ),
    *('"o-2"', '" s-2"', '"2026-13-02T12:00:00Z"', "[" * 600 + "]" * 600, f'"{"a" * 65}"', f'"{"a" * 129}"'),
]


def outcome(text: str) -> object:
    """All that is read of an order; or why it is refused."""
    try:
        return astuple(read(text))
    except InvalidMessage as why:
        return why.reason, why.detail


def test_orders_are_read_the_quick_way_as_the_general_way_reads_them(monkeypatch):
    """Thousands, of which some are right: members missing, twice, mixed, of any kind, and broken; the seed is the message."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for _ in range(6_000):
        members = [(name, text) for name, text in GOOD.items() if rng.random() < 0.95]
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            members.insert(rng.randrange(len(members) + 1), (rng.choice(NAMES), rng.choice(VALUES)))
        text = "{" + ",".join(f'"{name}": {value}' for name, value in members) + "}"
        if rng.random() < 0.2:
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(("", *'"\\{}[]:,0nu\0ä')) + text[at + rng.choice((0, 1)) :]

        read_quickly = outcome(text)
        with monkeypatch.context() as general:
            general.setattr(orders, "read_plain", lambda text: None)
            assert read_quickly == outcome(text), f"seed {seed}: {text}"
