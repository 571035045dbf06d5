"""Topics of a test's own, on the stack that all tests share."""

import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from relationship_worker.kafka.connection import Connection
from relationship_worker.local.stack import Stack


@pytest_asyncio.fixture
async def kafka(stack: Stack, topic_prefix: str) -> Connection:
    """`in` with two partitions, and `out`."""
    made = Connection(
        bootstrap_servers=stack.kafka_bootstrap_servers, group=f"{topic_prefix}group", prefix=topic_prefix
    )
    admin = AIOKafkaAdminClient(**made.client_options())
    await admin.start()
    await admin.create_topics([NewTopic(made.topic(name), count, 1) for name, count in (("in", 2), ("out", 1))])
    await admin.close()
    return made
