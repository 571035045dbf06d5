"""What a strict reader stumbles over and the contract passes on: lone surrogates, repeated keys, deep nesting."""

import sys
from collections.abc import Iterator

import pytest

from builders import ORDER_CREATED, STRUCTURED, an_event, structured
from relationship_worker.messages.envelope import InvalidMessage, Reason, open_envelope
from relationship_worker.messages.incoming import read_input
from relationship_worker.messages.orders import ORDER_TYPES, read_order


@pytest.mark.parametrize(
    ("members", "data"),
    [
        (b'"copy":{"a":"\\u0000"},"data":{"a":"\\ud800"}', b'{"a":"\\ud800"}'),
        (b'"data":{"a":"\\ud800"},"copy":{"a":"\\u0000"}', b'{"a":"\\ud800"}'),
        (b'"copy":{"a":"\\ud800"},"data":{"a":"\\udc00"}', b'{"a":"\\udc00"}'),
        (b'"data":{"a":"\\ud800"},"data":{"a":"\\udc00"}', b'{"a":"\\udc00"}'),
        (b'"copy":{"a":"\\udbff"},"data": {"a":"\\uDBFF" } ', b'{"a":"\\uDBFF" }'),
    ],
)
def test_data_with_lone_surrogates_is_not_mixed_up_with_its_like(members: bytes, data: bytes):
    value = structured(None)[:-1] + b"," + members + b"}"

    assert open_envelope(STRUCTURED, value, ORDER_TYPES).data == data


@pytest.mark.parametrize(
    "profile",
    [
        '{"company_name":7,"company_name":"A"}',
        '{"address":{"city":7,"city":"B"}}',
        '{"address":7,"address":{"city":"B"}}',
        '{"contacts":[{"name":7,"name":"C"}]}',
    ],
)
def test_among_repeated_keys_within_a_profile_the_last_counts(profile: str):
    data = '{"supplier_id":"s-1","customer_id":"c-1","profile":' + profile + "}"

    assert read_input(an_event("marketplace.customer.profile-updated", data)).profile == profile


@pytest.mark.parametrize("profile", ['{"x":"\\ud800"}', '{"x":{"\\udc00":1},"company_name":"A"}'])
def test_a_lone_surrogate_in_an_unknown_field_of_a_profile_is_kept_as_it_was_told(profile: str):
    data = '{"supplier_id":"s-1","customer_id":"c-1","profile":' + profile + "}"

    assert read_input(an_event("marketplace.customer.profile-updated", data)).profile == profile


@pytest.fixture
def a_stack_as_deep_as_later_pythons_have() -> Iterator[None]:
    """Of 3.11 the recursion limit strikes first."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.parametrize("data", ['{"order_id":7,"x":' + "[" * 1_000 + "]" * 1_000 + "}", "[" * 1_000 + "]" * 1_000])
@pytest.mark.usefixtures("a_stack_as_deep_as_later_pythons_have")
def test_too_deep_comes_before_a_wrong_shape(data: str):
    with pytest.raises(InvalidMessage) as why:
        read_order(an_event(ORDER_CREATED, data))

    assert why.value.reason is Reason.INVALID_JSON


@pytest.mark.parametrize("attribute", [b'"subject":42', b'"dataschema":{}'])
def test_an_optional_attribute_of_the_wrong_type_is_an_invalid_event(attribute: bytes):
    value = structured("{}")[:-1] + b"," + attribute + b"}"

    with pytest.raises(InvalidMessage) as why:
        open_envelope(STRUCTURED, value, ORDER_TYPES)

    assert why.value.reason is Reason.INVALID_EVENT
