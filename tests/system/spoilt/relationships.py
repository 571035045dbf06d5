"""Spoilt relationship events."""

import json
from dataclasses import replace

from model.records import EVENTS
from system.differences import Kind
from system.spoilt.history import History, Spoilt


def drop_a_version(history: History) -> None:
    history.records.remove(history.event("relationship.requested", lambda data: data["version"] == 1))


def double_an_event(history: History) -> None:
    history.add(history.event("relationship.withdrawn"))


def double_a_refusal(history: History) -> None:
    history.add(history.event("relationship.decision-refused"))


def swap_versions(history: History) -> None:
    second = history.find(EVENTS, lambda record: json.loads(record.value or b"").get("version") == 2)
    history.swap(history.find(EVENTS, lambda record: record.key == second.key), second)


def renumber_a_version(history: History) -> None:
    history.tell(history.event("relationship.accepted"), version=0)


def take_a_wrong_turn(history: History) -> None:
    history.tell(history.event("relationship.accepted"), state="rejected")


def come_from_elsewhere(history: History) -> None:
    history.tell(history.event("relationship.accepted"), previous_state="ended")


def accept_what_is_refused(history: History) -> None:
    refused = history.event("relationship.decision-refused", lambda data: data["reason"] == "not_a_partner")
    history.head(refused, "ce_type", b"relationship.accepted")


def accept_what_is_stale(history: History) -> None:
    refused = history.event("relationship.decision-refused", lambda data: data["reason"] == "stale")
    history.head(refused, "ce_type", b"relationship.accepted")


def give_another_code(history: History) -> None:
    history.tell(history.event("relationship.decision-refused"), reason="because")


def forget_who_decided(history: History) -> None:
    accepted = history.event("relationship.accepted", lambda data: data["decided_by"] is not None)
    history.tell(accepted, decided_by=None)


def take_the_producers_key(history: History) -> None:
    record = history.event("relationship.accepted")
    history.put(record, replace(record, key=b"erp-batch-1"))


def tell_another_supplier(history: History) -> None:
    accepted = history.event("relationship.accepted")
    own = json.loads(accepted.value or b"")["supplier_id"]
    history.tell(accepted, supplier_id=next(one for one in history.expected.plan.suppliers if one != own))


OUT_OF_STEP = {Kind.VERSION_GAP, Kind.ILLEGAL_TRANSITION}  # a version that is none of the relationship's next

SPOILT: tuple[Spoilt, ...] = (
    (drop_a_version, {Kind.LOST, *OUT_OF_STEP}),
    (double_an_event, {Kind.DUPLICATE, *OUT_OF_STEP}),
    (double_a_refusal, {Kind.DUPLICATE}),
    (swap_versions, {Kind.REORDERED, *OUT_OF_STEP}),
    (renumber_a_version, {Kind.VERSION_GAP, Kind.WRONG_VALUE}),
    (take_a_wrong_turn, {Kind.ILLEGAL_TRANSITION}),
    (come_from_elsewhere, {Kind.ILLEGAL_TRANSITION}),
    (accept_what_is_refused, OUT_OF_STEP),
    (accept_what_is_stale, {Kind.STALE, *OUT_OF_STEP}),
    (give_another_code, {Kind.WRONG_VALUE}),
    (forget_who_decided, {Kind.WRONG_VALUE}),
    (take_the_producers_key, {Kind.KEY_CHANGED}),
    (tell_another_supplier, {Kind.CROSS_TENANT, *OUT_OF_STEP}),
)
