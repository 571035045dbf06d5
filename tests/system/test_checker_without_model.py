"""What the checker sees without the model: test data says whose it is, and events say since when they could be read."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from model.records import ENRICHED, EVENTS, Record
from system.differences import Difference, Kind
from system.judge_staleness import RELIABLE_AFTER, judge_staleness
from system.judge_tenants import judge_tenants
from system.spoilt.history import History
from system.told import Told, read_told


@pytest.fixture(scope="module")
def faultless() -> History:
    return History.of_seed(6)


@pytest.fixture
def history(faultless: History) -> History:
    return faultless.copy()


def test_nothing_is_stale_or_another_suppliers_in_a_faultless_history(history: History) -> None:
    assert stale(history) == []
    assert judge_tenants(history.expected.plan.suppliers, told(history, ENRICHED) + told(history, EVENTS)) == []


def test_an_answer_by_a_version_before_the_one_that_could_be_read_is_stale(history: History) -> None:
    order, record = history.known_long_before()

    history.answer(record, relationship_version=(order.answer.relationship_version or 0) - 1 or None)

    assert [one.kind for one in stale(history, record)] == [Kind.STALE]


def test_a_number_of_a_version_before_the_one_that_could_be_read_is_stale(history: History) -> None:
    order, record = history.known_long_before(lambda one: one.answer.source == "partner" and history.number_before(one))

    history.answer(record, number=history.number_before(order))

    assert [one.kind for one in stale(history, record)] == [Kind.STALE]


def test_nobody_can_rely_on_an_event_that_could_be_read_just_before_the_order_came(history: History) -> None:
    order, record = history.known_long_before()
    history.answer(record, relationship_version=(order.answer.relationship_version or 0) - 1 or None)
    came = next(one.at for one in history.reading.inputs if one.header("ce_id") == order.cause.id)
    just_before = came - RELIABLE_AFTER + timedelta(milliseconds=1)

    history.reading = replace(history.reading, seen_at=dict.fromkeys(history.reading.seen_at, just_before))

    assert stale(history, record) == []


def test_an_order_that_came_again_under_another_key_is_as_old_as_its_first_record(history: History) -> None:
    order, record = history.known_long_before()
    history.answer(record, relationship_version=(order.answer.relationship_version or 0) - 1 or None)
    first = next(one for one in history.reading.inputs if one.header("ce_id") == order.cause.id)
    again = replace(
        first, partition=first.partition - 1, at=first.at + timedelta(hours=1)
    )  # of a partition that is read first
    seen_at = dict.fromkeys(history.reading.seen_at, first.at)

    history.reading = replace(history.reading, inputs=[again, *history.reading.inputs], seen_at=seen_at)

    assert stale(history, record) == []


@pytest.mark.parametrize("type_", ["relationship.accepted", "relationship.customer-number-changed"])
def test_an_event_that_carries_another_suppliers_number_is_seen(history: History, type_: str) -> None:
    suppliers = history.expected.plan.suppliers
    event = history.event(type_, lambda data: data["customer_number"])
    other = next(index for one, index in suppliers.items() if one != json.loads(event.value or b"")["supplier_id"])

    history.tell(event, customer_number=f"{other:02}-00001-1")

    assert [one.kind for one in judge_tenants(suppliers, told(history, EVENTS))] == [Kind.CROSS_TENANT]


def test_an_order_that_is_routed_by_another_suppliers_number_is_seen(history: History) -> None:
    suppliers = history.expected.plan.suppliers
    order, record = history.order(lambda one: one.answer.number)
    other = next(index for one, index in suppliers.items() if one != order.supplier_id)

    history.head(record, "ce_customernumber", f"{other:02}-00001-1".encode())

    assert [one.kind for one in judge_tenants(suppliers, told(history, ENRICHED))] == [Kind.CROSS_TENANT]


def stale(history: History, record: Record | None = None) -> list[Difference]:
    """What is stale: of all orders, or of one."""
    orders = [one for one in told(history, ENRICHED) if record is None or one.record.place == record.place]
    return judge_staleness(history.reading, orders, told(history, EVENTS))


def told(history: History, topic: str) -> list[Told]:
    """The readable outputs of a topic, in the order of partitions and offsets."""
    records = sorted((one for one in history.records if one.topic == topic), key=lambda one: one.place)
    return [one for one in map(read_told, records) if isinstance(one, Told)]
