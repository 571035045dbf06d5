"""Reminders: a deferred request comes back to a person's attention on its day, once."""

import importlib.metadata
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker import metrics
from relationship_worker.kafka.partitions import Partitioner
from relationship_worker.messages.outgoing import Cause, Message, ReminderDue, event_message
from relationship_worker.roads.relay import Bell
from relationship_worker.storage import deferrals, notes, outbox, personal_data, relationships, suppliers
from relationship_worker.storage.database import alone, transaction
from relationship_worker.storage.deferrals import Deferral

log = structlog.get_logger()

BATCH = 500  # reminders in one transaction: a flood is told in pieces, and relationships stay locked for some 50 ms
TICK = 0.5  # seconds between two looks; a tenth of what a reminder may be late


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Takes what is due, under the same locks as decisions, into the outbox. One ticks at a time, on whichever worker."""

    database: AsyncEngine
    partitioner: Partitioner
    outbox_lanes: int
    bell: Bell

    async def run_once(self) -> int:
        """Tell what is due; how much that was. A deferral that was decided meanwhile is void and not told."""
        now = datetime.now(UTC)
        async with transaction(self.database) as tx:
            if not await alone(tx, "reminders"):
                return 0
            await personal_data.lock(tx)
            pairs = await deferrals.relationships_due(tx, now=now, limit=BATCH)
            if not pairs:
                return 0
            await suppliers.lock(tx, {supplier for supplier, _ in pairs})
            await relationships.lock(tx, pairs)
            due = await deferrals.due_of(tx, pairs, now=now)
            await deferrals.forget(tx, [deferral.pair for deferral in due])
            await outbox.post(tx, [self._reminder(deferral, now) for deferral in due], lanes=self.outbox_lanes)
        self.bell.ring()
        for deferral in due:
            metrics.REMINDERS.observe(max(0.0, (now - deferral.due_at).total_seconds()))
        log.info(
            "reminders", told=len(due), latest_seconds=max(0, int((now - due[0].due_at).total_seconds())) if due else 0
        )
        return len(due)

    def _reminder(self, deferral: Deferral, now: datetime) -> Message:
        event = ReminderDue(
            supplier_id=deferral.pair[0],
            customer_id=deferral.pair[1],
            version=deferral.version,
            due_on=deferral.due_on,
            due_at=deferral.due_at,
            deferred_at=deferral.deferred_at,
            late_seconds=max(0, int((now - deferral.due_at).total_seconds())),
            overdue=deferral.due_at <= deferral.deferred_at,
            reason=deferral.reason,
        )
        cause = Cause(
            deferral.event_key,
            deferral.event_id,
            deferral.event_source,
            tuple((name, text or b"") for name, text in deferral.trace),
        )
        message = event_message(event, cause, suffix=f"reminder-{deferral.version}", now=now)
        return message.to(self.partitioner.place(message))


async def follow_zone_rules(database: AsyncEngine) -> None:
    """Where the zones' rules are newer than those that open reminders were computed with: compute them anew."""
    rules = importlib.metadata.version("tzdata")
    async with transaction(database) as tx:
        if await notes.note(tx, notes.ZONE_RULES) == rules:
            return
        ids = await deferrals.suppliers_with_deferrals(tx)
        locked = await suppliers.lock(tx, ids, to_change=True)
        for supplier_id in ids:
            await deferrals.move(tx, supplier_id, locked[supplier_id].settings)
        await notes.write_note(tx, notes.ZONE_RULES, rules)
    log.info("reminders follow the zone rules", rules=rules, suppliers=len(ids))
