"""The published contract as tests use it: its schemas, examples and vectors, and a check of what the worker wrote."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import EllipsisType
from typing import Any

import pytest
import yaml
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from relationship_worker.messages.envelope import Headers
from relationship_worker.messages.outgoing import DEAD_LETTERS, ENRICHED_ORDERS, INPUT_TOPICS

CONTRACTS = Path(__file__).parents[2] / "contracts"
HEADER_SCHEMAS = {ENRICHED_ORDERS: "enriched-order-headers"}
DEAD_LETTER = "dead-letter"  # the kind of its examples; it is no type


@cache
def asyncapi() -> dict[str, Any]:
    """The AsyncAPI document."""
    document: dict[str, Any] = yaml.safe_load((CONTRACTS / "asyncapi.yaml").read_text("utf-8"))
    return document


@cache
def types_by_topic() -> dict[str, list[str]]:
    """The event types of every topic, as the AsyncAPI document lists them."""
    messages = asyncapi()["components"]["messages"]
    return {
        channel["address"]: [
            messages[name]["name"] for name in channel["messages"] if name not in ("structuredEvent", "deadLetter")
        ]
        for channel in asyncapi()["channels"].values()
    }


def schema_names() -> list[str]:
    """Every published schema."""
    return sorted(file.stem for file in (CONTRACTS / "schemas").glob("*.json"))


@cache
def schema(name: str) -> dict[str, Any]:
    """A published schema."""
    published: dict[str, Any] = json.loads((CONTRACTS / "schemas" / f"{name}.json").read_text("utf-8"))
    return published


def _known_values(_: object, known: Sequence[str], value: object, __: object) -> Iterator[ValidationError]:
    if value is not None and value not in known:
        yield ValidationError(f"{value!r} is none of {known}")


# Consumers have to expect codes that are new to them; what the worker writes today has to be listed today.
_Strict = extend(Draft202012Validator, {"x-known-values": _known_values})


def violations(name: str, value: object, *, codes_listed: bool = False) -> list[str]:
    """What is wrong with a value by a published schema: nothing, if it fits. `codes_listed`: unlisted codes are wrong too."""
    validator = (_Strict if codes_listed else Draft202012Validator)(
        schema(name), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{name}: {error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def check_output(
    topic: str, headers: Headers, value: bytes | None, *, key: bytes | EllipsisType | None = ...
) -> dict[str, Any] | None:
    """Hold a record that the worker wrote against the published contract; AssertionError where it does not fit.

    `topic`: its name in the contract, without a prefix. Returns the value's JSON (None for a dead letter). The key is
    looked at where it is given, and where it is the worker's own.
    """
    if topic == DEAD_LETTERS:
        added = [(name, text) for name, text in headers[-5:]]
        assert not (wrong := violations("dead-letter-headers", _texts(added), codes_listed=True)), wrong
        return None
    texts = _texts(headers)
    assert len(texts) == len(headers), f"a header stands there twice: {[name for name, _ in headers]}"
    assert not (wrong := violations(HEADER_SCHEMAS.get(topic, "output-headers"), texts, codes_listed=True)), wrong
    type_ = texts["ce_type"]
    assert type_ in types_by_topic()[topic], f"{type_} is no type of {topic}"
    assert value is not None, "an output without a value"
    data = _json(value)
    assert not (wrong := violations(type_, data, codes_listed=True)), wrong
    _check_what_headers_repeat(topic, texts, data, key)
    return data


def _check_what_headers_repeat(topic: str, texts: Mapping[str, str], data: Mapping[str, Any], key: object) -> None:
    about = data["order"] if texts["ce_type"] == "order.enriched" else data
    supplier, customer = about["supplier_id"], about.get("customer_id")
    if topic == ENRICHED_ORDERS:
        told = {name: texts.get(f"ce_{name}") for name in ("supplierid", "customerid", "customernumber")}
        number = data["customer_number"]["number"]
        assert told == {"supplierid": supplier, "customerid": customer, "customernumber": number}
    else:
        relationship = supplier if customer is None else f"{supplier}/{customer}"
        assert key is ... or key == relationship.encode(), f"the key is not {relationship}"
        assert texts["ce_subject"] == data.get("order_id", relationship)


def read_with_the_cloudevents_sdk(headers: Headers, value: bytes | None, *, key: bytes | None = None) -> BaseCloudEvent:
    """The record as the official SDK reads it; AssertionError where it reads something else than was written.

    The SDK takes keys as UTF-8 text: leave out one that is not.
    """
    assert value is not None
    event = from_binary_event(KafkaMessage({name: text or b"" for name, text in headers}, key, value))
    texts = _texts(headers)
    read = (event.get_id(), event.get_source(), event.get_type(), event.get_specversion(), event.get_subject())
    assert read == tuple(texts[f"ce_{name}"] for name in ("id", "source", "type", "specversion", "subject"))
    time = event.get_time()
    assert time is not None
    assert time.utcoffset() is not None
    assert event.get_datacontenttype() == "application/json"
    assert event.get_extension("causationid") == texts["ce_causationid"]
    assert event.get_extension("causationsource") == texts["ce_causationsource"]
    assert isinstance(event.get_data(), dict)
    return event


def _texts(headers: Headers) -> dict[str, str]:
    texts = {}
    for name, text in headers:
        assert text is not None, f"the header {name} is null"
        texts[name] = text.decode()
    return texts


def _json(value: bytes) -> dict[str, Any]:
    data = json.loads(value, parse_int=_whole)
    assert isinstance(data, dict)
    return data


def _whole(digits: str) -> int:
    return int(digits) if len(digits) < 4000 else 0  # an order may hold numbers that Python refuses to read


@dataclass(frozen=True, kw_only=True)
class Example:
    """A published example. `data` is None for a dead letter, whose `value` may be anything."""

    kind: str
    name: str
    topic: str
    key: str | None
    headers: Mapping[str, str]
    data: dict[str, Any] | None
    value: bytes | None

    @property
    def record_headers(self) -> list[tuple[str, bytes | None]]:
        """The headers as they lie in Kafka."""
        return [(name, text.encode()) for name, text in self.headers.items()]

    @property
    def record_key(self) -> bytes | None:
        """The key as it lies in Kafka."""
        return None if self.key is None else self.key.encode()

    @property
    def is_input(self) -> bool:
        """True for what the worker reads."""
        return self.topic in INPUT_TOPICS

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@cache
def examples() -> tuple[Example, ...]:
    """Every published example."""
    return tuple(_example(file) for file in sorted((CONTRACTS / "examples").glob("*/*.json")))


def _example(file: Path) -> Example:
    told = json.loads(file.read_text("utf-8"))
    kind = file.parent.name
    assert set(told) == {"about", "topic", "key", "headers", "value" if kind == DEAD_LETTER else "data"}, file
    data = told.get("data")
    text = told["value"] if kind == DEAD_LETTER else json.dumps(data, ensure_ascii=False)
    return Example(
        kind=kind,
        name=file.stem,
        topic=told["topic"],
        key=told["key"],
        headers=told["headers"],
        data=data,
        value=None if text is None else text.encode(),
    )


def each(some: Sequence[Example]) -> pytest.MarkDecorator:
    """The test once per example, named after it."""
    return pytest.mark.parametrize("example", some, ids=str)


def vectors(name: str) -> list[dict[str, Any]]:
    """The vectors of a published table."""
    table = json.loads((CONTRACTS / f"{name}.json").read_text("utf-8"))
    assert table["version"] == 1
    found: list[dict[str, Any]] = table["vectors"]
    return found


def each_vector(name: str) -> pytest.MarkDecorator:
    """The test once per vector, named after it."""
    some = vectors(name)
    return pytest.mark.parametrize("vector", some, ids=[vector["name"] for vector in some])
