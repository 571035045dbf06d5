"""Whose later inputs an input holds back where the worker fails on it."""

import json

import pytest

from builders import NOON
from relationship_worker.messages.envelope import Envelope
from relationship_worker.messages.incoming import read_input
from relationship_worker.roads.deciding import of_one_relationship, relationship_by_key


def an_input(type_: str, **data: str):
    raw = json.dumps(data).encode()
    return read_input(Envelope("e-1", "/", type_, NOON, "2026-03-02T12:00:00Z", raw))


def test_a_decision_is_of_its_relationship_settings_are_of_the_supplier_an_erasure_at_all_is_of_none():
    accepted = an_input("supplier.connection.accepted", supplier_id="s-1", customer_id="c-1")
    settings = an_input("supplier.settings.changed", supplier_id="s-1")
    erased_at_one = an_input("marketplace.customer.erased", supplier_id="s-1", customer_id="c-1")
    erased_at_all = an_input("marketplace.customer.erased", customer_id="c-1")

    assert of_one_relationship(accepted) == ("s-1", "c-1")
    assert of_one_relationship(settings) == ("s-1", "")
    assert of_one_relationship(erased_at_one) == ("s-1", "c-1")
    assert of_one_relationship(erased_at_all) is None


@pytest.mark.parametrize(
    ("key", "pair"),
    [
        (b"s-1/c-1", ("s-1", "c-1")),
        (b"s-1", ("s-1", "")),
        (b"s-1/c/1", None),
        (b"s 1/c-1", None),
        (b"\xff/c-1", None),
        (b"", None),
        (None, None),
    ],
)
def test_where_it_can_not_even_be_read_the_key_says_whose_it_is(key: bytes | None, pair: tuple[str, str] | None):
    assert relationship_by_key(key) == pair
