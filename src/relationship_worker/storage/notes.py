"""Facts about the database itself, each a short text under a name."""

from relationship_worker.storage.database import Tx, rows, run

ZONE_RULES = "zone rules"  # the version of the time zone database that due_at was computed with


async def note(tx: Tx, name: str) -> str | None:
    """The text under a name; the row is held to the end of the transaction."""
    found = await rows(tx, "SELECT text FROM notes WHERE name = :name FOR UPDATE", {"name": name})
    return found[0].text if found else None


async def write_note(tx: Tx, name: str, text: str) -> None:
    """Put a text under a name."""
    await run(
        tx,
        "INSERT INTO notes (name, text) VALUES (:name, :text) ON CONFLICT (name) DO UPDATE SET text = :text",
        {"name": name, "text": text},
    )
