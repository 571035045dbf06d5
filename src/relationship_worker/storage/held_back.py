"""What is held back: the inputs of a relationship behind one on which the worker itself failed, until a person has acted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from relationship_worker.messages.dead_letters import Place
from relationship_worker.storage.database import Tx, rows, run
from relationship_worker.storage.records import HeaderList, pack_headers, unpack_headers
from relationship_worker.storage.relationships import Pair

SETTINGS = ""  # stands for the customer where a supplier's settings are held back


class Step(StrEnum):
    """How far a hold is."""

    WAITS = "waits"  # for a person
    REPLAY = "replay"  # is asked for
    FOLLOW = "follow"  # the dead letter is replayed or discarded: what waited behind it goes on


@dataclass(frozen=True, kw_only=True)
class HeldInput:
    """A record as it came. `event_key` is None where no id is used up."""

    pair: Pair
    place: Place
    key: bytes | None
    value: bytes | None
    headers: HeaderList
    event_key: bytes | None
    arrival: int = 0  # given by the database: a higher one arrived later


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A relationship that is held, and by which dead letter. `behind`: how many inputs wait for it."""

    pair: Pair
    since: datetime
    place: Place
    step: Step
    asked_by: str | None
    asked_why: str | None
    said: str | None
    behind: int


async def held(tx: Tx, pairs: Collection[Pair]) -> set[Pair]:
    """Which of these are held. Stays true to the end of the transaction under `personal_data.lock`: whoever holds back
    or lets go has that lock alone."""
    ordered = sorted(pairs)
    found = await rows(
        tx,
        """SELECT h.supplier_id, h.customer_id FROM holds h
           JOIN unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[])) AS pair (s, c)
             ON h.supplier_id = pair.s AND h.customer_id = pair.c""",
        {"suppliers": [s for s, _ in ordered], "customers": [c for _, c in ordered]},
    )
    return {(row.supplier_id, row.customer_id) for row in found}


async def hold(tx: Tx, failed: HeldInput, *, now: datetime) -> None:
    """From now on the relationship is held by this record."""
    await run(
        tx,
        """INSERT INTO holds (supplier_id, customer_id, since, topic, partition, "offset")
           VALUES (:supplier, :customer, :now, :topic, :partition, :offset)""",
        {**_of(failed.pair), **_at(failed.place), "now": now},
    )
    await keep(tx, [failed], now=now)


async def keep(tx: Tx, inputs: Sequence[HeldInput], *, now: datetime) -> None:
    """Keep records of held relationships, in this order of arrival."""
    await run(
        tx,
        """INSERT INTO held_inputs (supplier_id, customer_id, held_at, event_key, topic, partition, "offset", key, value,
                                    headers)
           SELECT s, c, :now, event_key, topic, partition, "offset", key, value, headers
           FROM unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[]), CAST(:event_keys AS bytea[]),
                       CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]),
                       CAST(:keys AS bytea[]), CAST(:values AS bytea[]), CAST(:headers AS bytea[]))
                WITH ORDINALITY AS t (s, c, event_key, topic, partition, "offset", key, value, headers, i)
           ORDER BY i""",
        {
            "now": now,
            "suppliers": [one.pair[0] for one in inputs],
            "customers": [one.pair[1] for one in inputs],
            "event_keys": [one.event_key for one in inputs],
            "topics": [one.place.topic for one in inputs],
            "partitions": [one.place.partition for one in inputs],
            "offsets": [one.place.offset for one in inputs],
            "keys": [one.key for one in inputs],
            "values": [one.value for one in inputs],
            "headers": [pack_headers(one.headers) for one in inputs],
        },
    )


_HOLDS = """SELECT h.*, (SELECT count(*) FROM held_inputs i
                         WHERE i.supplier_id = h.supplier_id AND i.customer_id = h.customer_id
                               AND (i.topic, i.partition, i."offset") <> (h.topic, h.partition, h."offset")) AS behind
            FROM holds h"""


async def next_to_go_on(tx: Tx) -> Hold | None:
    """The oldest hold about which a person has acted; nothing is locked."""
    found = await rows(tx, f"{_HOLDS} WHERE h.step <> 'waits' ORDER BY h.since LIMIT 1")
    return _hold(found[0]) if found else None


async def of_relationship(tx: Tx, pair: Pair) -> Hold | None:
    """The hold of a relationship."""
    found = await rows(tx, f"{_HOLDS} WHERE h.supplier_id = :supplier AND h.customer_id = :customer", _of(pair))
    return _hold(found[0]) if found else None


async def by_place(tx: Tx, places: Collection[Place]) -> dict[Place, Hold]:
    """The holds of dead letters that came from these places."""
    ordered = list(places)
    found = await rows(
        tx,
        f"""{_HOLDS} JOIN unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]))
                          AS place (t, p, o) ON h.topic = place.t AND h.partition = place.p AND h."offset" = place.o""",
        {
            "topics": [place.topic for place in ordered],
            "partitions": [place.partition for place in ordered],
            "offsets": [place.offset for place in ordered],
        },
    )
    return {one.place: one for one in map(_hold, found)}


async def all_holds(tx: Tx, *, since: datetime, limit: int) -> list[Hold]:
    """Holds from a moment on, the oldest first."""
    found = await rows(
        tx, f"{_HOLDS} WHERE h.since >= :since ORDER BY h.since LIMIT :limit", {"since": since, "limit": limit}
    )
    return [_hold(row) for row in found]


async def failed_input(tx: Tx, one: Hold) -> HeldInput | None:
    """The record on which the worker failed; None where it was replayed or discarded already."""
    found = await rows(
        tx,
        """SELECT * FROM held_inputs WHERE supplier_id = :supplier AND customer_id = :customer
               AND topic = :topic AND partition = :partition AND "offset" = :offset""",
        {**_of(one.pair), **_at(one.place)},
    )
    return _input(found[0]) if found else None


async def next_inputs(tx: Tx, pair: Pair, *, limit: int, most_bytes: int) -> list[HeldInput]:
    """The next records of a held relationship in order of arrival: at least one, no more bytes of values than so many."""
    found = await rows(
        tx,
        """SELECT * FROM (SELECT i.*, sum(coalesce(octet_length(value), 0)) OVER (ORDER BY arrival) AS up_to
                          FROM (SELECT * FROM held_inputs WHERE supplier_id = :supplier AND customer_id = :customer
                                ORDER BY arrival LIMIT :limit) AS i) AS counted
           WHERE up_to - coalesce(octet_length(value), 0) < :most_bytes ORDER BY arrival""",
        {**_of(pair), "limit": limit, "most_bytes": most_bytes},
    )
    return [_input(row) for row in found]


async def forget(tx: Tx, inputs: Collection[HeldInput]) -> None:
    """They are held no longer."""
    arrivals = [one.arrival for one in inputs]
    await run(tx, "DELETE FROM held_inputs WHERE arrival = ANY(:arrivals)", {"arrivals": arrivals})


async def forget_event(tx: Tx, pair: Pair, event_key: bytes) -> bool:
    """The same event was sent again and waits behind the failed one: it need not. True where there was such a one."""
    return bool(
        await run(
            tx,
            """DELETE FROM held_inputs
               WHERE supplier_id = :supplier AND customer_id = :customer AND event_key = :event_key""",
            {**_of(pair), "event_key": event_key},
        )
    )


async def ask_for_replay(tx: Tx, pair: Pair, place: Place, *, by: str, why: str | None) -> None:
    """The worker is to try the failed record again; nothing changes where that is asked for or done already."""
    await run(
        tx,
        """UPDATE holds SET step = 'replay', asked_by = :by, asked_why = :why, said = NULL
           WHERE supplier_id = :supplier AND customer_id = :customer AND step = 'waits'
                 AND topic = :topic AND partition = :partition AND "offset" = :offset""",
        {**_of(pair), **_at(place), "by": by, "why": why},
    )


async def wait_again(tx: Tx, pair: Pair, said: str) -> None:
    """The replay did not go through: it waits for a person again."""
    await run(
        tx,
        "UPDATE holds SET step = 'waits', said = :said WHERE supplier_id = :supplier AND customer_id = :customer",
        {**_of(pair), "said": said},
    )


async def follow(tx: Tx, pair: Pair) -> None:
    """The failed record is dealt with: what waited behind it goes on."""
    await run(
        tx, "UPDATE holds SET step = 'follow' WHERE supplier_id = :supplier AND customer_id = :customer", _of(pair)
    )


async def hold_by_next(tx: Tx, failed: HeldInput, *, now: datetime) -> None:
    """Another of the records fails: it holds back the rest from now on, and uses up no id."""
    await run(
        tx,
        """UPDATE holds SET since = :now, step = 'waits', asked_by = NULL, asked_why = NULL, said = NULL, topic = :topic,
                            partition = :partition, "offset" = :offset
           WHERE supplier_id = :supplier AND customer_id = :customer""",
        {**_of(failed.pair), **_at(failed.place), "now": now},
    )
    await run(tx, "UPDATE held_inputs SET event_key = NULL WHERE arrival = :arrival", {"arrival": failed.arrival})


async def let_go(tx: Tx, pair: Pair) -> None:
    """Nothing is held any more."""
    await run(tx, "DELETE FROM holds WHERE supplier_id = :supplier AND customer_id = :customer", _of(pair))


def _of(pair: Pair) -> dict[str, Any]:
    return {"supplier": pair[0], "customer": pair[1]}


def _at(place: Place) -> dict[str, Any]:
    return {"topic": place.topic, "partition": place.partition, "offset": place.offset}


def _hold(row: Any) -> Hold:
    return Hold(
        pair=(row.supplier_id, row.customer_id),
        since=row.since,
        place=Place(topic=row.topic, partition=row.partition, offset=row.offset),
        step=Step(row.step),
        asked_by=row.asked_by,
        asked_why=row.asked_why,
        said=row.said,
        behind=int(row.behind),
    )


def _input(row: Any) -> HeldInput:
    return HeldInput(
        pair=(row.supplier_id, row.customer_id),
        place=Place(topic=row.topic, partition=row.partition, offset=row.offset),
        key=row.key,
        value=row.value,
        headers=unpack_headers(row.headers),
        event_key=row.event_key,
        arrival=row.arrival,
    )
