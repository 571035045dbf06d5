"""Retention: answers and used-up events in a partition per thirty days, which goes as a whole when it is old enough."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# A period is thirty days of the database's clock, counted from the epoch. A unique constraint holds within a period; over
# periods, who inserts looks into the others first. Around the change of a period two transactions might not see each other:
# therefore `enter_period`, see `storage/periods.py`.
FUNCTIONS = [
    """CREATE FUNCTION period_clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()'""",
    """CREATE FUNCTION period_of(at timestamptz) RETURNS int LANGUAGE sql IMMUTABLE AS
       'SELECT floor(extract(epoch FROM at) / 2592000)::int'""",
    """CREATE FUNCTION period_start(period int) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
       'SELECT to_timestamp(period::bigint * 2592000)'""",
    """CREATE FUNCTION make_period(wanted int) RETURNS void LANGUAGE plpgsql AS $$
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
                   EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%s)', parent, part, wanted);
               END IF;
           END LOOP;
       END $$""",
    """CREATE FUNCTION enter_period() RETURNS int LANGUAGE plpgsql AS $$
       DECLARE
           -- Whoever still inserts into the period before has ended when this minute is over: see transaction_timeout.
           young constant interval := '1 minute';
           seen int := period_of(period_clock());
           entered int;
       BEGIN
           -- A timer that runs already, by the server's or the role's setting, would go on unchanged: end it first.
           PERFORM set_config('transaction_timeout', '0', true);
           PERFORM set_config('transaction_timeout', '50s', true);
           IF period_clock() - period_start(seen) < young THEN
               PERFORM pg_advisory_xact_lock(hashtext('relationship-worker:period'));
           ELSE
               PERFORM pg_advisory_xact_lock_shared(hashtext('relationship-worker:period'));
           END IF;
           entered := period_of(period_clock());
           IF entered <> seen THEN
               RAISE EXCEPTION 'the period has changed' USING ERRCODE = 'serialization_failure';
           END IF;
           IF to_regclass('corrections_p' || entered) IS NULL THEN
               PERFORM make_period(entered);
           END IF;
           RETURN entered;
       END $$""",
]

TABLES = {
    "inbox": ("received_at", ["PRIMARY KEY (event_key, period)"], []),
    "answers": (
        "answered_at",
        ["PRIMARY KEY (event_key, period)", "UNIQUE (supplier_id, order_id, period)"],
        ["CREATE INDEX answers_by_customer ON answers (supplier_id, customer_id, order_id)"],
    ),
    "repeated_orders": (
        "answered_at",
        ["PRIMARY KEY (event_key, period)"],
        ["CREATE INDEX repeated_orders_by_order ON repeated_orders (supplier_id, order_id)"],
    ),
    "corrections": (
        "decided_at",
        ["PRIMARY KEY (partition, number, period)"],
        ["CREATE INDEX corrections_by_order ON corrections (supplier_id, order_id)"],
    ),
}


def upgrade() -> None:
    for function in FUNCTIONS:
        op.execute(function)
    for name in TABLES:
        op.execute(f"ALTER TABLE {name} RENAME TO {name}_before")
    for name, (_, constraints, indexes) in TABLES.items():
        op.execute(
            f"CREATE TABLE {name} (LIKE {name}_before INCLUDING DEFAULTS, period int NOT NULL) PARTITION BY LIST (period)"
        )
        for number, constraint in enumerate(constraints):
            op.execute(f"ALTER TABLE {name} ADD CONSTRAINT {name}_unique_{number} {constraint}")
        for index in indexes:
            index_name = index.split()[2]
            op.execute(f"DROP INDEX {index_name}")
            op.execute(index)
    op.execute("SELECT make_period(period_of(period_clock()))")
    for name, (time, _, _) in TABLES.items():
        op.execute(
            f"SELECT make_period(period) FROM (SELECT DISTINCT period_of({time}) AS period FROM {name}_before) AS p"
        )
        op.execute(f"INSERT INTO {name} SELECT *, period_of({time}) FROM {name}_before")
        op.execute(f"DROP TABLE {name}_before")
