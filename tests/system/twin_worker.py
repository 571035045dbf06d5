"""A worker that takes every partition, whatever its group says: `python -m system.twin_worker run`.

As if the same worker had been started twice, each in the belief that it is the only one.
"""

import asyncio
import os
from collections.abc import Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from relationship_worker.cli import main

_tasks: list[asyncio.Task[None]] = []


def _take_all(self: AIOKafkaConsumer, topics: Collection[str] = (), pattern: Any = None, listener: Any = None) -> None:
    """Joins no group; positions are read and written in the group's name all the same."""
    partitions = range(int(os.environ["RELATIONSHIP_WORKER_PARTITIONS"]))
    places = [TopicPartition(topic, number) for topic in topics for number in partitions]
    self.assign(places)
    _tasks.append(asyncio.create_task(listener.on_partitions_assigned(set(places))))


if __name__ == "__main__":
    AIOKafkaConsumer.subscribe = _take_all
    main()
