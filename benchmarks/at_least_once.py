"""The worker without Kafka transactions: what exactly once costs. For the benchmark alone; it keeps no promise."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaProducer, TopicPartition

from relationship_worker import app, cli
from relationship_worker.kafka import transactions
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.lanes import Lane
from relationship_worker.kafka.produce_requests import send_our_way
from relationship_worker.kafka.transactions import Place, Transactions
from relationship_worker.messages.outgoing import MAX_MESSAGE_BYTES, Message


class AtLeastOnce(Transactions):
    """Sends first, and commits the position after that."""

    def __init__(self, kafka: Connection, lane: Lane) -> None:
        super().__init__(kafka, lane.place)
        self._lane = lane

    async def open(self) -> None:
        """A producer without transactions."""
        await self.close()
        send_our_way()
        self._producer = AIOKafkaProducer(
            **self._kafka.client_options(),
            max_batch_size=transactions.BATCH_BYTES,
            max_request_size=MAX_MESSAGE_BYTES + transactions.BATCH_BYTES,
            acks="all",
        )
        await self._producer.start()

    async def begin(
        self, positions: Mapping[TopicPartition, int], *, note: str = "", places: Collection[Place] = ()
    ) -> None:
        """Nothing to begin."""
        self._began = time.perf_counter()
        self._positions = positions

    async def _tell(
        self,
        producer: AIOKafkaProducer,
        messages: Iterable[tuple[Message, int]],
        records: Mapping[Place, Sequence[bytes]],
    ) -> None:
        await self._send(producer, messages, records)
        for position in self._positions.values():
            await self._lane.commit(position)


if __name__ == "__main__":
    app.Worker._transactions = lambda worker, lane: AtLeastOnce(worker._kafka, lane)  # type: ignore[method-assign]
    cli.main()
