"""How far the group is, seen from outside: what was sent, what is committed, and what moved since."""

from collections import Counter
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from model.records import INPUT_TOPICS
from roads.driving import Road
from system.plan import PARTITIONS

Committed = dict[TopicPartition, int]


@dataclass
class Positions:
    """The group's positions on the input topics."""

    admin: AIOKafkaAdminClient
    road: Road
    sent: Counter[TopicPartition] = field(default_factory=Counter)

    async def committed(self) -> Committed | None:
        """None while Kafka can't say."""
        places = [
            TopicPartition(self.road.prefix + topic, partition)
            for topic in INPUT_TOPICS
            for partition in range(PARTITIONS)
        ]
        try:
            committed = await self.admin.list_consumer_group_offsets(self.road.group, partitions=places)
        except KafkaError:
            return None
        return {place: max(0, of.offset) for place, of in committed.items()}

    async def all_done(self) -> bool:
        """Whether the group has committed all that was sent."""
        done = await self.committed()
        return done is not None and all(done.get(place, 0) >= end for place, end in self.sent.items())

    async def have_moved(self, before: Committed) -> bool:
        """Whether every partition that had, or got, something to do since then is being worked on."""
        now = await self.committed()
        if now is None:
            return False
        waiting = [place for place, end in self.sent.items() if end > before.get(place, 0)]
        return bool(waiting) and all(now.get(place, 0) > before.get(place, 0) for place in waiting)
