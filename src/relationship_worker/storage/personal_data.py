"""Personal data: where the worker keeps it, how it is removed, and what is kept of what arrives late."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from relationship_worker.messages.envelope import Headers
from relationship_worker.messages.outgoing import DEAD_LETTERS, FREE_TEXT_TYPES, INPUT_TOPICS
from relationship_worker.messages.personal_data import (
    event_without_reason,
    profile_without_contacts,
    record_without_personal_data,
)
from relationship_worker.storage.database import Tx, rows, run
from relationship_worker.storage.records import pack_headers, unpack_headers
from relationship_worker.storage.relationships import Pair

AS_CAME = (DEAD_LETTERS, *INPUT_TOPICS)  # of what is in the outbox
ERASED = "; its value held personal data that was erased"


async def lock(tx: Tx, *, to_erase: bool = False) -> None:
    """Taken first by whoever moves personal data between tables, so that an erasure finds all of it, or comes first.

    Held to the end of the transaction: side by side, but for an erasure, which waits for all others and is waited for.
    """
    await run(tx, _TO_ERASE if to_erase else _TO_MOVE)


_TO_ERASE = "SELECT pg_advisory_xact_lock(hashtext('relationship-worker:erasure'))"
_TO_MOVE = "SELECT pg_advisory_xact_lock_shared(hashtext('relationship-worker:erasure'))"


async def erase(
    tx: Tx,
    customer_id: str,
    supplier_id: str | None,
    *,
    up_to: datetime,
    event_id: str,
    event_source: str,
    now: datetime,
) -> None:
    """Remove contacts and free texts of a customer, at one supplier or at all; numbers and decisions stay.

    Removes all that is kept now. What arrives later with a time up to `up_to` is kept without: see `erased_up_to`.
    """
    found = await rows(
        tx,
        """SELECT supplier_id, profile FROM relationships
           WHERE customer_id = :customer AND (CAST(:supplier AS text) IS NULL OR supplier_id = :supplier)
           ORDER BY supplier_id FOR UPDATE""",
        {"customer": customer_id, "supplier": supplier_id},
    )
    suppliers = [row.supplier_id for row in found]
    profiles = [
        profile_without_contacts(row.profile.encode()).decode() if row.profile is not None else None for row in found
    ]
    of = {"customer": customer_id, "suppliers": suppliers}
    await run(
        tx,
        """UPDATE relationships SET profile = t.profile
           FROM unnest(CAST(:suppliers AS text[]), CAST(:profiles AS text[])) AS t (s, profile)
           WHERE supplier_id = t.s AND customer_id = :customer AND t.profile IS NOT NULL""",
        {**of, "profiles": profiles},
    )
    await run(
        tx,
        """UPDATE relationship_history SET reason = NULL, message = NULL
           WHERE supplier_id = ANY(:suppliers) AND customer_id = :customer
             AND (reason IS NOT NULL OR message IS NOT NULL)""",
        of,
    )
    await run(
        tx, "UPDATE deferrals SET reason = NULL WHERE supplier_id = ANY(:suppliers) AND customer_id = :customer", of
    )
    await _erase_parked(tx, of)
    await _erase_held(tx, customer_id, supplier_id)
    await _erase_edited(tx, customer_id)
    await _erase_outbox(tx, customer_id, [f"{supplier}/{customer_id}".encode() for supplier in suppliers])
    await run(
        tx,
        """INSERT INTO erasures (customer_id, supplier_id, up_to, recorded_at, event_id, event_source)
           VALUES (:customer, :supplier, :up_to, :now, :event_id, :event_source)""",
        {
            "customer": customer_id,
            "supplier": supplier_id,
            "up_to": min(up_to, now),  # a clock that runs ahead would erase what is told anew
            "now": now,
            "event_id": event_id,
            "event_source": event_source,
        },
    )


async def _erase_parked(tx: Tx, of: dict[str, Any]) -> None:
    found = await rows(
        tx,
        """SELECT arrival, value, headers FROM parked
           WHERE supplier_id = ANY(:suppliers) AND customer_id = :customer ORDER BY arrival FOR UPDATE""",
        of,
    )
    for row in found:
        await run(
            tx,
            "UPDATE parked SET value = :value WHERE arrival = :arrival",
            {"arrival": row.arrival, "value": record_without_personal_data(unpack_headers(row.headers), row.value)},
        )


async def _erase_held(tx: Tx, customer_id: str, supplier_id: str | None) -> None:
    """What waits behind an input on which the worker failed, and that one: there may be no relationship yet."""
    found = await rows(
        tx,
        """SELECT arrival, value, headers FROM held_inputs
           WHERE customer_id = :customer AND (CAST(:supplier AS text) IS NULL OR supplier_id = :supplier)
             AND value IS NOT NULL
           ORDER BY arrival FOR UPDATE""",
        {"customer": customer_id, "supplier": supplier_id},
    )
    for row in found:
        await run(
            tx,
            "UPDATE held_inputs SET value = :value WHERE arrival = :arrival",
            {"arrival": row.arrival, "value": record_without_personal_data(unpack_headers(row.headers), row.value)},
        )


async def _erase_edited(tx: Tx, customer_id: str) -> None:
    """Dead letters as somebody has corrected them: the customer's where they name them."""
    found = await rows(
        tx,
        """SELECT number, value, headers FROM dead_letter_acts
           WHERE value IS NOT NULL AND position(CAST(:named AS bytea) IN value) > 0 ORDER BY number FOR UPDATE""",
        {"named": f'"{customer_id}"'.encode()},
    )
    for row in found:
        await run(
            tx,
            "UPDATE dead_letter_acts SET value = :value WHERE number = :number",
            {"number": row.number, "value": record_without_personal_data(unpack_headers(row.headers), row.value)},
        )


async def _erase_outbox(tx: Tx, customer_id: str, keys: list[bytes]) -> None:
    """Messages that Kafka does not have yet. A dead letter, also one on its way back, is the customer's where its key or its
    value names them."""
    found = await rows(
        tx,
        """SELECT lane, number, topic, value, headers FROM outbox
           WHERE value IS NOT NULL
             AND (key = ANY(:keys) OR (topic = ANY(:as_came) AND position(CAST(:named AS bytea) IN value) > 0))
           ORDER BY lane, number FOR UPDATE""",
        {"keys": keys, "as_came": list(AS_CAME), "named": f'"{customer_id}"'.encode()},
    )
    for row in found:
        headers = unpack_headers(row.headers)
        types = [text for name, text in headers if name == "ce_type"]
        value = row.value
        if row.topic in AS_CAME:
            value = record_without_personal_data(headers, value)
            headers = [(name, _said(name, text, value)) for name, text in headers]
        elif types and types[-1] in FREE_TEXT_TYPES:
            value = event_without_reason(value)
        await run(
            tx,
            "UPDATE outbox SET value = :value, headers = :headers WHERE lane = :lane AND number = :number",
            {"lane": row.lane, "number": row.number, "value": value, "headers": pack_headers(headers)},
        )


def _said(name: str, text: bytes | None, value: bytes | None) -> bytes | None:
    return (text or b"") + ERASED.encode() if name == "deadletter-detail" and value is None else text


async def erased_up_to(tx: Tx, pairs: Collection[Pair]) -> dict[Pair, datetime]:
    """For relationships whose customer was erased: up to when what arrives now is kept without personal data."""
    if not pairs:
        return {}
    ordered = sorted(pairs)
    found = await rows(
        tx,
        """SELECT t.s, t.c, max(e.up_to) AS up_to
           FROM unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[])) AS t (s, c)
           JOIN erasures e ON e.customer_id = t.c AND (e.supplier_id IS NULL OR e.supplier_id = t.s)
           GROUP BY t.s, t.c""",
        {"suppliers": [s for s, _ in ordered], "customers": [c for _, c in ordered]},
    )
    return {(row.s, row.c): row.up_to for row in found}


def erased_record(headers: Headers, value: bytes) -> bytes:
    """A decision that is parked after its customer was erased, without free texts. It was read before: it is JSON."""
    value_left = record_without_personal_data(headers, value)
    assert value_left is not None, "it was read before"
    return value_left
