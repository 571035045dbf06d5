"""Relationships and their history."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from relationship_worker.domain.relationship import Relationship, State, Version
from relationship_worker.storage.database import Tx, rows, run

Pair = tuple[str, str]
"""(supplier_id, customer_id): a relationship's identity."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A relationship with what is kept beside its state: profile and assortment as JSON text, and when they were told."""

    relationship: Relationship
    profile: str | None = None
    profile_at: datetime | None = None
    assortment: str | None = None
    assortment_at: datetime | None = None


async def lock(tx: Tx, pairs: Collection[Pair]) -> dict[Pair, Kept]:
    """The relationships, held to the end of the transaction; one that is not there yet is made, in state none.

    Locked in order of their ids, so that no two transactions wait for each other.
    """
    ordered = sorted(set(pairs))
    ids = {"suppliers": [s for s, _ in ordered], "customers": [c for _, c in ordered]}
    await run(
        tx,
        """INSERT INTO relationships (supplier_id, customer_id)
           SELECT s, c FROM unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[])) AS pair (s, c)
           WHERE NOT EXISTS (SELECT FROM relationships WHERE supplier_id = s AND customer_id = c)
           ORDER BY s, c ON CONFLICT DO NOTHING""",
        ids,
    )
    found = await rows(
        tx,
        """SELECT r.* FROM relationships r
           JOIN unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[])) AS pair (s, c)
             ON r.supplier_id = pair.s AND r.customer_id = pair.c
           ORDER BY r.supplier_id, r.customer_id FOR UPDATE OF r""",
        ids,
    )
    return {
        (row.supplier_id, row.customer_id): Kept(
            relationship=Relationship(
                state=State(row.state),
                version=row.version,
                valid_from=row.valid_from,
                customer_number=row.customer_number,
                previously_rejected=row.previously_rejected,
                open_since=row.open_since,
                resubmission_date=row.resubmission_date,
            ),
            profile=row.profile,
            profile_at=row.profile_at,
            assortment=row.assortment,
            assortment_at=row.assortment_at,
        )
        for row in found
    }


async def remember(tx: Tx, kept: Mapping[Pair, Kept]) -> None:
    """Write relationships back. They must be locked by this transaction."""
    pairs = list(kept)
    of = [kept[pair].relationship for pair in pairs]
    await run(
        tx,
        """UPDATE relationships r
           SET state = t.state, version = t.version, valid_from = t.valid_from, customer_number = t.customer_number,
               previously_rejected = t.previously_rejected, profile = t.profile, profile_at = t.profile_at,
               assortment = t.assortment, assortment_at = t.assortment_at, open_since = t.open_since,
               resubmission_date = t.resubmission_date
           FROM unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[]), CAST(:states AS text[]),
                       CAST(:versions AS int[]), CAST(:valid_from AS timestamptz[]), CAST(:numbers AS text[]),
                       CAST(:previously_rejected AS boolean[]), CAST(:profiles AS text[]),
                       CAST(:profiles_at AS timestamptz[]), CAST(:assortments AS text[]),
                       CAST(:assortments_at AS timestamptz[]), CAST(:open_since AS timestamptz[]),
                       CAST(:resubmission_dates AS date[]))
                AS t (supplier_id, customer_id, state, version, valid_from, customer_number, previously_rejected,
                      profile, profile_at, assortment, assortment_at, open_since, resubmission_date)
           WHERE r.supplier_id = t.supplier_id AND r.customer_id = t.customer_id""",
        {
            "suppliers": [s for s, _ in pairs],
            "customers": [c for _, c in pairs],
            "states": [r.state.value for r in of],
            "versions": [r.version for r in of],
            "valid_from": [r.valid_from for r in of],
            "numbers": [r.customer_number for r in of],
            "previously_rejected": [r.previously_rejected for r in of],
            "profiles": [kept[pair].profile for pair in pairs],
            "profiles_at": [kept[pair].profile_at for pair in pairs],
            "assortments": [kept[pair].assortment for pair in pairs],
            "assortments_at": [kept[pair].assortment_at for pair in pairs],
            "open_since": [r.open_since for r in of],
            "resubmission_dates": [r.resubmission_date for r in of],
        },
    )


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """A version with the event that made it."""

    pair: Pair
    type: str
    version: Version
    message: str | None
    settings_change: int  # the supplier's newest change of settings known with it
    event_id: str
    event_source: str


async def remember_history(tx: Tx, history: Sequence[HistoryRow], *, now: datetime) -> None:
    """Append versions. Their numbers have no gaps because the relationships are locked."""
    await run(
        tx,
        """INSERT INTO relationship_history
               (supplier_id, customer_id, version, type, state, previous_state, customer_number, previous_number,
                brings_number, valid_from, recorded_at, decided_by, reason, message, resubmission_date,
                previously_rejected, settings_change, event_id, event_source)
           SELECT supplier_id, customer_id, version, type, state, previous_state, customer_number, previous_number,
                  brings_number, valid_from, :now, decided_by, reason, message, resubmission_date,
                  previously_rejected, settings_change, event_id, event_source
           FROM unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[]), CAST(:versions AS int[]),
                       CAST(:types AS text[]), CAST(:states AS text[]), CAST(:previous_states AS text[]),
                       CAST(:numbers AS text[]), CAST(:previous_numbers AS text[]), CAST(:brings_number AS boolean[]),
                       CAST(:valid_from AS timestamptz[]), CAST(:decided_by AS text[]), CAST(:reasons AS text[]),
                       CAST(:messages AS text[]), CAST(:resubmission_dates AS date[]),
                       CAST(:previously_rejected AS boolean[]), CAST(:settings_changes AS int[]),
                       CAST(:event_ids AS text[]), CAST(:event_sources AS text[]))
                AS t (supplier_id, customer_id, version, type, state, previous_state, customer_number,
                      previous_number, brings_number, valid_from, decided_by, reason, message, resubmission_date,
                      previously_rejected, settings_change, event_id, event_source)""",
        {
            "now": now,
            "suppliers": [row.pair[0] for row in history],
            "customers": [row.pair[1] for row in history],
            "versions": [row.version.version for row in history],
            "types": [row.type for row in history],
            "states": [row.version.state.value for row in history],
            "previous_states": [row.version.previous_state.value for row in history],
            "numbers": [row.version.customer_number for row in history],
            "previous_numbers": [row.version.previous_number for row in history],
            "brings_number": [row.version.brings_number for row in history],
            "valid_from": [row.version.valid_from for row in history],
            "decided_by": [row.version.decided_by for row in history],
            "reasons": [row.version.reason for row in history],
            "messages": [row.message for row in history],
            "resubmission_dates": [row.version.resubmission_date for row in history],
            "previously_rejected": [row.version.previously_rejected for row in history],
            "settings_changes": [row.settings_change for row in history],
            "event_ids": [row.event_id for row in history],
            "event_sources": [row.event_source for row in history],
        },
    )


async def partners_by_number(tx: Tx, numbers: Collection[tuple[str, str]]) -> dict[tuple[str, str], set[str]]:
    """(supplier_id, customer number) → the partners that carry it (of a very popular number, some)."""
    ordered = sorted(set(numbers))
    found = await rows(
        tx,
        """SELECT t.s, t.n, partner.customer_id
           FROM unnest(CAST(:suppliers AS text[]), CAST(:numbers AS text[])) AS t (s, n)
           CROSS JOIN LATERAL (
               SELECT customer_id FROM relationships
               WHERE supplier_id = t.s AND customer_number = t.n AND state = 'partner' LIMIT 1000) AS partner""",
        {"suppliers": [s for s, _ in ordered], "numbers": [n for _, n in ordered]},
    )
    carriers: dict[tuple[str, str], set[str]] = {}
    for row in found:
        carriers.setdefault((row.s, row.n), set()).add(row.customer_id)
    return carriers


class AsOf(NamedTuple):
    """The version in force at an instant: its number counts only of a partner. `newest`: the newest version known."""

    version: int | None
    partner: bool
    customer_number: str | None
    newest: int


NOTHING_KNOWN = AsOf(None, False, None, 0)


async def versions_as_of(tx: Tx, asked: Sequence[tuple[str, str, datetime]]) -> list[AsOf]:
    """For each (supplier, customer, instant) the version in force then, its own instant included.

    Versions never go back in time, so it is the last one that is not later: mostly the newest, which is looked at first.
    Ids and instants go over as one text each, parted by U+001F, which no id can hold: encoding arrays costs the client
    0.3 µs an element.
    """
    found = await rows(
        tx,
        """SELECT t.i,
                  CASE WHEN n.valid_from <= t.at::timestamptz THEN n.version ELSE v.version END,
                  CASE WHEN n.valid_from <= t.at::timestamptz THEN n.state ELSE v.state END = 'partner',
                  CASE WHEN n.valid_from <= t.at::timestamptz THEN n.customer_number ELSE v.customer_number END,
                  n.version
           FROM unnest(string_to_array(:suppliers, chr(31)), string_to_array(:customers, chr(31)),
                       string_to_array(:instants, chr(31))) WITH ORDINALITY AS t (s, c, at, i)
           CROSS JOIN LATERAL (
               SELECT version, state, customer_number, valid_from FROM relationship_history
               WHERE supplier_id = t.s AND customer_id = t.c ORDER BY version DESC LIMIT 1) AS n
           LEFT JOIN LATERAL (
               SELECT version, state, customer_number FROM relationship_history
               WHERE supplier_id = t.s AND customer_id = t.c AND valid_from <= t.at::timestamptz
                     AND n.valid_from > t.at::timestamptz
               ORDER BY version DESC LIMIT 1) AS v ON true""",
        {
            "suppliers": "\x1f".join([a[0] for a in asked]),
            "customers": "\x1f".join([a[1] for a in asked]),
            "instants": "\x1f".join([a[2].isoformat() for a in asked]),
        },
    )
    answers = [NOTHING_KNOWN] * len(asked)
    for i, version, partner, number, newest in found:
        answers[i - 1] = AsOf(version, bool(partner), number, newest)
    return answers


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A version as history holds it. `settings_change`: the supplier's newest change of settings known with it."""

    version: int
    type: str
    state: State
    previous_state: State
    customer_number: str | None  # what the relationship kept from here on; it counts only of a partner
    previous_number: str | None
    brings_number: bool
    valid_from: datetime
    recorded_at: datetime
    decided_by: str | None
    reason: str | None
    message: str | None
    resubmission_date: date | None
    previously_rejected: bool
    settings_change: int
    event_id: str
    event_source: str


async def history_of(tx: Tx, pair: Pair) -> list[Recorded]:
    """All versions of a relationship, oldest first."""
    found = await rows(
        tx,
        """SELECT version, type, state, previous_state, customer_number, previous_number, brings_number, valid_from,
                  recorded_at, decided_by, reason, message, resubmission_date, previously_rejected, settings_change,
                  event_id, event_source
           FROM relationship_history WHERE supplier_id = :supplier AND customer_id = :customer ORDER BY version""",
        {"supplier": pair[0], "customer": pair[1]},
    )
    return [msgspec.convert(row._asdict(), Recorded, builtin_types=(datetime, date)) for row in found]
