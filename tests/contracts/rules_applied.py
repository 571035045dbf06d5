"""The rules on plain facts, without Kafka and PostgreSQL: what the vectors and the examples are held against."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from builders import write_answer
from relationship_worker.domain.corrections import Facts, KnownSettings, KnownVersion, due
from relationship_worker.domain.customer_numbers import which_number
from relationship_worker.domain.supplier import BUILT_IN, changed
from relationship_worker.messages.envelope import Envelope, open_envelope
from relationship_worker.messages.orders import (
    ORDER_CREATED,
    ORDER_TYPES,
    Answer,
    read_order,
    write_correction,
)
from relationship_worker.messages.times import read_time
from relationship_worker.storage.suppliers import settings_as_of


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
    history: Sequence[KnownVersion],
    settings: list[KnownSettings],
    caught_up: bool = True,
) -> dict[str, Any]:
    """The ANSWER to an order by these facts, as of its creation."""
    read = read_order(order)
    then = [version for version in history if version.valid_from <= read.created_at]
    newest = max(then, key=lambda version: version.version, default=None)
    ruling = which_number(
        partner=newest is not None and newest.partner,
        individual=newest.customer_number if newest is not None else None,
        channel=read.channel,
        settings=settings_as_of(settings, read.created_at),
    )
    text = write_answer(read, ruling, newest.version if newest is not None else None, caught_up=caught_up)
    told: dict[str, Any] = json.loads(text)
    return told


def corrected(order: Envelope, told: Mapping[str, Any], facts: Facts) -> dict[str, Any] | None:
    """The ANSWER that an order is told instead, once these are the facts; None where what it was told last stands."""
    read = read_order(order)
    now = due(facts, created_at=read.created_at, channel=read.channel)
    same = (now.ruling.number, now.ruling.source) == (told["number"], told["source"])
    if same or now.ruling.number is None or not facts.window:
        return None
    text = write_correction(msgspec.convert(told, Answer), now.ruling, now.version, as_of=now.as_of)
    answered: dict[str, Any] = json.loads(text)
    return answered


def an_order(data: object, *, time: str) -> Envelope:
    """An order's event."""
    assert frozenset({ORDER_CREATED}) == ORDER_TYPES
    return an_event(ORDER_CREATED, data, time=time)
