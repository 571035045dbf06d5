"""What was set aside: the letters that `dead-letters` holds, read without a group."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.time_span import Span, records_of
from relationship_worker.messages.dead_letters import Letter, read_letter
from relationship_worker.messages.outgoing import DEAD_LETTERS

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Letters:
    """Letters of one partition in order, and how much of the topic lies behind them by now."""

    letters: Sequence[Letter]
    done: int
    total: int


async def letters(kafka: Connection, *, since: datetime = BEGINNING) -> AsyncGenerator[Letters]:
    """Those that are there, each once. Records of others are passed over. Raises KafkaError, TopicsMissing."""
    async with aclosing(records_of(kafka, DEAD_LETTERS, Span(since=since))) as pieces:
        async for piece in pieces:
            found = []
            for record in piece.records:
                letter = read_letter(
                    record.key,
                    record.value,
                    record.headers,
                    at=datetime.fromtimestamp((record.sent_at or 0) / 1000, UTC),
                    lies_at=(record.partition, record.offset),
                )
                if letter is not None:
                    found.append(letter)
            yield Letters(letters=found, done=piece.done, total=piece.total)
