"""Inputs of which the domain said no, as long as the supplier may want to know why."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from relationship_worker.domain.relationship import Refusal, State
from relationship_worker.storage.database import Tx, rows, run
from relationship_worker.storage.relationships import Pair


class RefusedInput(msgspec.Struct, frozen=True, kw_only=True):
    """An input and the state and version that it met; of settings there is neither customer nor state."""

    supplier_id: str
    customer_id: str | None
    event_id: str
    event_source: str
    type: str
    reason: Refusal
    state: State | None
    version: int
    event_time: datetime
    recorded_at: datetime


async def remember(tx: Tx, refused: Sequence[RefusedInput]) -> None:
    """Append refusals, in this order."""
    await run(
        tx,
        """INSERT INTO refusals (supplier_id, customer_id, event_id, event_source, type, reason, state, version,
                                 event_time, recorded_at)
           SELECT t.* FROM unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[]), CAST(:event_ids AS text[]),
                                  CAST(:event_sources AS text[]), CAST(:types AS text[]), CAST(:reasons AS text[]),
                                  CAST(:states AS text[]), CAST(:versions AS int[]),
                                  CAST(:event_times AS timestamptz[]), CAST(:recorded AS timestamptz[])) AS t""",
        {
            "suppliers": [r.supplier_id for r in refused],
            "customers": [r.customer_id for r in refused],
            "event_ids": [r.event_id for r in refused],
            "event_sources": [r.event_source for r in refused],
            "types": [r.type for r in refused],
            "reasons": [r.reason.value for r in refused],
            "states": [r.state.value if r.state else None for r in refused],
            "versions": [r.version for r in refused],
            "event_times": [r.event_time for r in refused],
            "recorded": [r.recorded_at for r in refused],
        },
    )


async def newest_of(tx: Tx, pair: Pair, *, limit: int) -> list[RefusedInput]:
    """The relationship's newest refusals, in the order in which they were refused."""
    found = await rows(
        tx,
        """SELECT supplier_id, customer_id, event_id, event_source, type, reason, state, version, event_time, recorded_at
           FROM refusals WHERE supplier_id = :supplier AND customer_id = :customer ORDER BY number DESC LIMIT :limit""",
        {"supplier": pair[0], "customer": pair[1], "limit": limit},
    )
    return [msgspec.convert(row._asdict(), RefusedInput, builtin_types=(datetime,)) for row in reversed(found)]
