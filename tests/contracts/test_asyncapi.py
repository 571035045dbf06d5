"""The AsyncAPI document: valid for the official parser, and naming every topic, type, schema and example."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from contracts import asyncapi_parser
from contracts.models import CORRECTED
from contracts.published import CONTRACTS, asyncapi, examples, schema_names, types_by_topic
from relationship_worker.messages.incoming import DECISION_TYPES, REQUEST_TYPES
from relationship_worker.messages.orders import ORDER_ENRICHED, ORDER_TYPES
from relationship_worker.messages.outgoing import (
    CONNECTION_REQUESTS,
    DEAD_LETTERS,
    ENRICHED_ORDERS,
    EVENT_MODELS,
    INPUT_TOPICS,
    MAX_MESSAGE_BYTES,
    ORDERS,
    OUTPUT_TOPICS,
    RELATIONSHIP_DECISIONS,
    RELATIONSHIP_EVENTS,
    REMINDERS,
)
from relationship_worker.settings import Settings


def test_the_document_is_valid_for_the_official_parser() -> None:
    said = asyncapi_parser.parse(CONTRACTS / "asyncapi.yaml")

    assert said["read"]
    assert [one for one in said["said"] if one["severity"] <= 1] == []


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("asyncapi.yaml", "action: receive", "action: recieve"),
        ("asyncapi.yaml", "./schemas/output-headers.json", "./schemas/headers.json"),
        ("schemas/order.enriched.json", '"type": "object"', '"type": "objekt"'),
    ],
)
def test_the_official_parser_sees_a_mistake(tmp_path: Path, file: str, right: str, wrong: str) -> None:
    shutil.copytree(CONTRACTS, tmp_path / "contracts")
    broken = tmp_path / "contracts" / file
    text = broken.read_text("utf-8")
    assert right in text
    broken.write_text(text.replace(right, wrong), "utf-8")

    said = asyncapi_parser.parse(tmp_path / "contracts" / "asyncapi.yaml")

    assert [one for one in said["said"] if one["severity"] == 0]


def test_every_type_stands_on_its_topic() -> None:
    told = {model.type: model.topic for model in EVENT_MODELS}

    assert {topic: set(types) for topic, types in types_by_topic().items()} == {
        CONNECTION_REQUESTS: REQUEST_TYPES,
        RELATIONSHIP_DECISIONS: DECISION_TYPES,
        ORDERS: ORDER_TYPES,
        ENRICHED_ORDERS: {ORDER_ENRICHED, CORRECTED},
        RELATIONSHIP_EVENTS: {type_ for type_, topic in told.items() if topic == RELATIONSHIP_EVENTS},
        REMINDERS: {type_ for type_, topic in told.items() if topic == REMINDERS},
        DEAD_LETTERS: set(),
    }


def test_the_worker_receives_its_inputs_and_sends_its_outputs() -> None:
    actions = {(operation["action"], _channel(operation)["address"]) for operation in _operations()}

    assert actions == {("receive", topic) for topic in INPUT_TOPICS} | {("send", topic) for topic in OUTPUT_TOPICS}


def test_the_group_of_the_inputs_is_the_workers() -> None:
    groups = {
        operation["bindings"]["kafka"]["groupId"]["const"]
        for operation in _operations()
        if operation["action"] == "receive"
    }

    assert groups == {Settings.model_fields["group"].default}


@pytest.mark.parametrize("topic", OUTPUT_TOPICS)
def test_an_output_topic_takes_the_largest_message(topic: str) -> None:
    (channel,) = (one for one in asyncapi()["channels"].values() if one["address"] == topic)

    assert channel["bindings"]["kafka"]["topicConfiguration"]["max.message.bytes"] == MAX_MESSAGE_BYTES


def test_a_message_has_the_schema_and_the_examples_of_its_type() -> None:
    for message in asyncapi()["components"]["messages"].values():
        name = message["name"]
        if name != "dead-letter":
            assert message["payload"] == {"$ref": f"./schemas/{name}.json"}
        if name not in ("dead-letter", "structured-event"):
            assert message["headers"]["properties"] == {"ce_type": {"const": name}}
        files = {f"./examples/{one}.json" for one in examples() if one.kind == name}
        assert {one["headers"]["$ref"].removesuffix("#/headers") for one in message["examples"]} == files
        assert {one["payload"]["$ref"].partition("#")[0] for one in message["examples"]} == files


def test_every_schema_is_referred_to_or_repeated() -> None:
    referred = {name.removeprefix("./schemas/").removesuffix(".json") for name in _references(asyncapi())}

    assert set(schema_names()) - referred == {"answer"}, "an answer is repeated in the events that hold one"


def test_the_documents_version_has_a_line_in_the_readme() -> None:
    assert f"| {asyncapi()['info']['version']} |" in (CONTRACTS / "README.md").read_text("utf-8")


def _operations() -> list[dict[str, Any]]:
    return list(asyncapi()["operations"].values())


def _channel(operation: dict[str, Any]) -> dict[str, Any]:
    channel: dict[str, Any] = asyncapi()["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
    return channel


def _references(part: object) -> set[str]:
    if isinstance(part, list):
        return {reference for one in part for reference in _references(one)}
    if not isinstance(part, dict):
        return set()
    here = {part["$ref"]} if "$ref" in part and part["$ref"].startswith("./schemas/") else set()
    return here | {reference for one in part.values() for reference in _references(one)}
