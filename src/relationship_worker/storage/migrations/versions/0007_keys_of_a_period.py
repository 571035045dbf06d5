"""The keys of answers and used-up events without their period: in a period's own partition it says nothing, and it made each
index a fifth dearer to write. What no constraint holds over periods, `storage/periods.py` does, as before.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEYS = {
    "inbox": ("PRIMARY KEY (event_key)",),
    "answers": ("PRIMARY KEY (event_key)", "UNIQUE (supplier_id, order_id)"),
    "repeated_orders": ("PRIMARY KEY (event_key)",),
}

ADD_KEYS = "\n".join(
    f"WHEN '{table}' THEN\n" + "\n".join(f"EXECUTE format('ALTER TABLE %I ADD {key}', part);" for key in keys)
    for table, keys in KEYS.items()
)
FUNCTIONS = [
    f"""CREATE FUNCTION add_keys(parent text, part text) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            CASE parent {ADD_KEYS} ELSE NULL; END CASE;
        END $$""",
    """CREATE OR REPLACE FUNCTION make_period(wanted int) RETURNS void LANGUAGE plpgsql AS $$
       DECLARE
           parent text;
           part text;
       BEGIN
           PERFORM pg_advisory_xact_lock(hashtext('relationship-worker:make period'));
           FOREACH parent IN ARRAY ARRAY['answers', 'repeated_orders', 'inbox', 'corrections'] LOOP
               part := parent || '_p' || wanted;
               IF to_regclass(part) IS NULL THEN
                   -- Made apart and attached: that waits for nobody who reads or writes the table.
                   EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
                   PERFORM add_keys(parent, part);
                   EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%s)', parent, part, wanted);
               END IF;
           END LOOP;
       END $$""",
]


def upgrade() -> None:
    for function in FUNCTIONS:
        op.execute(function)
    for table, keys in KEYS.items():
        for number in range(len(keys)):
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_unique_{number}")
        op.execute(
            f"SELECT add_keys('{table}', c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            f"WHERE i.inhparent = '{table}'::regclass AND NOT i.inhdetachpending"  # a removal that was cut short: it goes
        )
