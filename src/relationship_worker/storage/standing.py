"""What waits in the database, for whoever watches over it: numbers and times alone, nothing of anybody's data."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from relationship_worker.storage.database import Tx, rows

NEEDED = ("fsync", "full_page_writes", "synchronous_commit")  # off: a crash of the server forgets what was committed


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What is on its way. `outbox`: messages by lane; `unsafe`: settings of the server that break the promises."""

    outbox: dict[int, int]
    corrections: int
    facts: int
    held: int  # relationships, and suppliers' settings
    next_reminder: datetime | None
    unsafe: Sequence[str]


class OpenRequests(msgspec.Struct, frozen=True, kw_only=True):
    """Open requests in one state. `dated`: a day is agreed."""

    state: str
    dated: bool
    count: int
    oldest: datetime


async def waiting(tx: Tx) -> Waiting:
    """Costs a millisecond, unless facts pile up."""
    [row] = await rows(
        tx,
        """SELECT (SELECT coalesce(sum(last - told), 0)::bigint FROM correction_lanes) AS corrections,
                  (SELECT count(*) FROM new_facts) AS facts, (SELECT count(*) FROM holds) AS held,
                  (SELECT min(due_at) FROM deferrals) AS next_reminder,
                  ARRAY(SELECT name FROM unnest(CAST(:needed AS text[])) AS name WHERE current_setting(name) = 'off')
                      AS unsafe""",
        {"needed": list(NEEDED)},
    )
    lanes = await rows(  # the first number is looked for by index; a backlog is not counted row by row
        tx,
        """SELECT l.lane, coalesce(l.last - first.number + 1, 0) AS messages
           FROM outbox_lanes l
           LEFT JOIN LATERAL (SELECT number FROM outbox o WHERE o.lane = l.lane ORDER BY number LIMIT 1) first ON true""",
    )
    return Waiting(
        outbox={lane.lane: lane.messages for lane in lanes},
        corrections=row.corrections,
        facts=row.facts,
        held=row.held,
        next_reminder=row.next_reminder,
        unsafe=row.unsafe,
    )


async def open_requests(tx: Tx) -> list[OpenRequests]:
    """By state, and whether a day is agreed. Looks at every open request: not to be asked every second."""
    found = await rows(
        tx,
        """SELECT state, resubmission_date IS NOT NULL AS dated, count(*) AS count, min(open_since) AS oldest
           FROM relationships WHERE open_since IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2""",
    )
    return [OpenRequests(state=row.state, dated=row.dated, count=row.count, oldest=row.oldest) for row in found]


async def parked(tx: Tx) -> int:
    """Decisions that wait for their request; looks at each."""
    [row] = await rows(tx, "SELECT count(*) AS count FROM parked")
    return int(row.count)
