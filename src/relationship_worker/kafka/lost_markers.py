"""Transactions that Kafka calls complete, and has not ended everywhere: who opens a transactional id looks for them.

A coordinator leaves out the markers for partitions that have no leader at that moment, which is so for some milliseconds in a
broker that stops and is the last to hold them; then it calls the transaction complete. Its records stay undecided. They
are decided by the producer's next transaction, whichever way that one ends: half of the former may be told twice, or never.

Source: https://issues.apache.org/jira/browse/KAFKA-20734 (Kafka 4), https://kafka.apache.org/protocol.html
"""

import asyncio
import struct
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    LeaderNotAvailableError,
    NoError,
    NotCoordinatorError,
    NotLeaderForPartitionError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)
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

PAUSE = 0.02  # seconds between two tries, where a coordinator is about to know; the caller bounds how long
NOT_KNOWN = 105  # error code: nobody has opened the transactional id yet
UNDECIDED = 88  # error code: a transaction that is not ended has moved the position
PASSING = (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)


@dataclass(frozen=True, kw_only=True)
class Last:
    """The last transaction of an id, as its coordinator knows it."""

    state: str  # as Kafka calls it; empty where there was none
    timeout_ms: int
    producer: tuple[int, int]  # id and epoch

    @property
    def is_going_on(self) -> bool:
        """Begun, and not ended: opening the id aborts it."""
        return self.state == "Ongoing"

    @property
    def is_forgotten(self) -> bool:
        """The id was opened since, by which a coordinator forgets how the transaction ended."""
        return self.state == "Empty"

    @property
    def was_committed(self) -> bool:
        """Decided so, whether all know it or not."""
        return self.state in ("PrepareCommit", "CompleteCommit")


async def last(client: AIOKafkaClient, transactional_id: str) -> Last:
    """What is known of the last transaction. Raises KafkaError."""
    answer = await _answered(client, transactional_id, _DescribeTransactions(transactional_id), _of_described)
    [(_, _, state, timeout_ms, _, producer_id, epoch, *_)] = answer.transactions
    return Last(state=state or "", timeout_ms=timeout_ms, producer=(producer_id, epoch))


async def still_open(client: AIOKafkaClient, producer_id: int, topics: Collection[str]) -> list[TopicPartition]:
    """The partitions in which the producer has records that are undecided. Ask once its id is open and nothing is begun.

    Waits for leaders that move; the caller bounds how long. Raises KafkaError.
    """
    has_looked = await client.set_topics(topics)
    while True:
        try:
            if not has_looked:
                raise LeaderNotAvailableError("no broker says where the topics are")
            return [
                place
                for node, places in _by_leader(client, topics).items()
                for place in await _still_open_at(client, node, places, producer_id)
            ]
        except (LeaderNotAvailableError, NotLeaderForPartitionError):
            await asyncio.sleep(PAUSE)
            has_looked = await client.force_metadata_update()


Places = dict[str, list[int]]
"""Partitions by topic."""


def _by_leader(client: AIOKafkaClient, topics: Collection[str]) -> dict[int, Places]:
    places: dict[int, Places] = defaultdict(lambda: defaultdict(list))
    for topic in topics:
        known = client.cluster.partitions_for_topic(topic)
        if not known:
            raise UnknownTopicOrPartitionError(topic)
        for partition in sorted(known):
            leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
            if leader in (None, -1):
                raise LeaderNotAvailableError(topic)
            places[leader][topic].append(partition)
    return places


async def _still_open_at(client: AIOKafkaClient, node: int, places: Places, producer_id: int) -> list[TopicPartition]:
    answer = await client.send(node, _DescribeProducers(places))
    found = []
    for topic, partitions, _ in answer.topics:
        for partition, error, _, producers, _ in partitions:
            _raise_for(error, topic)
            if any(one == producer_id and began >= 0 for one, began in producers):
                found.append(TopicPartition(topic, partition))
    return found


async def is_position_open(client: AIOKafkaClient, group: str, place: TopicPartition) -> bool:
    """Whether a transaction has moved the group's position on a partition and is not ended there. Ask as for `still_open`.

    Raises KafkaError.
    """
    while True:
        try:
            coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
            answer = await client.send(coordinator, _FetchStableOffset(group, place))
            errors = [answer.error_code, *(error for _, some, _ in answer.topics for *_, error, _ in some)]
            if UNDECIDED in errors:
                return True
            for error in errors:
                _raise_for(error, group)
        except PASSING:
            await asyncio.sleep(PAUSE)
        else:
            return False


async def open_anew(client: AIOKafkaClient, transactional_id: str, timeout_ms: int) -> tuple[int, int]:
    """Open the id with another time-out, which its coordinator remembers: the producer's id and epoch. Raises KafkaError."""
    request = InitProducerIdRequest(transactional_id, timeout_ms)
    answer = await _answered(client, transactional_id, request, _of_all)
    return answer.producer_id, answer.producer_epoch


async def begin_to_end(
    client: AIOKafkaClient,
    transactional_id: str,
    producer: tuple[int, int],
    places: Collection[TopicPartition],
    group: str,
) -> None:
    """Begin a transaction without records: its markers decide all that lies before them in these places, and the group's
    position. `producer`: id and epoch. Raises KafkaError."""
    by = (transactional_id, *producer)
    if places:
        partitions: Places = defaultdict(list)
        for place in places:
            partitions[place.topic].append(place.partition)
        added = AddPartitionsToTxnRequest(*by, list(partitions.items()))
        await _answered(client, transactional_id, added, _of_partitions)
    await _answered(client, transactional_id, AddOffsetsToTxnRequest(*by, group), _of_all)


async def end(client: AIOKafkaClient, transactional_id: str, producer: tuple[int, int], *, commit: bool) -> None:
    """End what was begun. The markers are written once the id can be opened again. Raises KafkaError."""
    await _answered(client, transactional_id, EndTxnRequest(transactional_id, *producer, commit), _of_all)


ErrorCode = Callable[[Any], int]
"""The error of an answer; 0 for none."""


async def _answered(client: AIOKafkaClient, transactional_id: str, request: Any, error_of: ErrorCode) -> Any:
    """What the id's coordinator says, once it can."""
    while True:
        try:
            coordinator = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
            answer = await client.send(coordinator, request)
            _raise_for(error_of(answer), transactional_id)
        except PASSING:
            await asyncio.sleep(PAUSE)
        else:
            return answer


def _of_all(answer: Any) -> int:
    return int(answer.error_code)


def _of_partitions(answer: Any) -> int:
    return next((error for _, partitions in answer.errors for _, error in partitions if error), 0)


def _of_described(answer: Any) -> int:
    [described] = answer.transactions
    return 0 if described[0] == NOT_KNOWN else int(described[0])


def _raise_for(code: int, of: str) -> None:
    error = for_code(code)
    if error is not NoError:
        raise error(of)


class _ActiveProducers(AbstractType[list[tuple[int, int]]]):  # type: ignore[misc]
    """Id, and where its open transaction begins (-1: none is open). Read in one go: there may be thousands."""

    _ONE = struct.Struct(">q20xqx")  # id; epoch, sequence, time, coordinator's epoch; begin; no tags

    @classmethod
    def decode(cls, data: BytesIO) -> list[tuple[int, int]]:
        count = UnsignedVarInt32.decode(data) - 1
        return [(one, began) for one, began in cls._ONE.iter_unpack(data.read(count * cls._ONE.size))]

    @classmethod
    def encode(cls, value: list[tuple[int, int]]) -> bytes:
        raise NotImplementedError("only brokers write it")


class _DescribeProducersResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition_index", Int32),
                        ("error_code", Int16),
                        ("error_message", CompactString("utf-8")),
                        ("active_producers", _ActiveProducers),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeProducersRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 61
    API_VERSION = 0
    RESPONSE_TYPE = _DescribeProducersResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("partition_indexes", CompactArray(Int32)),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeProducers(Request[_DescribeProducersRequest]):  # type: ignore[misc]
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
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeTransactionsRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = _DescribeTransactionsResponse
    SCHEMA = Schema(("transactional_ids", CompactArray(CompactString("utf-8"))), ("tags", TaggedFields))


class _DescribeTransactions(Request[_DescribeTransactionsRequest]):  # type: ignore[misc]
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
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition_index", Int32),
                        ("committed_offset", Int64),
                        ("committed_leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        ("error_code", Int16),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("error_code", Int16),
        ("tags", TaggedFields),
    )


class _OffsetFetchRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = _OffsetFetchResponse
    SCHEMA = Schema(
        ("group_id", CompactString("utf-8")),
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("partition_indexes", CompactArray(Int32)),
                ("tags", TaggedFields),
            ),
        ),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class _FetchStableOffset(Request[_OffsetFetchRequest]):  # type: ignore[misc]
    """The client's own asks for positions that are not stable, and can't ask otherwise."""

    API_KEY = 9

    def __init__(self, group: str, place: TopicPartition) -> None:
        self._group, self._place = group, place

    def build(self, request_struct_class: type[_OffsetFetchRequest]) -> _OffsetFetchRequest:
        return request_struct_class(self._group, [(self._place.topic, [self._place.partition], {})], True, {})
