"""Requests that the client does not know, or only in versions that ask for less: of transactions, and of what is left of them.

Source: https://kafka.apache.org/protocol.html
"""

import struct
from io import BytesIO

from aiokafka import TopicPartition
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
    UnsignedVarInt32,
)

Places = dict[str, list[int]]
"""Partitions by topic."""

_TAGS = ("tags", TaggedFields)
_NAME = ("name", CompactString("utf-8"))
_ASKED = ("topics", CompactArray(_NAME, ("partition_indexes", CompactArray(Int32)), _TAGS))


def _told(*fields: object) -> tuple[str, CompactArray]:
    """What an answer has of each partition, by topic."""
    of_partition = CompactArray(("partition_index", Int32), *fields, _TAGS)
    return ("topics", CompactArray(_NAME, ("partitions", of_partition), _TAGS))


def raise_for(code: int, of: str) -> None:
    """Raises the KafkaError of an error code, and nothing where it is 0. `of`: what was asked about."""
    error = for_code(code)
    if error is not NoError:
        raise error(of)


class _ActiveProducers:
    """Id, and where its open transaction begins (-1: none is open). Read in one go: there may be thousands."""

    _ONE = struct.Struct(">q20xqx")  # id; epoch, sequence, time, coordinator's epoch; begin; no tags

    @classmethod
    def decode(cls, data: BytesIO) -> list[tuple[int, int]]:
        count = UnsignedVarInt32.decode(data) - 1
        return [(one, began) for one, began in cls._ONE.iter_unpack(data.read(count * cls._ONE.size))]


class _DescribeProducersResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        _told(
            ("error_code", Int16),
            ("error_message", CompactString("utf-8")),
            ("active_producers", _ActiveProducers),
        ),
        _TAGS,
    )


class _DescribeProducersRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 61
    API_VERSION = 0
    RESPONSE_TYPE = _DescribeProducersResponse
    SCHEMA = Schema(
        _ASKED,
        _TAGS,
    )


class DescribeProducers(Request[_DescribeProducersRequest]):  # type: ignore[misc]
    API_KEY = 61

    def __init__(self, places: Places) -> None:
        self._places = places

    def build(self, request_struct_class: type[_DescribeProducersRequest]) -> _DescribeProducersRequest:
        return request_struct_class([(topic, some, {}) for topic, some in self._places.items()], {})


class _DescribeTransactionsResponse(Response):  # type: ignore[misc]
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transactions",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", CompactString("utf-8")),
                ("state", CompactString("utf-8")),
                ("timeout_ms", Int32),
                ("start_time_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                (
                    "topics",
                    CompactArray(
                        ("topic", CompactString("utf-8")),
                        ("partitions", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeTransactionsRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = _DescribeTransactionsResponse
    SCHEMA = Schema(("transactional_ids", CompactArray(CompactString("utf-8"))), _TAGS)


class DescribeTransactions(Request[_DescribeTransactionsRequest]):  # type: ignore[misc]
    API_KEY = 65

    def __init__(self, transactional_id: str) -> None:
        self._transactional_id = transactional_id

    def build(self, request_struct_class: type[_DescribeTransactionsRequest]) -> _DescribeTransactionsRequest:
        return request_struct_class([self._transactional_id], {})


class _OffsetFetchResponse(Response):  # type: ignore[misc]
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        _told(
            ("committed_offset", Int64),
            ("committed_leader_epoch", Int32),
            ("metadata", CompactString("utf-8")),
            ("error_code", Int16),
        ),
        ("error_code", Int16),
        _TAGS,
    )


class _OffsetFetchRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = _OffsetFetchResponse
    SCHEMA = Schema(
        ("group_id", CompactString("utf-8")),
        _ASKED,
        ("require_stable", Boolean),
        _TAGS,
    )


class FetchStableOffset(Request[_OffsetFetchRequest]):  # type: ignore[misc]
    """The client's own asks for positions that are not stable, and can't ask otherwise."""

    API_KEY = 9

    def __init__(self, group: str, place: TopicPartition) -> None:
        self._group, self._place = group, place

    def build(self, request_struct_class: type[_OffsetFetchRequest]) -> _OffsetFetchRequest:
        return request_struct_class(self._group, [(self._place.topic, [self._place.partition], {})], True, {})
