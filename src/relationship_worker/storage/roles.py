"""Who may do what in the database: the worker, those who read, and a supplier's own readers, who see its rows alone.

The schema's owner, as which `init` runs, needs none of this, and is held back by no row's policy: it could lift each. One and
the same role for `init` and `run` stays possible.
"""

from collections.abc import Mapping, Sequence

from relationship_worker.storage.database import SchemaMismatch, Tx, rows, run

# What is not listed the owner alone may. History can be added to, not rewritten: an erasure alone takes free texts away.
WORKER: Mapping[str, Sequence[str]] = {
    "alembic_version": ("SELECT",),
    "positions": ("SELECT", "INSERT", "UPDATE (position, epoch)"),
    "inbox": ("SELECT", "INSERT", "DELETE"),
    "suppliers": ("SELECT", "INSERT", "UPDATE (change, valid_from, settings)"),
    "supplier_settings": ("SELECT", "INSERT"),
    "relationships": ("SELECT", "INSERT", "UPDATE"),
    "relationship_history": ("SELECT", "INSERT", "UPDATE (reason, message)"),
    "parked": ("SELECT", "INSERT", "UPDATE (value)", "DELETE"),
    "deferrals": ("SELECT", "INSERT", "UPDATE (due_at, reason)", "DELETE"),
    "outbox_lanes": ("SELECT", "INSERT", "UPDATE (last)"),
    "outbox": ("SELECT", "INSERT", "UPDATE (value, headers)", "DELETE"),
    "answers": ("SELECT", "INSERT", "UPDATE (corrected, open)"),
    "repeated_orders": ("SELECT", "INSERT"),
    "notes": ("SELECT", "INSERT", "UPDATE (text)"),
    "new_facts": ("SELECT", "INSERT", "UPDATE (looked_up_to)", "DELETE"),
    "correction_lanes": ("SELECT", "INSERT", "UPDATE (last, told)"),
    "corrections": ("SELECT", "INSERT"),
    "refusals": ("SELECT", "INSERT"),
    "erasures": ("SELECT", "INSERT"),
    "holds": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "held_inputs": ("SELECT", "INSERT", "UPDATE (value, event_key)", "DELETE"),
    "dead_letter_acts": ("SELECT", "INSERT", "UPDATE (value)"),
    "stopped_partitions": ("SELECT", "INSERT", "DELETE"),
}
FUNCTIONS = ("make_period(int)", "remove_part(text, int)")
PARTS = ("INSERT",)  # the worker's, on each partition of answers; `make_period` gives the same to a new one

# `explain`, `relationships`, `relationship`: a supplier's own readers use them as well.
SUPPLIER: Mapping[str, Sequence[str]] = dict.fromkeys(
    (
        *(
            "alembic_version",
            "suppliers",
            "supplier_settings",
            "relationships",
            "relationship_history",
            "refusals",
            "parked",
            "notes",
        ),
        *("answers", "repeated_orders", "corrections", "correction_lanes", "new_facts", "supplier_readers"),
        *("holds", "held_inputs"),
    ),
    ("SELECT",),
)
# And, over all suppliers, `shadow`, `dead-letters list` and `show`.
READER: Mapping[str, Sequence[str]] = {
    **{table: rights for table, rights in SUPPLIER.items() if table != "supplier_readers"},
    **dict.fromkeys(("dead_letter_acts", "stopped_partitions", "outbox"), ("SELECT",)),
}

OWN_ROWS = "supplier_id = ANY (ARRAY(SELECT r.supplier_id FROM supplier_readers r WHERE r.reader = current_user))"


def names(worker: str) -> dict[str, str]:
    """Role by kind. Those of the readers follow from the worker's."""
    return {"worker": worker, "reader": f"{worker}_reader", "supplier": f"{worker}_supplier"}


async def grant(tx: Tx, worker: str) -> list[str]:
    """Give the worker's role, and the readers' where they are there, what they need; by the schema's owner, repeatable.

    Returns the roles that were given something. Raises SchemaMismatch where there is no such role.
    """
    there = {row.rolname for row in await rows(tx, "SELECT rolname FROM pg_roles")}
    if worker not in there:
        raise SchemaMismatch(f"there is no role {worker}: make it (deploy/postgresql-roles.sql), or name another one")
    found = {kind: role for kind, role in names(worker).items() if role in there}
    await _isolate_suppliers(tx, found)
    for kind, rights in (("worker", WORKER), ("reader", READER), ("supplier", SUPPLIER)):
        if kind in found:
            for statement in grants(rights, await _quoted(tx, found[kind])):
                await run(tx, statement)
    role = await _quoted(tx, worker)
    for part in await rows(
        tx, "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'answers'::regclass"
    ):
        await run(tx, f"GRANT {', '.join(PARTS)} ON {part.name} TO {role}")
    for function in FUNCTIONS:
        await run(tx, f"GRANT EXECUTE ON FUNCTION {function} TO {role}")
    return list(found.values())


def grants(rights: Mapping[str, Sequence[str]], role: str) -> list[str]:
    """As statements, one for each right; `role` is quoted."""
    return [f"GRANT {right} ON {table} TO {role}" for table, some in rights.items() for right in some]


async def _isolate_suppliers(tx: Tx, roles: Mapping[str, str]) -> None:
    """Policies on every table whose rows are a supplier's: those that are there are left alone, because each waits for all who
    use its table. Partitions have none: nobody but the worker has rights on them, who reads goes by their table."""
    [row] = await rows(tx, "SELECT quote_ident(current_schema()) AS schema")
    for role in roles.values():
        await run(tx, f"GRANT USAGE ON SCHEMA {row.schema} TO {await _quoted(tx, role)}")
    for table in await supplier_tables(tx):
        [state] = await rows(
            tx, "SELECT relrowsecurity AS on FROM pg_class WHERE oid = to_regclass(:table)", {"table": table}
        )
        if not state.on:
            await run(tx, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        there = {
            (one.name, role)
            for one in await rows(
                tx,
                "SELECT policyname AS name, roles::text[] AS roles FROM pg_policies WHERE tablename = :table"
                " AND schemaname = current_schema()",
                {"table": table},
            )
            for role in one.roles
        }
        for kind, role in roles.items():
            if (kind, role) not in there:
                command, rows_ = _policy(kind, table)
                await run(tx, f"DROP POLICY IF EXISTS {kind} ON {table}")
                await run(tx, f"CREATE POLICY {kind} ON {table} {command} TO {await _quoted(tx, role)} {rows_}")


def _policy(kind: str, table: str) -> tuple[str, str]:
    if kind == "worker":
        return "FOR ALL", "USING (true) WITH CHECK (true)"  # the planner drops it: plans are those of the owner
    if kind == "reader":
        return "FOR SELECT", "USING (true)"
    own = "reader = current_user" if table == "supplier_readers" else OWN_ROWS
    return "FOR SELECT", f"USING ({own})"


async def supplier_tables(tx: Tx) -> list[str]:
    """All tables that say of each row whose it is; without partitions."""
    found = await rows(
        tx,
        """SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
           WHERE a.attname = 'supplier_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                 AND c.relnamespace = current_schema()::regnamespace
           ORDER BY c.relname""",
    )
    return [row.relname for row in found]


async def check_worker(tx: Tx) -> None:
    """Raises SchemaMismatch where policies hide rows from this role: every order would be answered as of nobody's partner."""
    [row] = await rows(
        tx,
        """SELECT current_user AS role, row_security_active('answers') AND NOT EXISTS (
               SELECT FROM pg_policy p WHERE p.polrelid = 'answers'::regclass AND p.polname = 'worker'
                                             AND EXISTS (SELECT FROM unnest(p.polroles) r WHERE pg_has_role(r, 'USAGE'))
           ) AS hidden""",
    )
    if row.hidden:
        raise SchemaMismatch(
            f"the role {row.role} has not been given a worker's rights: run `relationship-worker init` as the schema's "
            f"owner with RELATIONSHIP_WORKER_DATABASE_WORKER_ROLE={row.role}"
        )


async def _quoted(tx: Tx, role: str) -> str:
    [row] = await rows(tx, "SELECT quote_ident(:role) AS name", {"role": role})
    return str(row.name)
