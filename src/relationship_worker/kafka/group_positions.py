"""How far a group has committed: the truth, or an error, but never "nothing" from a coordinator that does not know yet.

Since version 2 a coordinator that still loads its groups (a broker that has just started) answers with an error of the whole
and no partitions. The client looks at errors of partitions alone, and says that nothing was ever committed: whoever believes
it tells again what was told.

Source: https://kafka.apache.org/protocol.html#The_Messages_OffsetFetch
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import OffsetAndMetadata

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.transaction_requests import raise_for

PATIENCE = 30.0  # seconds; a coordinator that is away is found anew, or loads its groups, within some
PAUSE = 0.1  # seconds between two questions

Committed = dict[TopicPartition, OffsetAndMetadata]
"""Positions with their notes; of a partition without one: nothing was committed."""


async def committed(
    client: AIOKafkaConsumer | AIOKafkaAdminClient, group: str, places: Collection[TopicPartition]
) -> Committed:
    """What the group has committed of these partitions. Waits for a coordinator that can say it; raises KafkaError."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return await _asked(client._client, group, places)
        except KafkaError as why:
            if not why.retriable or time.monotonic() > end:
                raise
        await asyncio.sleep(PAUSE)


async def committed_now(kafka: Connection, group: str, place: TopicPartition) -> OffsetAndMetadata | None:
    """What it has committed of one partition, by a client of its own."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        return (await committed(admin, group, [place])).get(place)
    finally:
        await admin.close()


async def _asked(client: AIOKafkaClient, group: str, places: Collection[TopicPartition]) -> Committed:
    partitions: dict[str, list[int]] = defaultdict(list)
    for place in places:
        partitions[place.topic].append(place.partition)
    coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
    request = OffsetFetchRequest(group, list(partitions.items()))
    answer = await client.send(coordinator, request, group=ConnectionGroup.COORDINATION)
    raise_for(answer.error_code, group)
    found: Committed = {}
    for topic, told in answer.topics:
        for partition, offset, note, error in told:
            raise_for(error, topic)
            if offset >= 0:
                found[TopicPartition(topic, partition)] = OffsetAndMetadata(offset, note)
    return found
