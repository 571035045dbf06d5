"""What comes in and is odd takes no room once it is dealt with, however large it was."""

import json
import tracemalloc
from collections.abc import Callable

import pytest
from aiokafka import TopicPartition

from builders import an_order, an_order_event, binary_headers
from relationship_worker.kafka.asked_orders import AskedOrders
from relationship_worker.kafka.enriched_records import EnrichedRecords, told
from relationship_worker.kafka.plain_records import FetchedRecord, head_of
from relationship_worker.messages.envelope import InvalidMessage, event_key, open_envelope
from relationship_worker.messages.orders import ORDER_TYPES, read_order

LARGE = 100_000
MANY = 100
PLACE = TopicPartition("orders", 0)


def open_one_of_a_large_source(n: int) -> None:
    event = open_envelope(binary_headers(source=f"/{n}/".encode() + b"x" * LARGE), b"{}", ORDER_TYPES)
    event_key("orders", event.source, event.id)


def read_one_of_a_large_supplier_id(n: int) -> None:
    with pytest.raises(InvalidMessage):
        read_order(an_order_event(str(an_order(supplier_id=f"{n}" + "x" * LARGE)).replace("'", '"').encode()))


def tell_one_of_a_large_source(n: int) -> None:
    headers = head_of(binary_headers(source=f"/{n}/".encode() + b"x" * LARGE))
    order = AskedOrders().read(FetchedRecord(PLACE, 0, None, json.dumps(an_order()).encode(), headers))
    EnrichedRecords("now").record(order, b"o-1", b"", told(b"{}", b"", []))


@pytest.mark.parametrize(
    "deal_with_one",
    [open_one_of_a_large_source, read_one_of_a_large_supplier_id, tell_one_of_a_large_source],
)
def test_large_texts_are_not_kept(deal_with_one: Callable[[int], None]):
    deal_with_one(-1)
    tracemalloc.start()
    try:
        for n in range(MANY):
            deal_with_one(n)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < MANY * LARGE / 10
