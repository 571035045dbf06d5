"""What Kafka says of topics and groups, and what one may do with each: the client does not ask for the latter."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

_GROUP, _TRANSACTION = 0, 1  # kinds of coordinators


@dataclass(frozen=True)
class Topic:
    """`partitions`: None where there is no such topic. `operations`: bits, by Kafka's numbers of operations."""

    partitions: int | None
    operations: int


async def topics(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, Topic]:
    """Of each of these; one that may not even be seen is left out. Makes none. Raises KafkaError."""
    response = await admin._send_request(_MetadataRequest(list(names)))
    found = {}
    for error, name, _, partitions, operations in response.topics:
        if error == TopicAuthorizationFailedError.errno:
            continue
        if error == UnknownTopicOrPartitionError.errno:
            found[name] = Topic(None, operations)
        elif error and not partitions:
            raise for_code(error)(name)
        else:
            found[name] = Topic(len(partitions), operations)
    return found


async def group_operations(admin: AIOKafkaAdminClient, group: str) -> int | None:
    """Bits, as of topics; None where the group may not even be seen. Raises KafkaError."""
    try:
        node = await admin.find_coordinator(group, _GROUP)
        response = await admin._send_request(_DescribeGroupsRequest([group]), node)
    except GroupAuthorizationFailedError:
        return None
    [(error, *_, operations)] = response.groups
    if error == GroupAuthorizationFailedError.errno:
        return None
    if error:
        raise for_code(error)(group)
    return int(operations)


async def may_see_transactions(admin: AIOKafkaAdminClient, transactional_id: str) -> bool:
    """Whether there is a right at all on this id; which one, Kafka does not say. Raises KafkaError."""
    try:
        await admin.find_coordinator(transactional_id, _TRANSACTION)
    except TransactionalIdAuthorizationFailed:
        return False
    return True


class _MetadataResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8")))),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataRequest_v8(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _MetadataRequest(Request[_MetadataRequest_v8]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._names, False, False, True)


class _DescribeGroupsRequest_v3(RequestStruct):  # type: ignore[misc]
    """The client's own reads the answer as that of the version before, in which the operations were not."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class _DescribeGroupsRequest(Request[_DescribeGroupsRequest_v3]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._groups, True)
