"""Personal data: where the worker keeps it, and how it is removed."""

import json

from relationship_worker.messages import json_text
from relationship_worker.storage.database import Tx, rows, run


async def erase(tx: Tx, customer_id: str, supplier_id: str | None) -> None:
    """Remove contacts and free texts of a customer, at one supplier or at all; numbers and decisions stay."""
    of = {"customer": customer_id, "supplier": supplier_id}
    found = await rows(
        tx,
        """SELECT supplier_id, profile FROM relationships
           WHERE customer_id = :customer AND (CAST(:supplier AS text) IS NULL OR supplier_id = :supplier)
             AND profile IS NOT NULL ORDER BY supplier_id FOR UPDATE""",
        of,
    )
    for row in found:
        await run(
            tx,
            "UPDATE relationships SET profile = :profile WHERE supplier_id = :supplier AND customer_id = :customer",
            {"supplier": row.supplier_id, "customer": customer_id, "profile": _without_contacts(row.profile)},
        )
    for table in ("relationship_history", "deferrals"):
        message = ", message = NULL" if table == "relationship_history" else ""
        await run(
            tx,
            f"""UPDATE {table} SET reason = NULL{message}
                WHERE customer_id = :customer AND (CAST(:supplier AS text) IS NULL OR supplier_id = :supplier)""",
            of,
        )


def _without_contacts(profile: str) -> str:
    """The profile with every other member as the bytes that it was."""
    kept = {name: raw for name, raw in json_text.members(profile.encode()).items() if name != "contacts"}
    return (b"{" + b",".join(json.dumps(name).encode() + b":" + raw for name, raw in kept.items()) + b"}").decode()
