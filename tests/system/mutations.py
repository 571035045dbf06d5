"""What becomes of a record on its way through broken producers: bytes, types, headers, encodings, modes."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from model.records import DECISIONS, ORDERS, REQUESTS
from system.plan import partition_of
from system.worlds import TYPES, Draft

LARGEST = 1_048_576
_WRONG: tuple[object, ...] = (
    None, True, False, 0, -1, 7, 1.5, 1e300, "", " ", "x", "\0", "\ud800", "\u202e", "x" * 65, "x" * 129, "x" * 3_000, [], {},
    [[]], [None], {"": None}, "2026-13-01", "2026-03-30T08:00:00", "2200-01-01T00:00:00Z", "08:60", "Mars/Base",
)  # fmt: skip
_NUMBERS = (
    b"1e999999",
    b"-1e-999999",
    b"9" * 400,
    b"1" + b"0" * 5_000,
    b"0.1" + b"0" * 500,
    b"-0",
    b"1E400",
    b"01",
    b"+1",
    b"0x1F",
)
_ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "utf-7", "cp500")


def mutated(rng: Random, draft: Draft) -> Draft:
    """The record, broken in one to three ways; now and then it is still in good order."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(_WAYS)(rng, draft)
    return draft


def _flip_bytes(rng: Random, draft: Draft) -> None:
    value = bytearray(draft.value or b"")
    for _ in range(rng.choice((1, 1, 2, 8))):
        if value:
            value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    draft.value = bytes(value)


def _cut(rng: Random, draft: Draft) -> None:
    value = draft.value or b""
    draft.value = value[: rng.randrange(len(value) + 1)]


def _splice(rng: Random, draft: Draft) -> None:
    value = draft.value or b""
    at, end = sorted((rng.randrange(len(value) + 1), rng.randrange(len(value) + 1)))
    draft.value = rng.choice(
        (value[:at] + value[end:], value[:end] + value[at:], value[:at] + rng.randbytes(9) + value[at:])
    )


def _swap_type(rng: Random, draft: Draft) -> None:
    data = _read(draft)
    if isinstance(data, dict) and data:
        place: Any = data
        name = rng.choice(sorted(place))
        while isinstance(place[name], dict) and place[name] and rng.random() < 0.7:
            place = place[name]
            name = rng.choice(sorted(place))
        place[name] = _wrong(rng, draft, name)
        draft.value = json.dumps(data).encode()


def _drop_or_repeat_a_field(rng: Random, draft: Draft) -> None:
    data = _read(draft)
    if isinstance(data, dict) and data:
        name = rng.choice(sorted(data))
        if rng.random() < 0.5:
            del data[name]
            draft.value = json.dumps(data).encode()
        else:
            again = json.dumps({name: _wrong(rng, draft, name)}).encode()[1:]
            draft.value = (draft.value or b"").rstrip()[:-1] + b"," + again


def _wrong(rng: Random, draft: Draft, name: str) -> object:
    """Some of it is an id like any other: then it is this record's alone, so that its world stays its own."""
    wrong = rng.choice(_WRONG)
    return f"{wrong}{draft.serial}" if name in ("supplier_id", "id") and isinstance(wrong, str) and wrong else wrong


def _nest(rng: Random, draft: Draft) -> None:
    levels = rng.choice((20, 60, 1_000, 5_000))  # the contract lets 64 pass, and refuses 1,000
    inner = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    _add_member(draft, inner[0] * levels + b"0" + inner[1] * levels)


def _huge_number(rng: Random, draft: Draft) -> None:
    _add_member(draft, rng.choice(_NUMBERS))


def _grow(rng: Random, draft: Draft) -> None:
    if rng.random() < 0.02:  # a mebibyte each: few of them
        value = (draft.value or b"{}").rstrip()
        draft.value = value + b" " * (LARGEST - len(value) + rng.choice((0, 1, 9)))


def _encode(rng: Random, draft: Draft) -> None:
    text = (draft.value or b"").decode("utf-8", "replace")
    draft.value = text.encode(rng.choice(_ENCODINGS), "replace")


def _empty(rng: Random, draft: Draft) -> None:
    draft.value = rng.choice((None, b"", b" \r\n", b"null", b"0", b'""', b"[]", b"{}", b"{", b"\0" * 40))


def _break_header(rng: Random, draft: Draft) -> None:
    if not draft.headers:
        return
    at = rng.randrange(len(draft.headers))
    name, text = draft.headers[at]
    kind = rng.randrange(6)
    if kind == 0:
        del draft.headers[at]
    elif kind == 1:
        draft.headers[at] = name, None
    elif kind == 2:
        draft.headers.insert(rng.randrange(len(draft.headers) + 1), (name, text))
    elif kind == 3:
        draft.headers.append((name, rng.choice((None, b"", b"x", rng.randbytes(12)))))
    elif kind == 4:
        broken = bytearray(text or b"\0")
        if broken:
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        draft.headers[at] = name, bytes(broken)
    else:
        draft.headers[at] = name + rng.choice((" ", "x", "\u200b")), text


def _other_type(rng: Random, draft: Draft) -> None:
    other = rng.choice(
        (*TYPES.values(), "marketplace.order.cancelled", "Marketplace.Order.Created", "relationship.accepted")
    )
    draft.headers = [(name, other.encode() if name == "ce_type" else text) for name, text in draft.headers]


def _structured(rng: Random, draft: Draft) -> None:
    attributes = {name.removeprefix("ce_"): (text or b"").decode("utf-8", "replace") for name, text in draft.headers}
    attributes.pop("content-type", None)
    envelope = json.dumps(attributes).encode()[:-1] + b',"data":' + (draft.value or b"null") + b"}"
    mixed = rng.randrange(4)
    if mixed != 1:
        draft.value = envelope
    kept = draft.headers if mixed == 2 else []
    said = b"application/json" if mixed == 3 else b"application/cloudevents+json"
    draft.headers = [pair for pair in kept if pair[0] != "content-type"] + [("content-type", said)]


def _odd_key(rng: Random, draft: Draft) -> None:
    draft.key = rng.choice((None, b"", b"\0", rng.randbytes(300), b"k" * 5_000))
    if draft.key is not None:
        draft.partition = partition_of(draft.key)  # what has one key keeps its order


def _odd_headers(rng: Random, draft: Draft) -> None:
    draft.headers += [(f"x-{n}", rng.choice((None, b"", rng.randbytes(20)))) for n in range(rng.choice((1, 3, 300)))]


def _add_member(draft: Draft, text: bytes) -> None:
    draft.value = (draft.value or b"{}").rstrip()[:-1] + b',"x_odd":' + text + b"}"


def _read(draft: Draft) -> object:
    try:
        return json.loads(draft.value or b"")
    except (ValueError, RecursionError):
        return None


_WAYS: tuple[Callable[[Random, Draft], None], ...] = (
    _flip_bytes, _flip_bytes, _cut, _splice, _swap_type, _swap_type, _swap_type, _drop_or_repeat_a_field, _nest, _huge_number,
    _grow, _encode, _empty, _break_header, _break_header, _other_type, _structured, _structured, _odd_key, _odd_headers,
)  # fmt: skip
TOPICS = (ORDERS, DECISIONS, REQUESTS)
