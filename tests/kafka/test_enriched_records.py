"""An enriched order's record: its order byte for byte, the answer beside it, and the headers of any other event."""

import pytest
from aiokafka import TopicPartition

from builders import an_order_event
from read_back import read_back
from relationship_worker.kafka.asked_orders import Asked
from relationship_worker.kafka.enriched_records import EnrichedRecords, told
from relationship_worker.kafka.plain_records import NO_HEADERS, FetchedRecord
from relationship_worker.messages.orders import ORDER_ENRICHED
from relationship_worker.messages.outgoing import Cause, headers_of, routing

NOW = "2026-03-02T12:00:01Z"
KEY = bytes(range(16))
ANSWER = b'{"number":"00042","as_of":"x"}'


def built(event, *, key=b"c-1", order_id="o-1", answer=ANSWER, headers=()):
    of_event = event.id.encode(), event.source, event.trace, event.data
    record = FetchedRecord(TopicPartition("orders", 0), 0, key, event.data, NO_HEADERS)
    asked = Asked(*of_event, order_id, "s-1", None, event.time, b"x", None, True, record, KEY, bytes(8))
    before, _, after = answer.partition(asked.as_of)
    made = EnrichedRecords(NOW).record(asked, order_id.encode(), asked.as_of, told(before, after, headers))
    [[found]] = read_back([made])
    return found


@pytest.mark.parametrize(
    "order",
    [
        b'{"order_id":"o-1","price":2.10}',
        b'{ "price" : 1e-999 , "price" : 12345678901234567890.10 }',
        '{"bom":"\ufeff","x":"\\ud800","%s":"%b"}'.encode(),
        b'{"note":"' + b"x" * 70_000 + b'"}',
    ],
)
def test_the_order_is_passed_on_byte_for_byte_beside_the_answer(order):
    _, value, _ = built(an_order_event(order))

    assert value == b'{"customer_number":' + ANSWER + b',"order":' + order + b"}"


@pytest.mark.parametrize("key", [b"c-1", b"", None, b"k" * 10_000])
def test_the_key_is_the_orders_own(key):
    assert built(an_order_event(b"{}"), key=key)[0] == key


@pytest.mark.parametrize("trace", [(), (("traceparent", b"00-1"), ("tracestate", b"a=b"))])
@pytest.mark.parametrize("customer", ["c-1", None])
@pytest.mark.parametrize("number", ["00042", "Ä" * 20, None])
def test_the_headers_are_those_of_any_event_and_those_that_route_it(trace, customer, number):
    event = an_order_event(b"{}", id_="ä" * 200, source="/marketplace/ü", trace=trace)
    ways = routing("s-1", customer, number)

    _, _, headers = built(event, order_id="Bestellung 1/ß", headers=ways)

    cause = Cause(KEY, event.id, event.source, trace)
    told = headers_of(cause, suffix="enriched", type_=ORDER_ENRICHED, subject="Bestellung 1/ß", now=NOW)
    assert sorted(headers) == sorted(told + ways)
