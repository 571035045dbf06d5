"""A supplier's relationships in the order in which a desk takes them: what is overdue, what is open, the rest."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from relationship_worker.domain.relationship import State
from relationship_worker.storage.database import Tx, rows
from relationship_worker.storage.relationships import Pair

OPEN = (State.REQUESTED, State.DEFERRED)


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A relationship as it is now. `customer_number` is the partner's; nobody else has one that counts."""

    supplier_id: str
    customer_id: str
    state: State
    version: int
    valid_from: datetime
    customer_number: str | None
    previously_rejected: bool
    profile: str | None  # JSON, as last told
    assortment: str | None
    open_since: datetime | None
    resubmission_date: date | None


_LISTED = """supplier_id, customer_id, state, version, valid_from,
             CASE WHEN state = 'partner' THEN customer_number END AS customer_number, previously_rejected, profile,
             assortment, open_since, resubmission_date"""


async def relationship(tx: Tx, pair: Pair) -> Listed | None:
    """One relationship; None where nobody asked for it yet."""
    found = await rows(
        tx,
        f"""SELECT {_LISTED} FROM relationships
            WHERE supplier_id = :supplier AND customer_id = :customer AND state <> 'none'""",
        {"supplier": pair[0], "customer": pair[1]},
    )
    return _read(found)[0] if found else None


async def overdue(
    tx: Tx, supplier_id: str, *, by: date, after: tuple[date, str] | None, limit: int
) -> Sequence[Listed]:
    """Deferred requests whose day is not later than `by`, the longest overdue first."""
    day, customer = after or (date.min, "")
    found = await rows(
        tx,
        f"""SELECT {_LISTED} FROM relationships
            WHERE supplier_id = :supplier AND resubmission_date <= :by
              AND (resubmission_date, customer_id) > (CAST(:day AS date), :customer)
            ORDER BY resubmission_date, customer_id LIMIT :limit""",
        {"supplier": supplier_id, "by": by, "day": day, "customer": customer, "limit": limit},
    )
    return _read(found)


async def still_open(
    tx: Tx, supplier_id: str, states: Sequence[State], *, by: date, after: tuple[datetime, str] | None, limit: int
) -> Sequence[Listed]:
    """Open requests in these states that are not overdue, the oldest first. Each state by its index, then merged."""
    since, customer = after or (None, "")
    found = await rows(
        tx,
        f"""SELECT r.* FROM unnest(CAST(:states AS text[])) AS asked (state)
            CROSS JOIN LATERAL (
                SELECT {_LISTED} FROM relationships
                WHERE supplier_id = :supplier AND relationships.state = asked.state AND open_since IS NOT NULL
                  AND (open_since, customer_id) > (coalesce(CAST(:since AS timestamptz), '-infinity'), :customer)
                  AND (resubmission_date IS NULL OR resubmission_date > :by)
                ORDER BY open_since, customer_id LIMIT :limit) AS r
            ORDER BY r.open_since, r.customer_id LIMIT :limit""",
        {
            "supplier": supplier_id,
            "states": [state.value for state in states],
            "by": by,
            "since": since,
            "customer": customer,
            "limit": limit,
        },
    )
    return _read(found)


async def settled(tx: Tx, supplier_id: str, state: State, *, after: str, limit: int) -> Sequence[Listed]:
    """Relationships in a state in which nothing is open, by customer."""
    found = await rows(
        tx,
        f"""SELECT {_LISTED} FROM relationships
            WHERE supplier_id = :supplier AND state = :state AND open_since IS NULL AND customer_id > :after
            ORDER BY customer_id LIMIT :limit""",
        {"supplier": supplier_id, "state": state.value, "after": after, "limit": limit},
    )
    return _read(found)


def _read(found: Sequence[Any]) -> list[Listed]:
    return [msgspec.convert(row._asdict(), Listed, builtin_types=(datetime, date)) for row in found]
