"""Transactions that Kafka calls complete, and has not ended everywhere: who opens a transactional id looks for them.

A coordinator leaves out the markers for partitions that have no leader at that moment, which is so for some milliseconds in a
broker that stops and is the last to hold them; then it calls the transaction complete. Its records stay undecided. They
are decided by the producer's next transaction, whichever way that one ends: half of the former may be told twice, or never.

Source: https://issues.apache.org/jira/browse/KAFKA-20734 (Kafka 4), https://kafka.apache.org/protocol.html
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    LeaderNotAvailableError,
    NotCoordinatorError,
    NotLeaderForPartitionError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)

from relationship_worker.kafka.transaction_requests import (
    DescribeProducers,
    DescribeTransactions,
    FetchStableOffset,
    Places,
    raise_for,
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
    answer = await _answered(client, transactional_id, DescribeTransactions(transactional_id), _of_described)
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
    answer = await client.send(node, DescribeProducers(places))
    found = []
    for topic, partitions, _ in answer.topics:
        for partition, error, _, producers, _ in partitions:
            raise_for(error, topic)
            if any(one == producer_id and began >= 0 for one, began in producers):
                found.append(TopicPartition(topic, partition))
    return found


async def is_position_open(client: AIOKafkaClient, group: str, place: TopicPartition) -> bool:
    """Whether a transaction has moved the group's position on a partition and is not ended there. Ask as for `still_open`.

    Raises KafkaError.
    """
    answer = await _answered(client, group, FetchStableOffset(group, place), _but_undecided, of=CoordinationType.GROUP)
    return UNDECIDED in _of_positions(answer)


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


async def _answered(
    client: AIOKafkaClient,
    key: str,
    request: Any,
    error_of: ErrorCode,
    of: CoordinationType = CoordinationType.TRANSACTION,
) -> Any:
    """What the coordinator of a transactional id, or of a group, says once it can."""
    while True:
        try:
            answer = await client.send(await client.coordinator_lookup(of, key), request)
            raise_for(error_of(answer), key)
        except PASSING:
            await asyncio.sleep(PAUSE)
        else:
            return answer


def _of_all(answer: Any) -> int:
    return int(answer.error_code)


def _of_partitions(answer: Any) -> int:
    return next((error for _, partitions in answer.errors for _, error in partitions if error), 0)


def _of_positions(answer: Any) -> list[int]:
    return [answer.error_code, *(error for _, some, _ in answer.topics for *_, error, _ in some)]


def _but_undecided(answer: Any) -> int:
    errors = _of_positions(answer)
    return 0 if UNDECIDED in errors else next(filter(None, errors), 0)


def _of_described(answer: Any) -> int:
    [described] = answer.transactions
    return 0 if described[0] == NOT_KNOWN else int(described[0])
