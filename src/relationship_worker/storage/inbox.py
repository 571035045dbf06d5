"""The events of the relationship topics that are used up, so that the same one has no second effect."""

from collections.abc import Collection, Mapping
from datetime import datetime

from relationship_worker.storage import periods
from relationship_worker.storage.database import Tx, rows, run


async def use_up(tx: Tx, events: Mapping[bytes, bytes], *, now: datetime) -> dict[bytes, bytes]:
    """Remember the events (key: hash of the data). Returns those that were used up before, with the hash of then.

    Two transactions that bring the same event: the later one waits for the earlier one's end (unique key), and the keys
    are taken in order, so they can't wait for each other in a circle.
    """
    period = await periods.enter(tx)
    keys = sorted(events)
    new = await rows(
        tx,
        """INSERT INTO inbox (event_key, data_hash, received_at, period)
           SELECT key, hash, :now, :period
           FROM unnest(CAST(:keys AS bytea[]), CAST(:hashes AS bytea[])) AS event (key, hash)
           WHERE NOT EXISTS (SELECT FROM inbox o WHERE o.event_key = key AND o.period <> :period)
           ORDER BY key
           ON CONFLICT DO NOTHING RETURNING event_key""",
        {"keys": keys, "hashes": [events[key] for key in keys], "now": now, "period": period.now},
    )
    before = set(keys) - {row.event_key for row in new}
    if not before:
        return {}
    found = await rows(
        tx, "SELECT event_key, data_hash FROM inbox WHERE event_key = ANY(:keys)", {"keys": sorted(before)}
    )
    return {row.event_key: row.data_hash for row in found}


async def give_back(tx: Tx, keys: Collection[bytes]) -> None:
    """Forget events: a dead letter uses up no id."""
    await run(tx, "DELETE FROM inbox WHERE event_key = ANY(:keys)", {"keys": sorted(keys)})
