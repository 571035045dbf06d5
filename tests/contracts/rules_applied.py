"""The rules on plain facts, without Kafka and PostgreSQL: what the vectors and the examples are held against."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relationship_worker.domain.corrections import KnownSettings
from relationship_worker.domain.customer_numbers import which_number
from relationship_worker.domain.supplier import BUILT_IN, changed
from relationship_worker.messages.envelope import Envelope, open_envelope
from relationship_worker.messages.orders import ORDER_CREATED, ORDER_TYPES, read_order, write_answer
from relationship_worker.messages.times import read_time
from relationship_worker.storage.suppliers import settings_as_of


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A version of a relationship, as far as an order cares."""

    version: int
    partner: bool
    customer_number: str | None
    valid_from: datetime


def an_event(type_: str, data: object, *, time: str, id_: str = "1") -> Envelope:
    """An event of this type, opened as the worker opens it."""
    headers = {"ce_specversion": "1.0", "ce_id": id_, "ce_source": "urn:test", "ce_type": type_, "ce_time": time}
    return open_envelope([(name, text.encode()) for name, text in headers.items()], json.dumps(data).encode(), [type_])


def settings_in_turn(changes: Sequence[Mapping[str, Any]]) -> list[KnownSettings]:
    """The supplier's settings after each change; a change is its `valid_from` and what was said."""
    history: list[KnownSettings] = []
    settings = BUILT_IN
    for change in changes:
        said = {name: value for name, value in change.items() if name != "valid_from"}
        settings = changed(settings, said)
        named = said.get("default_customer_number") is not None and settings.default_customer_number is not None
        history.append(
            KnownSettings(
                change=len(history) + 1,
                valid_from=read_time(change["valid_from"]),
                settings=settings,
                brings_default=named,
            )
        )
    return history


def answer(
    order: Envelope,
    *,
    history: Sequence[Fact],
    settings: list[KnownSettings],
    as_of: datetime | None = None,
    caught_up: bool = True,
) -> dict[str, Any]:
    """The ANSWER to an order by these facts, as it was created (or as of another instant)."""
    read = read_order(order)
    when = as_of or read.created_at
    then = [fact for fact in history if fact.valid_from <= when]
    newest = max(then, key=lambda fact: fact.version, default=None)
    ruling = which_number(
        partner=newest is not None and newest.partner,
        individual=newest.customer_number if newest is not None else None,
        channel=read.channel,
        settings=settings_as_of({read.supplier_id: settings}, read.supplier_id, when),
    )
    text = write_answer(read, ruling, newest.version if newest is not None else None, caught_up=caught_up)
    told: dict[str, Any] = json.loads(text)
    return told


def an_order(data: object, *, time: str) -> Envelope:
    """An order's event."""
    assert frozenset({ORDER_CREATED}) == ORDER_TYPES
    return an_event(ORDER_CREATED, data, time=time)
