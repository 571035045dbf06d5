"""The published schemas: valid by themselves, one for each event, and saying what the models say."""

from dataclasses import fields
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from contracts.models import CORRECTED, HEADERS, INPUTS, OUTPUTS, STRUCTURED
from contracts.published import schema, schema_names, violations
from contracts.shapes import ANY, Shape, shape, shape_of_struct
from relationship_worker.domain.customer_numbers import DEFAULT_MISSING, PARTNER_WITHOUT_NUMBER, Source
from relationship_worker.domain.relationship import Refusal, State
from relationship_worker.domain.supplier import Settings
from relationship_worker.messages.envelope import Reason
from relationship_worker.messages.incoming import DECISION_TYPES, REQUEST_TYPES
from relationship_worker.messages.orders import NOT_CAUGHT_UP, ORDER_ENRICHED, Answer
from relationship_worker.messages.outgoing import RelationshipTransition

# Where a transition's schema says more than its model, which is one for all of them.
SAID_MORE_CLOSELY = {
    "state",
    "previous_state",
    "decided_by",
    "resubmission_date",
    "customer_number",
    "previously_rejected",
}

each_schema = pytest.mark.parametrize("name", schema_names())


@each_schema
def test_a_schema_is_valid_and_stands_for_itself(name: str) -> None:
    published = schema(name)

    Draft202012Validator.check_schema(published)
    assert published["$id"] == f"urn:relationship-worker:schema:{name}:1"
    assert published["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert all(reference.startswith("#/$defs/") for reference in _references(published))


@each_schema
def test_a_schema_means_the_same_to_readers_of_draft_07(name: str) -> None:
    """AsyncAPI reads schemas as draft 07: nothing of what came later is used, but `$defs`, which is only pointed at."""
    later = {"dependentSchemas", "dependentRequired", "prefixItems", "unevaluatedProperties", "unevaluatedItems",
             "minContains", "maxContains", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef"}  # fmt: skip

    Draft7Validator.check_schema(schema(name))
    assert not later & _keywords(schema(name))
    assert all(len(part) == 1 for part in _parts(schema(name)) if "$ref" in part), (
        "draft 07 ignores what is beside $ref"
    )


def test_there_is_a_schema_for_every_event_and_none_besides() -> None:
    types = {*INPUTS, ORDER_ENRICHED, *OUTPUTS}

    assert set(schema_names()) == types | HEADERS | {STRUCTURED, "answer"}


@pytest.mark.parametrize("type_", sorted(set(INPUTS) - {"supplier.settings.changed"}))
def test_an_inputs_schema_has_the_fields_that_the_worker_reads(type_: str) -> None:
    published = shape(schema(type_), schema(type_))

    assert _plain(published) == _plain(shape_of_struct(INPUTS[type_]))


def test_the_settings_schema_has_the_settings() -> None:
    published = shape(schema("supplier.settings.changed"), schema("supplier.settings.changed"))

    assert set(published.fields) == {"supplier_id"} | {setting.name for setting in fields(Settings)}
    assert published.required == {"supplier_id"}
    assert all("null" in published.fields[setting.name].types for setting in fields(Settings)), (
        "null resets any of them"
    )


@pytest.mark.parametrize("type_", sorted(OUTPUTS))
def test_an_outputs_schema_says_what_its_model_says(type_: str) -> None:
    model = OUTPUTS[type_]
    said = model.model_json_schema(mode="serialization")
    published, written = shape(schema(type_), schema(type_)), shape(said, said)

    assert set(published.fields) == set(written.fields)
    assert published.required == written.required == set(written.fields), "whatever is told is always there"
    for name, told in written.fields.items():
        closely = issubclass(model, RelationshipTransition) and name in SAID_MORE_CLOSELY
        assert _says(published.fields[name], told, closely=closely), name


def test_the_answers_schema_says_what_its_model_says() -> None:
    published, written = shape(schema("answer"), schema("answer")), shape_of_struct(Answer)

    assert _plain(published) == _plain(written)
    assert published.fields["source"].values == set(Source)


@pytest.mark.parametrize("name", ["order.enriched", CORRECTED])
def test_an_order_event_repeats_the_answers_schema_as_it_is(name: str) -> None:
    assert schema(name)["$defs"]["answer"] == _without_id("answer")


def test_an_enriched_order_repeats_the_orders_schema_as_it_is() -> None:
    assert schema("order.enriched")["$defs"]["order"] == _without_id("marketplace.order.created")


def test_the_listed_codes_are_the_codes_of_the_worker() -> None:
    refused = schema("relationship.decision-refused")["properties"]

    assert refused["reason"]["x-known-values"] == list(Refusal)
    assert set(refused["decision_type"]["x-known-values"]) == REQUEST_TYPES | DECISION_TYPES
    assert set(refused["state"]["enum"]) == {*State, None}
    assert schema("dead-letter-headers")["properties"]["deadletter-reason"]["x-known-values"] == list(Reason)
    assert schema("order.customer-number-missing")["properties"]["reason"]["x-known-values"] == [
        PARTNER_WITHOUT_NUMBER,
        DEFAULT_MISSING,
    ]
    assert NOT_CAUGHT_UP in schema("answer")["properties"]["flags"]["items"]["x-known-values"]


def test_a_consumer_can_meet_a_new_code_and_a_new_field() -> None:
    told = {"supplier_id": "S", "customer_id": None, "order_id": "1", "reason": "a_code_of_tomorrow", "more": True}

    assert not violations("order.customer-number-missing", told)
    assert violations("order.customer-number-missing", told, codes_listed=True)


def _says(published: Shape, written: Shape, *, closely: bool) -> bool:
    if closely:
        listed = written.values is None or published.values is None or published.values <= written.values
        return published.types <= written.types and listed
    same_format = written.format is None or published.format == written.format
    return published.types == written.types and published.values in (None, written.values) and same_format


def _plain(told: Shape) -> object:
    """Names, types and what is required, all the way down: formats and values are said in the files alone."""
    if told.types == ANY:
        return "any"
    items = _plain(told.items) if told.items is not None else None
    return (told.types, told.required, {name: _plain(one) for name, one in told.fields.items()}, items)


def _without_id(name: str) -> dict[str, Any]:
    return {keyword: value for keyword, value in schema(name).items() if keyword not in ("$schema", "$id")}


def _parts(part: object) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [one for item in part for one in _parts(item)]
    if not isinstance(part, dict):
        return []
    return [part, *(one for value in part.values() for one in _parts(value))]


def _references(part: object) -> list[str]:
    return [one["$ref"] for one in _parts(part) if "$ref" in one]


def _keywords(part: object) -> set[str]:
    return {keyword for one in _parts(part) for keyword in one}
