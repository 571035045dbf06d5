"""Decisions that arrived before their request: kept as they came, until it arrives or the grace time is over."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relationship_worker.storage.database import Tx, rows, run
from relationship_worker.storage.records import HeaderList, pack_headers, unpack_headers
from relationship_worker.storage.relationships import Pair


@dataclass(frozen=True, kw_only=True)
class ParkedDecision:
    """A record as it came, with its coordinates. `topic` is the contract's name."""

    pair: Pair
    arrived_at: datetime
    event_key: bytes
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: HeaderList
    arrival: int = 0  # given by the database: a higher one arrived later


async def park(tx: Tx, decisions: Sequence[ParkedDecision]) -> None:
    """Keep decisions, in this order of arrival. Their relationships must be locked."""
    for decision in decisions:
        await run(
            tx,
            """INSERT INTO parked (supplier_id, customer_id, arrived_at, event_key, topic, partition, "offset", key,
                                   value, headers)
               VALUES (:supplier, :customer, :arrived_at, :event_key, :topic, :partition, :offset, :key, :value,
                       :headers)""",
            {
                "supplier": decision.pair[0],
                "customer": decision.pair[1],
                "arrived_at": decision.arrived_at,
                "event_key": decision.event_key,
                "topic": decision.topic,
                "partition": decision.partition,
                "offset": decision.offset,
                "key": decision.key,
                "value": decision.value,
                "headers": pack_headers(decision.headers),
            },
        )


async def parked_for(tx: Tx, pairs: Collection[Pair]) -> dict[Pair, list[ParkedDecision]]:
    """What waits for the requests of these relationships, in order of arrival. They must be locked."""
    ordered = sorted(pairs)
    found = await rows(
        tx,
        """SELECT p.* FROM parked p
           JOIN unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[])) AS pair (s, c)
             ON p.supplier_id = pair.s AND p.customer_id = pair.c
           ORDER BY p.arrival""",
        {"suppliers": [s for s, _ in ordered], "customers": [c for _, c in ordered]},
    )
    waiting: dict[Pair, list[ParkedDecision]] = {}
    for decision in map(_read, found):
        waiting.setdefault(decision.pair, []).append(decision)
    return waiting


async def count_for(tx: Tx, pair: Pair) -> int:
    """How many decisions wait for the request of this relationship; nothing is locked."""
    [row] = await rows(
        tx,
        "SELECT count(*) AS waiting FROM parked WHERE supplier_id = :supplier AND customer_id = :customer",
        {"supplier": pair[0], "customer": pair[1]},
    )
    return int(row.waiting)


async def relationships_with_overdue(tx: Tx, *, arrived_before: datetime, limit: int) -> set[Pair]:
    """Relationships for which a decision has waited too long. Nothing is locked: look again under their lock."""
    found = await rows(
        tx,
        """SELECT supplier_id, customer_id FROM parked WHERE arrived_at <= :before ORDER BY arrived_at LIMIT :limit""",
        {"before": arrived_before, "limit": limit},
    )
    return {(row.supplier_id, row.customer_id) for row in found}


async def forget(tx: Tx, decisions: Collection[ParkedDecision]) -> None:
    """They wait no longer."""
    await run(tx, "DELETE FROM parked WHERE arrival = ANY(:arrivals)", {"arrivals": [d.arrival for d in decisions]})


def _read(row: Any) -> ParkedDecision:
    return ParkedDecision(
        pair=(row.supplier_id, row.customer_id),
        arrived_at=row.arrived_at,
        event_key=row.event_key,
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        key=row.key,
        value=row.value,
        headers=unpack_headers(row.headers),
        arrival=row.arrival,
    )
