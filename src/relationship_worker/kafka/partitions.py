"""Which partition of an output topic a message goes to."""

from collections.abc import Mapping
from functools import lru_cache

from aiokafka.partitioner import murmur2

from relationship_worker.messages.outgoing import Message


@lru_cache(maxsize=65_536)  # keys come again; the hash is pure Python and takes 10 µs
def partition_of(key: bytes, count: int) -> int:
    """The partition that Kafka's default partitioner gives a key: the same as for any other producer."""
    return int((murmur2(key) & 0x7FFFFFFF) % count)


class Partitioner:
    """Gives every message its partition."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        """`counts`: partitions by topic (its name in the contract)."""
        self._counts = counts

    def count(self, topic: str) -> int:
        """The partitions of a topic."""
        return self._counts[topic]

    def place(self, message: Message, like: int = 0) -> int:
        """By the key; where the message has a partition of its own or no key, that of an input's partition `like`."""
        count = self._counts[message.topic]
        if message.partition is not None:
            return message.partition % count
        if message.key is None:
            return like % count
        return partition_of(message.key, count)
