"""The published examples: each fits its schema and its model, and is what the worker reads or writes."""

import json
from collections import Counter
from datetime import datetime

import pytest
from aiokafka import TopicPartition

from contracts.models import CORRECTED, HEADERS, INPUTS, OUTPUTS, STRUCTURED
from contracts.published import (
    DEAD_LETTER,
    Example,
    check_output,
    each,
    examples,
    read_with_the_cloudevents_sdk,
    schema_names,
    types_by_topic,
    violations,
)
from read_back import read_back
from relationship_worker.domain.supplier import BUILT_IN, InvalidSettings, changed
from relationship_worker.kafka.asked_orders import AskedOrders
from relationship_worker.kafka.enriched_records import EnrichedRecords, told
from relationship_worker.kafka.plain_records import FetchedRecord, head_of
from relationship_worker.messages.envelope import Envelope, InvalidMessage, Reason, event_key, open_envelope
from relationship_worker.messages.incoming import SettingsInput, read_input
from relationship_worker.messages.orders import ORDER_CREATED, ORDER_ENRICHED, read_answer, read_order
from relationship_worker.messages.outgoing import (
    Cause,
    CustomerNumberCorrected,
    correction_message,
    dead_letter,
    event_message,
)
from relationship_worker.messages.times import read_time, write_time

ROUTING_HEADERS = {"ce_supplierid", "ce_customerid", "ce_customernumber"}
BINARY_INPUTS = [example for example in examples() if example.is_input and example.kind != STRUCTURED]
STRUCTURED_INPUTS = [example for example in examples() if example.kind == STRUCTURED]
ORDERS = [example for example in examples() if example.kind == ORDER_CREATED]
DEAD_LETTERS = [example for example in examples() if example.kind == DEAD_LETTER]
CORRECTIONS = [example for example in examples() if example.kind == CORRECTED]
EVENTS = [example for example in examples() if example.kind in set(OUTPUTS) - {CORRECTED}]
ENRICHED = [example for example in examples() if example.kind == ORDER_ENRICHED]
TOLD = [example for example in examples() if not example.is_input and example.kind != DEAD_LETTER]


def test_every_event_has_two_examples_or_more_and_nothing_else_has() -> None:
    counted = Counter(example.kind for example in examples())

    types = {name for name in schema_names() if name not in HEADERS | {"answer"}}
    assert set(counted) == types | {DEAD_LETTER}
    assert min(counted.values()) >= 2


@each([*BINARY_INPUTS, *TOLD])
def test_an_example_lies_in_the_folder_of_its_type_and_on_its_topic(example: Example) -> None:
    assert example.headers["ce_type"] == example.kind
    assert example.kind in types_by_topic()[example.topic]


@each(BINARY_INPUTS)
def test_an_example_of_an_input_fits_its_schemas(example: Example) -> None:
    assert not violations("input-headers", dict(example.headers))
    assert not violations(example.kind, example.data)


@each(BINARY_INPUTS)
def test_an_example_of_an_input_is_read_by_the_worker(example: Example) -> None:
    event = open_envelope(example.record_headers, example.value, types_by_topic()[example.topic])

    _read(event)


@each([example for example in BINARY_INPUTS if example.kind in set(INPUTS) - {ORDER_CREATED}])
def test_an_example_of_an_input_lies_under_the_key_that_keeps_its_order(example: Example) -> None:
    assert example.key == _key(example)


@each(STRUCTURED_INPUTS)
def test_an_example_in_structured_mode_fits_its_schemas_and_is_read_by_the_worker(example: Example) -> None:
    assert example.data is not None

    event = open_envelope(example.record_headers, example.value, types_by_topic()[example.topic])

    _read(event)
    assert not violations(STRUCTURED, example.data)
    assert not violations(example.data["type"], example.data["data"])
    assert json.loads(event.data) == example.data["data"]


@each(TOLD)
def test_an_example_of_an_output_fits_its_schemas(example: Example) -> None:
    check_output(example.topic, example.record_headers, example.value, key=example.record_key)


@each(TOLD)
def test_an_example_of_an_output_is_read_by_the_cloudevents_sdk(example: Example) -> None:
    event = read_with_the_cloudevents_sdk(example.record_headers, example.value, key=example.record_key)

    assert event.get_data() == example.data


@each(EVENTS)
def test_an_example_of_an_event_is_what_its_model_writes(example: Example) -> None:
    assert example.value is not None
    event = OUTPUTS[example.kind].model_validate_json(example.value)
    cause = _cause(example)

    message = event_message(
        event, cause, suffix=_suffix(example), now=_now(example), subject=example.headers["ce_subject"]
    )

    assert (message.topic, message.key) == (example.topic, example.record_key)
    assert message.headers == example.record_headers
    assert json.loads(message.value or b"") == example.data


@each(CORRECTIONS)
def test_an_example_of_a_correction_is_what_the_worker_writes(example: Example) -> None:
    assert example.value is not None
    event = CustomerNumberCorrected.model_validate_json(example.value)
    (order,) = (one for one in ORDERS if (one.data or {})["order_id"] == event.order_id)
    opened = open_envelope(order.record_headers, order.value, [order.kind])

    message = correction_message(
        event,
        _cause(example),
        order_event=event_key(order.topic, opened.source, opened.id),
        key=order.record_key,
        now=_now(example),
    )

    assert (message.topic, message.key) == (example.topic, example.record_key)
    assert message.headers == example.record_headers
    assert json.loads(message.value or b"") == example.data


@each(ENRICHED)
def test_an_example_of_an_enriched_order_is_what_the_worker_writes(example: Example) -> None:
    assert example.data is not None
    cause = _cause_of(example)
    answer = json.dumps(example.data["customer_number"])
    assert cause.value is not None

    record = FetchedRecord(TopicPartition("orders", 0), 0, cause.record_key, cause.value, head_of(cause.record_headers))
    made = EnrichedRecords(example.headers["ce_time"]).record(
        AskedOrders().read(record),
        example.headers["ce_subject"].encode(),
        b"",
        told(answer.encode(), b"", [header for header in example.record_headers if header[0] in ROUTING_HEADERS]),
    )
    [[(key, value, headers)]] = read_back([made])

    assert json.loads(value or b"") == example.data
    assert key == example.record_key
    assert headers == example.record_headers
    assert read_answer(answer).number == example.headers.get("ce_customernumber")
    assert {name for name in example.headers if not name.startswith("ce_")} <= {"content-type", "traceparent"}


@each(DEAD_LETTERS)
def test_an_example_of_a_dead_letter_is_what_becomes_of_its_record(example: Example) -> None:
    told = example.headers
    came_with = example.record_headers[:-5]
    why = InvalidMessage(Reason(told["deadletter-reason"]), told["deadletter-detail"])

    letter = dead_letter(
        why,
        topic=told["deadletter-topic"],
        partition=int(told["deadletter-partition"]),
        offset=int(told["deadletter-offset"]),
        key=example.record_key,
        value=example.value,
        headers=came_with,
    )

    assert (letter.topic, letter.key, letter.value) == (example.topic, example.record_key, example.value)
    assert letter.headers == example.record_headers
    check_output(letter.topic, letter.headers, letter.value, key=letter.key)


@each([example for example in DEAD_LETTERS if example.name != "request-never-came"])
def test_the_record_of_a_dead_letter_is_refused_for_the_reason_that_is_told(example: Example) -> None:
    came_with, topic = example.record_headers[:-5], example.headers["deadletter-topic"]

    with pytest.raises(InvalidMessage) as refused:
        _read(open_envelope(came_with, example.value, types_by_topic()[topic]))

    assert refused.value.reason == example.headers["deadletter-reason"]
    assert refused.value.detail == example.headers["deadletter-detail"]


def test_a_refused_example_is_refused() -> None:
    (nonsense,) = (example for example in BINARY_INPUTS if example.name == "nonsense")
    item = read_input(open_envelope(nonsense.record_headers, nonsense.value, types_by_topic()[nonsense.topic]))
    assert isinstance(item, SettingsInput)

    with pytest.raises(InvalidSettings) as why:
        changed(BUILT_IN, item.change)

    (refusal,) = (example for example in EVENTS if example.headers["ce_causationid"] == nonsense.headers["ce_id"])
    assert (refusal.data or {})["detail"] == str(why.value)


def _read(event: Envelope) -> None:
    assert event.type in INPUTS
    if event.type == ORDER_CREATED:
        read_order(event)
    else:
        read_input(event)


def _key(example: Example) -> str:
    data = example.data or {}
    if example.kind == "supplier.settings.changed":
        return str(data["supplier_id"])
    if "supplier_id" not in data:
        return str(data["customer_id"])
    return f"{data['supplier_id']}/{data['customer_id']}"


def _cause_of(example: Example) -> Example:
    """The example of the event that caused this one."""
    (cause,) = (
        one
        for one in BINARY_INPUTS
        if (one.headers["ce_id"], one.headers["ce_source"])
        == (example.headers["ce_causationid"], example.headers["ce_causationsource"])
    )
    return cause


def _cause(example: Example) -> Cause:
    cause = _cause_of(example)
    event = open_envelope(cause.record_headers, cause.value, [cause.kind])
    return Cause(event_key(cause.topic, event.source, event.id), event.id, event.source, event.trace)


def _suffix(example: Example) -> str:
    """What the worker puts behind the cause's key to make this event's id."""
    data = example.data or {}
    match example.kind:
        case "relationship.decision-refused":
            return "refused"
        case "order.customer-number-missing":
            return "missing"
        case "relationship.reminder-due":
            return f"reminder-{data['version']}"
    return f"version-{data['version']}"


def _now(example: Example) -> datetime:
    now = read_time(example.headers["ce_time"])
    assert write_time(now) == example.headers["ce_time"]
    return now
