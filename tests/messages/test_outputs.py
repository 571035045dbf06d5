"""The events that the worker tells, and dead letters: key, headers and value of each message."""

import json
from datetime import UTC, date, datetime

import pytest

from builders import NOON
from relationship_worker.domain.relationship import Refusal, State
from relationship_worker.messages.envelope import InvalidMessage, Reason
from relationship_worker.messages.outgoing import (
    EVENT_MODELS,
    Cause,
    CustomerNumberChanged,
    CustomerNumberMissing,
    DecisionRefused,
    Message,
    RelationshipAccepted,
    RelationshipDeferred,
    ReminderDue,
    dead_letter,
    event_message,
)

CAUSE = Cause(key=b"\x01" * 16, id="d-1", source="/portal/ü")
DECIDED = datetime(2026, 3, 1, 8, 30, 0, 5, tzinfo=UTC)


def an_acceptance(**fields: object) -> RelationshipAccepted:
    return RelationshipAccepted(
        **{
            "supplier_id": "s-1",
            "customer_id": "c-1",
            "version": 2,
            "state": State.PARTNER,
            "previous_state": State.REQUESTED,
            "decided_at": DECIDED,
            "decided_by": "j.meier",
            "reason": None,
            "resubmission_date": None,
            "customer_number": "00042",
            "previously_rejected": False,
            "shared": True,
            **fields,
        }
    )


def told(event, cause=CAUSE, **how) -> Message:
    return event_message(event, cause, suffix="version-2", now=NOON, **how)


def test_the_types_of_the_contract():
    assert {model.type for model in EVENT_MODELS} >= {
        "relationship.requested",
        "relationship.accepted",
        "relationship.rejected",
        "relationship.deferred",
        "relationship.withdrawn",
        "relationship.ended",
        "relationship.customer-number-changed",
        "relationship.decision-refused",
        "order.customer-number-missing",
        "relationship.reminder-due",
    }


def test_an_event_is_a_cloud_event_in_binary_mode():
    message = told(an_acceptance())

    headers = dict(message.headers)
    assert len(headers) == len(message.headers)
    assert headers.pop("ce_id")
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_source": b"relationship-worker",
        "ce_type": b"relationship.accepted",
        "ce_time": b"2026-03-02T12:00:00Z",
        "ce_subject": b"s-1/c-1",
        "ce_causationid": b"d-1",
        "ce_causationsource": "/portal/ü".encode(),
        "content-type": b"application/json",
    }


def test_an_event_is_keyed_by_its_relationship():
    message = told(an_acceptance())

    assert (message.topic, message.key, message.partition) == ("relationship-events", b"s-1/c-1", None)


def test_an_acceptance():
    assert json.loads(told(an_acceptance()).value) == {
        "supplier_id": "s-1",
        "customer_id": "c-1",
        "version": 2,
        "state": "partner",
        "previous_state": "requested",
        "decided_at": "2026-03-01T08:30:00.000005Z",
        "decided_by": "j.meier",
        "reason": None,
        "resubmission_date": None,
        "customer_number": "00042",
        "previously_rejected": False,
        "shared": True,
    }


def test_a_deferral_names_its_day():
    deferral = RelationshipDeferred(
        supplier_id="s-1",
        customer_id="c-1",
        version=2,
        state=State.DEFERRED,
        previous_state=State.REQUESTED,
        decided_at=DECIDED,
        decided_by=None,
        reason="später",
        resubmission_date=date(2026, 4, 1),
        customer_number=None,
        previously_rejected=True,
    )

    value = json.loads(told(deferral).value)

    assert value["resubmission_date"] == "2026-04-01"
    assert value["reason"] == "später"
    assert "shared" not in value


def test_a_removed_number():
    change = CustomerNumberChanged(
        supplier_id="s-1", customer_id="c-1", version=3, customer_number=None, previous="00042", shared=False
    )

    assert json.loads(told(change).value) == {
        "supplier_id": "s-1",
        "customer_id": "c-1",
        "version": 3,
        "customer_number": None,
        "previous": "00042",
        "shared": False,
    }


def test_refused_settings_are_keyed_by_their_supplier():
    refusal = DecisionRefused(
        supplier_id="s-1",
        customer_id=None,
        decision_id="d-1",
        decision_type="supplier.settings.changed",
        reason=Refusal.INVALID_SETTINGS,
        state=None,
        version=0,
        detail="reminder_time takes HH:MM",
    )

    message = told(refusal)

    assert message.key == b"s-1"
    assert dict(message.headers)["ce_subject"] == b"s-1"
    assert json.loads(message.value) == {
        "supplier_id": "s-1",
        "customer_id": None,
        "decision_id": "d-1",
        "decision_type": "supplier.settings.changed",
        "reason": "invalid_settings",
        "state": None,
        "version": 0,
        "detail": "reminder_time takes HH:MM",
    }


@pytest.mark.parametrize(("customer", "key"), [("c-1", b"s-1/c-1"), (None, b"s-1")])
def test_a_missing_number_is_about_the_order(customer, key):
    missing = CustomerNumberMissing(supplier_id="s-1", customer_id=customer, order_id="Ö 1", reason="default_missing")

    message = told(missing, subject="Ö 1")

    assert message.key == key
    assert dict(message.headers)["ce_subject"] == "Ö 1".encode()


def test_a_reminder_goes_to_its_own_topic():
    reminder = ReminderDue(
        supplier_id="s-1",
        customer_id="c-1",
        version=2,
        due_on=date(2026, 3, 2),
        due_at=datetime(2026, 3, 2, 7, tzinfo=UTC),
        deferred_at=DECIDED,
        late_seconds=18_000,
        overdue=False,
        reason=None,
    )

    message = told(reminder)

    assert (message.topic, message.key) == ("reminders", b"s-1/c-1")
    assert json.loads(message.value) == {
        "supplier_id": "s-1",
        "customer_id": "c-1",
        "version": 2,
        "due_on": "2026-03-02",
        "due_at": "2026-03-02T07:00:00Z",
        "deferred_at": "2026-03-01T08:30:00.000005Z",
        "late_seconds": 18000,
        "overdue": False,
        "reason": None,
    }


def ce_id(cause: Cause, suffix: str, now: datetime = NOON) -> bytes | None:
    return dict(event_message(an_acceptance(), cause, suffix=suffix, now=now).headers)["ce_id"]


def test_a_retry_can_not_invent_another_id():
    assert ce_id(CAUSE, "version-2", NOON) == ce_id(CAUSE, "version-2", DECIDED)


def test_outputs_of_one_cause_and_of_different_causes_have_ids_of_their_own():
    other = Cause(key=b"\x02" * 16, id="d-1", source="/portal")

    assert len({ce_id(CAUSE, "version-2"), ce_id(CAUSE, "version-3"), ce_id(other, "version-2")}) == 3


@pytest.mark.parametrize("trace", [(("traceparent", b"00-1"), ("tracestate", b"a=1")), (("ce_traceparent", b"00-1"),)])
def test_trace_context_is_passed_on_in_the_form_in_which_it_came(trace):
    message = told(an_acceptance(), Cause(key=b"\x01" * 16, id="d-1", source="/portal", trace=trace))

    assert [header for header in message.headers if "trace" in header[0]] == list(trace)


def a_dead_letter(value=b"{", headers=(), key=b"k", detail="the value is not JSON") -> Message:
    return dead_letter(
        InvalidMessage(Reason.INVALID_JSON, detail),
        topic="orders",
        partition=3,
        offset=12345678901,
        key=key,
        value=value,
        headers=headers,
    )


ADDED = [
    ("deadletter-reason", b"invalid_json"),
    ("deadletter-detail", b"the value is not JSON"),
    ("deadletter-topic", b"orders"),
    ("deadletter-partition", b"3"),
    ("deadletter-offset", b"12345678901"),
]


@pytest.mark.parametrize("value", [None, b"", b"\xff\x00", b"{"])
@pytest.mark.parametrize("key", [None, b"", b"\xff", b"s-1/c-1"])
def test_a_dead_letter_keeps_key_and_value_as_they_came(key, value):
    message = a_dead_letter(value, key=key)

    assert (message.topic, message.key, message.value) == ("dead-letters", key, value)


def test_a_dead_letter_says_why_and_where_it_lay_behind_its_own_headers():
    own = [("b", b"2"), ("a", None), ("b", b"\xff"), ("", b""), ("ce_id", b"e-1"), ("a", b"1")]

    assert a_dead_letter(headers=own).headers == own + ADDED


def test_a_dead_letter_that_was_one_before_keeps_what_was_said_then_in_front():
    own = [
        ("deadletter-reason", b"unknown_type"),
        ("deadletter-topic", b"relationship-decisions"),
        ("ce_id", b"e-1"),
        ("deadletter-reason", b"invalid_data"),
    ]

    assert a_dead_letter(headers=own).headers == own + ADDED


def test_a_dead_letter_of_eight_mebibytes_keeps_its_value():
    value = b"x" * (8 * 1024 * 1024)

    message = a_dead_letter(value)

    assert message.value == value
    assert message.headers == ADDED


def test_a_dead_letter_may_know_its_partition():
    message = dead_letter(
        InvalidMessage(Reason.EMPTY_VALUE, "-"),
        topic="orders", partition=3, offset=1, key=None, value=None, headers=[], to_partition=3,
    )  # fmt: skip

    assert message.partition == 3


def test_the_reasons_of_the_contract():
    assert {reason.value for reason in Reason} == {
        *("empty_value", "too_large", "invalid_json", "invalid_event", "unknown_type", "invalid_data"),
        *("conflicting_event_id", "unknown_relationship", "processing_failed"),
    }
    assert {refusal.value for refusal in Refusal} == {
        *("unknown_relationship", "withdrawn", "already_partner", "not_a_partner", "not_open", "stale"),
        *("invalid_customer_number", "invalid_resubmission_date", "invalid_settings", "from_the_future"),
    }
