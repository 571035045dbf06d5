"""Parked decisions: one whose request does not come in time is a dead letter, and its id may be used again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker import metrics
from relationship_worker.kafka.partitions import Partitioner
from relationship_worker.messages.envelope import InvalidMessage, Reason
from relationship_worker.messages.outgoing import Message, dead_letter
from relationship_worker.roads.relay import Bell
from relationship_worker.storage import inbox, outbox, parked, personal_data, relationships, suppliers
from relationship_worker.storage.database import alone, transaction
from relationship_worker.storage.parked import ParkedDecision

log = structlog.get_logger()

BATCH = 200  # decisions in one transaction
TICK = 1.0  # seconds between two looks; the grace time is hours


@dataclass(frozen=True, kw_only=True)
class GraceTime:
    """Gives up what has waited too long."""

    database: AsyncEngine
    partitioner: Partitioner
    outbox_lanes: int
    bell: Bell
    grace: timedelta

    async def run_once(self) -> int:
        """Give up decisions whose grace time is over; how many those were."""
        before = datetime.now(UTC) - self.grace
        async with transaction(self.database) as tx:
            if not await alone(tx, "parked decisions"):
                return 0
            await personal_data.lock(tx)
            pairs = await parked.relationships_with_overdue(tx, arrived_before=before, limit=BATCH)
            if not pairs:
                return 0
            await suppliers.lock(tx, {supplier for supplier, _ in pairs})
            await relationships.lock(tx, pairs)
            waiting = (await parked.parked_for(tx, pairs)).values()
            over = [decision for some in waiting for decision in some if decision.arrived_at <= before]
            await parked.forget(tx, over)
            await inbox.give_back(tx, {decision.event_key for decision in over})
            await outbox.post(tx, [self._dead_letter(decision) for decision in over], lanes=self.outbox_lanes)
        self.bell.ring()
        for decision in over:
            metrics.count_dead_letters(decision.topic, [Reason.UNKNOWN_RELATIONSHIP])
        log.info("parked decisions given up", count=len(over))
        return len(over)

    def _dead_letter(self, decision: ParkedDecision) -> Message:
        detail = "no request of this customer came in time"
        letter = dead_letter(
            InvalidMessage(Reason.UNKNOWN_RELATIONSHIP, detail),
            topic=decision.topic,
            partition=decision.partition,
            offset=decision.offset,
            key=decision.key,
            value=decision.value,
            headers=decision.headers,
            to_partition=decision.partition,
        )
        return letter.to(self.partitioner.place(letter, decision.partition))
