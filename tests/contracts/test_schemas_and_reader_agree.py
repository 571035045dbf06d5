"""The schemas of the inputs say what the worker does: what a schema refuses is refused, what it takes is taken."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.models import INPUTS, STRUCTURED
from contracts.published import Example, examples, schema, types_by_topic, violations
from relationship_worker.domain.relationship import Refused, judge_alone
from relationship_worker.domain.supplier import BUILT_IN, InvalidSettings, changed
from relationship_worker.messages.envelope import Headers, InvalidMessage, open_envelope
from relationship_worker.messages.incoming import RelationshipInput, SettingsInput, read_input
from relationship_worker.messages.orders import ORDER_CREATED, read_order

ABSENT = object()
WRONG_AND_RIGHT = [
    ABSENT, None, True, 0, 7, 65, 721, -1, 1.5, "", " ", "x", "7", [], {}, [None], ["x"], [{}], [{"id": 7}], "a\0b", "a b",
    "\u200b", " x", "x ", "x" * 65, "x" * 129, "public", "private", "none", "default", "individual_first",
    "default_always", "08:00", "24:00", "8:00", "Europe/Berlin", "2026-03-30", "2026-02-30", "30.03.2026", "1.0",
    "2026-03-30T08:00:00Z", "2026-03-30t08:00:00.123456789z", "2026-03-30T08:00:00+02:00", "2026-03-30T08:00:00",
    "2026-03-30 08:00:00Z", "2026-03-30T24:00:00Z", "2026-03-30T08:00:60Z", "2026-02-30T08:00:00Z", "application/json",
    "application/problem+json", "text/plain", "application/cloudevents+json", "application/json; charset=utf-8",
    "application/cloudevents-batch+json",
]  # fmt: skip

# What no schema can say, and README.md says: which texts name a zone, and how long a number is once it is trimmed and
# composed, and which characters it may hold inside.
WHAT_NO_SCHEMA_SAYS = {"time_zone", "customer_number", "default_customer_number"}

INPUT_EXAMPLES = [one for one in examples() if one.kind in INPUTS and one.name not in ("too-long", "nonsense")]
STRUCTURED_EXAMPLES = [one for one in examples() if one.kind == STRUCTURED]


def _places(part: dict[str, Any], whole: dict[str, Any], data: object) -> Iterator[tuple[str | int, ...]]:
    """Every place in the data that the schema says something about."""
    while "$ref" in part or "anyOf" in part:
        part = part["anyOf"][0] if "anyOf" in part else whole["$defs"][part["$ref"].rpartition("/")[2]]
    if isinstance(data, dict):
        for name, inner in part.get("properties", {}).items():
            yield (name,)
            if name in data:
                yield from ((name, *place) for place in _places(inner, whole, data[name]))
    elif isinstance(data, list) and "items" in part:
        for index, item in enumerate(data):
            yield (index,)
            yield from ((index, *place) for place in _places(part["items"], whole, item))


def _with(data: Any, place: tuple[str | int, ...], value: object) -> Any:
    changed_data = copy.deepcopy(data)
    part = changed_data
    for step in place[:-1]:
        part = part[step]
    if value is not ABSENT:
        part[place[-1]] = value
    elif isinstance(part, dict):
        part.pop(place[-1], None)
    return changed_data


def _sayable(place: tuple[str | int, ...], value: object) -> bool:
    return not (place[-1] in WHAT_NO_SCHEMA_SAYS and isinstance(value, str)) or value in ("", "a\0b")


def _cases(some: list[Example], of: str | None = None) -> list[Any]:
    return [
        pytest.param(one, place, id=f"{one}: {'.'.join(map(str, place))}")
        for one in some
        for place in _places(schema(of or one.kind), schema(of or one.kind), one.data)
    ]


@pytest.mark.parametrize(("example", "place"), _cases(INPUT_EXAMPLES))
def test_the_worker_takes_the_data_that_the_schema_takes(example: Example, place: tuple[str | int, ...]) -> None:
    for value in WRONG_AND_RIGHT:
        data = _with(example.data, place, value)

        if _sayable(place, value):
            fits = not violations(example.kind, data)
            assert _is_taken(example.topic, example.record_headers, _encoded(data)) == fits, value


@pytest.mark.parametrize(("example", "place"), _cases(STRUCTURED_EXAMPLES, STRUCTURED))
def test_the_worker_opens_the_envelope_that_the_schema_takes(example: Example, place: tuple[str | int, ...]) -> None:
    for value in WRONG_AND_RIGHT:
        data = _with(example.data, place, value)
        # Which types a topic carries, and what their data holds, is said by other schemas.
        if not (place == ("type",) and isinstance(value, str)) and not (place == ("data",) and isinstance(value, dict)):
            fits = not violations(STRUCTURED, data)
            assert _is_taken(example.topic, example.record_headers, _encoded(data)) == fits, value


@pytest.mark.parametrize("name", sorted(set(schema("input-headers")["properties"]) - {"ce_type"}))
def test_the_worker_opens_the_headers_that_the_schema_takes(name: str) -> None:
    example = next(one for one in INPUT_EXAMPLES if one.kind == "supplier.connection.ended")
    # A blank content type is read as none; the other one is structured mode.
    other = ("", " ", "application/cloudevents+json") if name == "content-type" else ()

    for value in [one for one in WRONG_AND_RIGHT if one is ABSENT or (isinstance(one, str) and one not in other)]:
        headers = _with(dict(example.headers), (name,), value)
        record = [(header, text.encode()) for header, text in headers.items()]
        fits = not violations("input-headers", headers)
        assert _is_taken(example.topic, record, example.value) == fits, value


def _encoded(data: object) -> bytes:
    return json.dumps(data).encode()


def _is_taken(topic: str, headers: Headers, value: bytes | None) -> bool:
    """True for what is neither a dead letter nor refused for what stands in the event alone."""
    try:
        event = open_envelope(headers, value, types_by_topic()[topic])
        if event.type == ORDER_CREATED:
            read_order(event)
            return True
        item = read_input(event)
        if isinstance(item, SettingsInput):
            changed(BUILT_IN, item.change)
        if isinstance(item, RelationshipInput):
            return not isinstance(judge_alone(item.told, now=event.time, max_length=64), Refused)
    except (InvalidMessage, InvalidSettings):
        return False
    return True
