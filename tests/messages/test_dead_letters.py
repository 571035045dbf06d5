"""A dead letter read back: where it came from, why, and the record as it was."""

import pytest

from builders import NOON, binary_headers
from relationship_worker.messages.dead_letters import (
    Letter,
    Place,
    read_letter,
    read_place,
    set_headers,
    size_of,
    supplier_of,
)
from relationship_worker.messages.envelope import InvalidMessage, Reason
from relationship_worker.messages.outgoing import dead_letter

HEADERS = [("ce_id", b"e-1"), ("x", None), ("deadletter-reason", b"from before"), ("x", b"\xff")]


def a_letter(value: bytes | None = b"{", reason: Reason = Reason.INVALID_JSON, detail: str = "is not JSON") -> Letter:
    """As the worker writes it and the commands read it."""
    message = dead_letter(
        InvalidMessage(reason, detail),
        topic="orders",
        partition=3,
        offset=17,
        key=b"k",
        value=value,
        headers=HEADERS,
    )
    found = read_letter(message.key, message.value, message.headers, at=NOON, lies_at=(0, 5))
    assert found is not None
    return found


def test_what_was_set_aside_is_read_back_with_its_own_headers_alone():
    letter = a_letter()

    assert letter.place == Place(topic="orders", partition=3, offset=17)
    assert (letter.reason, letter.detail) == ("invalid_json", "is not JSON")
    assert (letter.key, letter.value) == (b"k", b"{")
    assert letter.headers == [("ce_id", b"e-1"), ("x", None), ("x", b"\xff")]


def test_a_record_of_somebody_else_is_no_letter():
    assert read_letter(b"k", b"{}", [("ce_id", b"e-1")], at=NOON, lies_at=(0, 0)) is None
    own = [(f"deadletter-{part}", text) for part, text in (("topic", b"x"), ("partition", b"0"), ("offset", b"1"))]
    assert read_letter(b"k", b"{}", own, at=NOON, lies_at=(0, 0)) is None


def test_a_letter_without_a_value_can_be_replayed_only_where_that_is_why_it_was_set_aside():
    assert a_letter(None, Reason.EMPTY_VALUE).lacks_value is False
    assert a_letter(None, Reason.TOO_LARGE).lacks_value is True
    assert a_letter(b"", Reason.EMPTY_VALUE).lacks_value is False
    assert a_letter(None, Reason.EMPTY_VALUE, "its headers do not fit this topic and were left out").lacks_value is True


def test_a_place_is_written_and_read():
    place = Place(topic="relationship-decisions", partition=3, offset=17)

    assert read_place(str(place)) == place


@pytest.mark.parametrize(
    "text", ["", "orders", "orders:3", "orders:3:x", "orders:-1:3", "a b:1:2", "orders:3:17:4", "o:1:²"]
)
def test_what_is_no_place(text: str):
    assert read_place(text) is None


@pytest.mark.parametrize(
    ("key", "value", "supplier"),
    [
        (b"s-2/c", b'{"supplier_id": "s-1"}', "s-1"),
        (b"s-2/c", b'{"supplier_id": 7}', "s-2"),
        (b"s-2/c", b"{", "s-2"),
        (b"O-1", b"{", None),
        (None, None, None),
    ],
)
def test_whose_a_record_seems_to_be(key: bytes | None, value: bytes | None, supplier: str | None):
    assert supplier_of(key, value, binary_headers()) == supplier


def test_headers_are_set_added_and_taken_away():
    changed = set_headers(HEADERS, {"x": "one", "ce_id": None, "ce_type": "t"})

    assert changed == [("deadletter-reason", b"from before"), ("x", b"one"), ("ce_type", b"t")]


def test_the_size_counts_everything():
    assert size_of(b"key", b"value", [("name", b"text"), ("ä", None)]) == 100 + 3 + 5 + (4 + 4 + 10) + (2 + 10)
