"""Builders: a test names what matters to it, these fill in the rest."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from hypothesis import settings

from relationship_worker.domain.customer_numbers import Ruling
from relationship_worker.domain.relationship import (
    Changed,
    Input,
    Judged,
    Kind,
    Relationship,
    State,
    Version,
    after,
    decide,
)
from relationship_worker.messages.envelope import Envelope
from relationship_worker.messages.orders import Order, around_as_of

patient = settings(deadline=None)  # how long one example takes says nothing on a machine that is shared
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday; the moment at which nothing special happens


def minutes_after_noon(minutes: float) -> datetime:
    """A moment of that Monday."""
    return NOON + timedelta(minutes=minutes)


def an_input(kind: Kind, **told: object) -> Input:
    """An input as it was told, at noon unless said otherwise."""
    return Input(**{"kind": kind, "at": NOON, **told})


def judged(
    kind: Kind,
    *,
    at: datetime = NOON,
    decided_by: str | None = "j.meier",
    reason: str | None = None,
    customer_number: str | None = None,
    resubmission_date: date | None = None,
) -> Judged:
    """An input that can be believed."""
    return Judged(
        kind=kind,
        at=at,
        decided_by=decided_by,
        reason=reason,
        customer_number=customer_number,
        resubmission_date=resubmission_date,
    )


def a_relationship(state: State, *, number: str | None = None, version: int = 3, **kept: object) -> Relationship:
    """A relationship in a state; its newest version is of noon."""
    if state is State.NONE:
        return Relationship()
    return Relationship(**{"state": state, "version": version, "valid_from": NOON, "customer_number": number, **kept})


def story(*inputs: Judged) -> list[Relationship]:
    """The relationship after each input of a story, all of which change it; a minute lies between two of them."""
    relationship = Relationship()
    told = []
    for minute, one in enumerate(inputs):
        outcome = decide(relationship, one, at=minutes_after_noon(minute))
        assert isinstance(outcome, Changed), f"{one.kind} in {relationship.state}: {outcome}"
        relationship = after(outcome.version)
        told.append(relationship)
    return told


Headers = list[tuple[str, bytes | None]]

ORDER_CREATED = "marketplace.order.created"


def binary_headers(*, without: str = "", **attributes: bytes | None) -> Headers:
    """The headers of an event in binary mode; an attribute is replaced by its name."""
    all_of_them: dict[str, bytes | None] = {
        "id": b"e-1",
        "source": b"/marketplace",
        "type": ORDER_CREATED.encode(),
        "specversion": b"1.0",
        "time": b"2026-03-02T12:00:00Z",
        **attributes,
    }
    return [(f"ce_{name}", text) for name, text in all_of_them.items() if name != without]


STRUCTURED: Headers = [("content-type", b"application/cloudevents+json")]


def structured(data: str | bytes | None = '{"a":1}', *, without: str = "", **attributes: object) -> bytes:
    """An envelope in structured mode; `data` is put in as it is, and left out where it is None."""
    all_of_them: dict[str, object] = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/marketplace",
        "type": ORDER_CREATED,
        "time": "2026-03-02T12:00:00Z",
        **attributes,
    }
    envelope = json.dumps({name: value for name, value in all_of_them.items() if name != without}).encode()
    if data is None:
        return envelope
    return envelope[:-1] + b',"data":' + (data if isinstance(data, bytes) else data.encode()) + b"}"


def an_event(type_: str, data: Mapping[str, object] | str | bytes) -> Envelope:
    """An opened event. Data that is text already is taken as it is."""
    if isinstance(data, Mapping):
        data = json.dumps(data)
    raw = data.encode() if isinstance(data, str) else data
    return Envelope(id="e-1", source="/marketplace", type=type_, time=NOON, time_text="2026-03-02T12:00:00Z", data=raw)


def an_order_event(
    data: bytes, *, id_: str = "e-1", source: str = "/marketplace", trace: tuple[tuple[str, bytes], ...] = ()
) -> Envelope:
    """An opened event of an order."""
    return Envelope(id_, source, ORDER_CREATED, NOON, "2026-03-02T12:00:00Z", data, trace)


def write_answer(order: Order, ruling: Ruling, version: int | None, *, caught_up: bool = True) -> str:
    """The ANSWER to an order as JSON text."""
    before, after = around_as_of(
        ruling,
        version,
        no_customer=order.customer_id is None,
        unknown_channel=not order.channel_known,
        caught_up=caught_up,
    )
    return before + order.as_of.decode() + after


PAIR = {"supplier_id": "s-1", "customer_id": "c-1"}


def an_order(**fields: object) -> dict[str, object]:
    """An order document; a field given as None is null."""
    return {"order_id": "o-1", **PAIR, **fields}


def a_version(
    version: int, at: datetime = NOON, state: State = State.PARTNER, number: str | None = None, **told: object
) -> Version:
    """A row of history."""
    return Version(
        **{
            "version": version,
            "valid_from": at,
            "state": state,
            "previous_state": State.REQUESTED,
            "customer_number": number,
            "previous_number": None,
            "brings_number": False,
            "decided_by": "j.meier",
            "reason": None,
            "resubmission_date": None,
            "previously_rejected": False,
            **told,
        }
    )
