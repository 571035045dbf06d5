"""How the worker reaches Kafka: the same for consumers, producers and the admin client."""

from dataclasses import dataclass
from typing import Any

from aiokafka import conn

from relationship_worker.kafka.access import IN_PLAIN_TEXT, Access

REQUEST_TIMEOUT_MS = 15_000  # a broker answers in milliseconds; a broker that restarts needs some seconds
READ_AHEAD_BYTES = (
    4 * 1024 * 1024
)  # some fetched partitions; the client's 64 KiB stop and resume the socket many times each

conn.READER_LIMIT = READ_AHEAD_BYTES


OUTBOX = "outbox"  # for people: the group's own topic, in no contract


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where Kafka is. `group`: the consumer group; `prefix` stands before every topic's name; `access`: who one is there."""

    bootstrap_servers: str
    group: str
    prefix: str = ""
    access: Access = IN_PLAIN_TEXT

    @property
    def where(self) -> str:
        """For people."""
        return f"Kafka at {self.bootstrap_servers}"

    def topic(self, name: str) -> str:
        """A topic's name on the broker."""
        return f"{self.prefix}{name}"

    def plain(self, topic: str) -> str:
        """A topic's name in the contract."""
        return OUTBOX if topic == self.outbox_topic else topic.removeprefix(self.prefix)

    @property
    def outbox_topic(self) -> str:
        """An empty topic: the group's assignment of its partitions says who relays which lane of the outbox, and the
        group's committed offset on it says up to which number the lane was told."""
        return f"{self.prefix}{self.group}.outbox"

    def client_options(self) -> dict[str, Any]:
        """What every client of aiokafka is given."""
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            **self.access.options(),
        }
