"""What people did about dead letters: who edited, replayed or discarded which, when and why."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from relationship_worker.messages.dead_letters import Place
from relationship_worker.storage.database import Tx, rows, run
from relationship_worker.storage.records import HeaderList, pack_headers, unpack_headers


class Act(StrEnum):
    """What was done."""

    EDITED = "edited"  # the letter itself stays as it is
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, kw_only=True)
class Done:
    """One act. `letter_at`: when the letter was set aside; `value` and `headers` are those of an edited record."""

    place: Place
    letter_at: datetime
    act: Act
    at: datetime
    by: str
    why: str | None
    value: bytes | None = None
    headers: HeaderList | None = None


async def lock(tx: Tx) -> None:
    """Whoever acts on dead letters acts alone, so that none is replayed twice, or replayed and discarded."""
    await run(tx, "SELECT pg_advisory_xact_lock(hashtext('relationship-worker:dead letters'))")


async def note(tx: Tx, acts: Sequence[Done]) -> None:
    """Append acts. Call `lock` first, and look whether they are still to be done."""
    await run(
        tx,
        """INSERT INTO dead_letter_acts (topic, partition, "offset", letter_at, act, at, by_whom, why, value, headers)
           SELECT topic, partition, "offset", letter_at, act, at, by_whom, why, value, headers
           FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]),
                       CAST(:letters_at AS timestamptz[]), CAST(:acts AS text[]), CAST(:at AS timestamptz[]),
                       CAST(:by AS text[]), CAST(:why AS text[]), CAST(:values AS bytea[]), CAST(:headers AS bytea[]))
                WITH ORDINALITY AS t (topic, partition, "offset", letter_at, act, at, by_whom, why, value, headers, i)
           ORDER BY i""",
        {
            **_places([one.place for one in acts]),
            "letters_at": [one.letter_at for one in acts],
            "acts": [one.act.value for one in acts],
            "at": [one.at for one in acts],
            "by": [one.by for one in acts],
            "why": [one.why for one in acts],
            "values": [one.value for one in acts],
            "headers": [None if one.headers is None else pack_headers(one.headers) for one in acts],
        },
    )


async def acts_on(tx: Tx, places: Collection[Place]) -> dict[Place, list[Done]]:
    """All acts on letters that came from these places, oldest first."""
    found = await rows(
        tx,
        """SELECT a.* FROM dead_letter_acts a
           JOIN unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[])) AS place (t, p, o)
             ON a.topic = place.t AND a.partition = place.p AND a."offset" = place.o
           ORDER BY a.number""",
        _places(list(places)),
    )
    done: dict[Place, list[Done]] = {}
    for one in map(_read, found):
        done.setdefault(one.place, []).append(one)
    return done


def _places(places: Sequence[Place]) -> dict[str, Any]:
    return {
        "topics": [place.topic for place in places],
        "partitions": [place.partition for place in places],
        "offsets": [place.offset for place in places],
    }


def _read(row: Any) -> Done:
    return Done(
        place=Place(topic=row.topic, partition=row.partition, offset=row.offset),
        letter_at=row.letter_at,
        act=Act(row.act),
        at=row.at,
        by=row.by_whom,
        why=row.why,
        value=row.value,
        headers=None if row.headers is None else unpack_headers(row.headers),
    )
