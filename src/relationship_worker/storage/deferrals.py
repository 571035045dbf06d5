"""Live deferrals with a resubmission date, until their reminder is told."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from relationship_worker.domain.resubmission import due_at
from relationship_worker.domain.supplier import Settings
from relationship_worker.storage.database import Tx, rows, run
from relationship_worker.storage.records import HeaderList, pack_headers, unpack_headers
from relationship_worker.storage.relationships import Pair


@dataclass(frozen=True, kw_only=True)
class Deferral:
    """A deferral that waits for its day. `deferred_at`: when it counts from; `trace`: of the event that deferred."""

    pair: Pair
    version: int
    due_on: date
    due_at: datetime
    deferred_at: datetime
    reason: str | None
    event_key: bytes
    event_id: str
    event_source: str
    trace: HeaderList


async def remember(tx: Tx, deferrals: Sequence[Deferral]) -> None:
    """Keep deferrals; a relationship has one at the most, the newest. The relationships must be locked."""
    for deferral in deferrals:
        await run(
            tx,
            """INSERT INTO deferrals (supplier_id, customer_id, version, due_on, due_at, deferred_at, reason, event_key,
                                      event_id, event_source, trace)
               VALUES (:supplier, :customer, :version, :due_on, :due_at, :deferred_at, :reason, :event_key, :event_id,
                       :event_source, :trace)""",
            {
                "supplier": deferral.pair[0],
                "customer": deferral.pair[1],
                "version": deferral.version,
                "due_on": deferral.due_on,
                "due_at": deferral.due_at,
                "deferred_at": deferral.deferred_at,
                "reason": deferral.reason,
                "event_key": deferral.event_key,
                "event_id": deferral.event_id,
                "event_source": deferral.event_source,
                "trace": pack_headers(deferral.trace),
            },
        )


async def forget(tx: Tx, pairs: Collection[Pair]) -> None:
    """Void the deferrals of these relationships, or mark them as told: either way no reminder comes of them any more."""
    ordered = sorted(pairs)
    await run(
        tx,
        """DELETE FROM deferrals d
           USING unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[])) AS pair (s, c)
           WHERE d.supplier_id = pair.s AND d.customer_id = pair.c""",
        {"suppliers": [s for s, _ in ordered], "customers": [c for _, c in ordered]},
    )


async def relationships_due(tx: Tx, *, now: datetime, limit: int) -> list[Pair]:
    """Relationships whose deferral is due, the longest due first. Nothing is locked: look again under their lock."""
    found = await rows(
        tx,
        "SELECT supplier_id, customer_id FROM deferrals WHERE due_at <= :now ORDER BY due_at LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [(row.supplier_id, row.customer_id) for row in found]


async def due_of(tx: Tx, pairs: Collection[Pair], *, now: datetime) -> list[Deferral]:
    """The deferrals of these relationships that are due. The relationships must be locked."""
    ordered = sorted(pairs)
    found = await rows(
        tx,
        """SELECT d.* FROM deferrals d
           JOIN unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[])) AS pair (s, c)
             ON d.supplier_id = pair.s AND d.customer_id = pair.c
           WHERE d.due_at <= :now ORDER BY d.due_at, d.supplier_id, d.customer_id""",
        {"suppliers": [s for s, _ in ordered], "customers": [c for _, c in ordered], "now": now},
    )
    return [_read(row) for row in found]


async def move(tx: Tx, supplier_id: str, settings: Settings) -> None:
    """Compute anew when the supplier's reminders are due. The supplier must be locked for a change."""
    found = await rows(
        tx, "SELECT DISTINCT due_on FROM deferrals WHERE supplier_id = :supplier", {"supplier": supplier_id}
    )
    days = [row.due_on for row in found]
    await run(
        tx,
        """UPDATE deferrals SET due_at = t.due_at
           FROM unnest(CAST(:days AS date[]), CAST(:instants AS timestamptz[])) AS t (due_on, due_at)
           WHERE deferrals.supplier_id = :supplier AND deferrals.due_on = t.due_on""",
        {"supplier": supplier_id, "days": days, "instants": list(_instants(days, settings))},
    )


def _instants(days: Iterable[date], settings: Settings) -> Iterable[datetime]:
    return (due_at(day, time_zone=settings.time_zone, reminder_time=settings.reminder_time) for day in days)


async def suppliers_with_deferrals(tx: Tx) -> list[str]:
    """Whose reminders would move if the zones' rules changed."""
    return [
        row.supplier_id for row in await rows(tx, "SELECT DISTINCT supplier_id FROM deferrals ORDER BY supplier_id")
    ]


def _read(row: Any) -> Deferral:
    return Deferral(
        pair=(row.supplier_id, row.customer_id),
        version=row.version,
        due_on=row.due_on,
        due_at=row.due_at,
        deferred_at=row.deferred_at,
        reason=row.reason,
        event_key=row.event_key,
        event_id=row.event_id,
        event_source=row.event_source,
        trace=unpack_headers(row.trace),
    )
