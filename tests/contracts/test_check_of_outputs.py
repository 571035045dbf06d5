"""The check that other tests hold real outputs against: it lets through what fits the contract, and nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from contracts.published import Example, check_output, examples, read_with_the_cloudevents_sdk

Change = Callable[[dict[str, str], dict[str, Any]], object]


def test_an_output_that_fits_is_let_through() -> None:
    one = _example("order.enriched", "with-the-partners-number")

    data = check_output(one.topic, one.record_headers, one.value, key=one.record_key)

    assert data == one.data


@pytest.mark.parametrize(
    "change",
    [
        lambda headers, data: data["customer_number"].pop("flags"),
        lambda headers, data: data["customer_number"].update(number=42711),
        lambda headers, data: data["customer_number"].update(rule=8),
        lambda headers, data: data["customer_number"].update(reason="not_a_partner_at_all"),
        lambda headers, data: data["customer_number"].update(as_of="2026-03-10T10:30:00+01:00"),
        lambda headers, data: data["order"].update(order_id=7),
        lambda headers, data: headers.update(ce_customernumber="42711"),
        lambda headers, data: headers.pop("ce_customerid"),
        lambda headers, data: headers.pop("ce_causationid"),
        lambda headers, data: headers.update(ce_time="2026-02-30T09:30:00Z"),
        lambda headers, data: headers.update({"content-type": "text/plain"}),
        lambda headers, data: headers.update(ce_type="relationship.reminder-due"),
    ],
)
def test_an_enriched_order_that_does_not_fit_is_seen(change: Change) -> None:
    one = _example("order.enriched", "with-the-partners-number")
    headers, data = dict(one.headers), json.loads(one.value or b"")
    change(headers, data)

    with pytest.raises(AssertionError):
        check_output(one.topic, [(n, t.encode()) for n, t in headers.items()], json.dumps(data).encode())


@pytest.mark.parametrize(
    "change",
    [
        lambda headers, data: data.pop("shared"),
        lambda headers, data: data.update(state="requested"),
        lambda headers, data: data.update(version=0),
        lambda headers, data: data.update(version="2"),
        lambda headers, data: data.update(customer_id="K/1"),
        lambda headers, data: headers.update(ce_subject="L-20417"),
        lambda headers, data: headers.update(ce_source="another-worker"),
    ],
)
def test_an_acceptance_that_does_not_fit_is_seen(change: Change) -> None:
    one = _example("relationship.accepted", "with-a-number")
    headers, data = dict(one.headers), json.loads(one.value or b"")
    change(headers, data)

    with pytest.raises(AssertionError):
        check_output(one.topic, [(n, t.encode()) for n, t in headers.items()], json.dumps(data).encode())


def test_an_output_on_another_topic_is_seen() -> None:
    one = _example("relationship.accepted", "with-a-number")

    with pytest.raises(AssertionError, match="no type of reminders"):
        check_output("reminders", one.record_headers, one.value)


def test_an_output_under_another_key_is_seen() -> None:
    one = _example("relationship.accepted", "with-a-number")

    with pytest.raises(AssertionError, match="key"):
        check_output(one.topic, one.record_headers, one.value, key=b"L-20417")


def test_a_header_that_stands_there_twice_is_seen() -> None:
    one = _example("relationship.accepted", "with-a-number")

    with pytest.raises(AssertionError, match="twice"):
        check_output(one.topic, [*one.record_headers, ("ce_id", b"2")], one.value)


def test_a_dead_letter_without_its_coordinates_is_seen() -> None:
    one = _example("dead-letter", "no-json")

    with pytest.raises(AssertionError, match="deadletter-offset"):
        check_output(one.topic, one.record_headers[:-1], one.value)


def test_an_output_that_the_sdk_reads_otherwise_is_seen() -> None:
    one = _example("relationship.accepted", "with-a-number")
    texts = {**one.headers, "content-type": "text/plain"}

    with pytest.raises(AssertionError):
        read_with_the_cloudevents_sdk([(n, t.encode()) for n, t in texts.items()], one.value)


def _example(kind: str, name: str) -> Example:
    (found,) = (one for one in examples() if (one.kind, one.name) == (kind, name))
    return found
