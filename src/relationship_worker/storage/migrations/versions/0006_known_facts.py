"""What became known since the last look: every version and every change of settings with the transaction that brought it.

And ids are compared by their bytes, whatever the database's collation: at a third of the price, in the order in which the
worker sorts them (who locks rows in two orders waits for himself), and no upgrade of the system's locales spoils an index.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Rows that are there already are older than any look: 0 is no transaction's id.
SCHEMA = """
ALTER TABLE relationship_history ADD COLUMN known_in xid8 NOT NULL DEFAULT '0';
ALTER TABLE relationship_history ALTER COLUMN known_in SET DEFAULT pg_current_xact_id();
CREATE INDEX relationship_history_by_known_in ON relationship_history (known_in);
ALTER TABLE supplier_settings ADD COLUMN known_in xid8 NOT NULL DEFAULT '0';
ALTER TABLE supplier_settings ALTER COLUMN known_in SET DEFAULT pg_current_xact_id();
CREATE INDEX supplier_settings_by_known_in ON supplier_settings (known_in);
"""

IDS = {
    "suppliers": ("supplier_id",),
    "supplier_settings": ("supplier_id",),
    "relationships": ("supplier_id", "customer_id"),
    "relationship_history": ("supplier_id", "customer_id"),
    "deferrals": ("supplier_id", "customer_id"),
    "parked": ("supplier_id", "customer_id"),
    "refusals": ("supplier_id", "customer_id"),
    "new_facts": ("supplier_id", "customer_id"),
    "erasures": ("customer_id",),
    "answers": ("supplier_id", "customer_id", "order_id"),
    "repeated_orders": ("supplier_id", "order_id"),
    "corrections": ("supplier_id", "customer_id", "order_id"),
}


# From one recovery of the server to the next. A snapshot says nothing of another life: numbers of transactions that wrote
# nothing are given again after a crash. Such a crash may leave the server's own start as it was, but resets statistics.
SERVER_LIFE = """
CREATE FUNCTION server_life() RETURNS text LANGUAGE sql STABLE AS
'SELECT concat(pg_postmaster_start_time(), '' '', pg_stat_get_bgwriter_stat_reset_time())'
"""

# A small batch of orders in one round trip: remembered where nothing became known since the snapshot of the facts that they
# were answered by. Its transaction has its id before it looks, so that whoever corrects answers knows whom to wait for.
ANSWER_AT_ONCE = """
CREATE FUNCTION answer_at_once(
    seen pg_snapshot, server text, topics text[], partitions int[], ends bigint[], answered timestamptz, lane int,
    event_keys bytea[], hashes bytea[], suppliers text[], orders text[], customers text[], texts text[], offsets bigint[],
    record_keys bytea[], created timestamptz[], channels text[], versions int[], changes int[], opens boolean[]
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    entered int := enter_period();
    own xid8 := pg_current_xact_id();
    part text;
    found boolean;
BEGIN
    IF EXISTS (SELECT FROM unnest(topics, partitions, ends) AS e (topic, partition, position)
               LEFT JOIN positions p ON p.topic = e.topic AND p.partition = e.partition
               WHERE e.position > coalesce(p.position, 0)) THEN
        RETURN 'behind';
    END IF;
    IF server <> server_life()
       OR EXISTS (SELECT FROM relationship_history
                  WHERE known_in >= pg_snapshot_xmin(seen) AND known_in < pg_snapshot_xmax(pg_current_snapshot())
                        AND NOT pg_visible_in_snapshot(known_in, seen))
       OR EXISTS (SELECT FROM supplier_settings
                  WHERE known_in >= pg_snapshot_xmin(seen) AND known_in < pg_snapshot_xmax(pg_current_snapshot())
                        AND NOT pg_visible_in_snapshot(known_in, seen)) THEN
        RETURN 'news';
    END IF;
    IF EXISTS (SELECT FROM repeated_orders WHERE event_key = ANY (event_keys)) THEN
        RETURN 'answered before';
    END IF;
    -- Each other period by its own name, planned anew: a plan that is kept would go by how small all was when it was made.
    FOR part IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'answers'::regclass AND substring(c.relname FROM '\\d+$')::int <> entered LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %1$I WHERE event_key = ANY ($1))
                               OR EXISTS (SELECT FROM unnest($2, $3) AS t (s, o) CROSS JOIN LATERAL (
                                              SELECT FROM %1$I WHERE supplier_id = t.s AND order_id = t.o LIMIT 1) AS a)', part)
            INTO found USING event_keys, suppliers, orders;
        IF found THEN
            RETURN 'answered before';
        END IF;
    END LOOP;
    INSERT INTO answers (event_key, data_hash, supplier_id, order_id, customer_id, answer, partition, "offset",
                         answered_at, record_key, created_at, channel, knew_version, knew_change, open, period)
    SELECT k, h, s, o, c, a, lane, f, answered, r, at, ch, v, g, op, entered
    FROM unnest(event_keys, hashes, suppliers, orders, customers, texts, offsets, record_keys, created, channels, versions,
                changes, opens) AS t (k, h, s, o, c, a, f, r, at, ch, v, g, op)
    ORDER BY s, o;
    RETURN 'remembered';
EXCEPTION WHEN unique_violation OR deadlock_detected THEN -- another lane has some of these orders, in another order
    RETURN 'answered before';
END $$
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for table, columns in IDS.items():
        changes = ", ".join(f'ALTER COLUMN {column} TYPE text COLLATE "C"' for column in columns)
        op.execute(f"ALTER TABLE {table} {changes}")
    op.execute(SERVER_LIFE)
    op.execute(ANSWER_AT_ONCE)
