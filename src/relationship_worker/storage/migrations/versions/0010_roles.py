"""Roles: what a worker that does not own the schema has to have done for it, and which supplier a reader belongs to.

The rights themselves are no part of the schema: `init` gives them to the roles that it is told of, see `storage/roles.py`.
"""

from alembic import op
from sqlalchemy import text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SUPPLIER_READERS = """
-- Which suppliers' rows a role may read that is a member of the suppliers' readers. Changed by the schema's owner alone.
CREATE TABLE supplier_readers (
    reader      name             NOT NULL, -- a role of PostgreSQL
    supplier_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (reader, supplier_id)
)
"""

# Both run with the owner's rights and do just this. The path is fixed, temporary tables last: else a caller's might count.
FUNCTIONS = [
    """CREATE OR REPLACE FUNCTION make_period(wanted int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER {path} AS $$
       DECLARE
           parent text;
           part text;
           worker text;
       BEGIN
           PERFORM pg_advisory_xact_lock(hashtext('relationship-worker:make period'));
           FOREACH parent IN ARRAY ARRAY['answers', 'repeated_orders', 'inbox', 'corrections'] LOOP
               part := parent || '_p' || wanted;
               IF to_regclass(part) IS NULL THEN
                   -- Made apart and attached: that waits for nobody who reads or writes the table.
                   EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
                   PERFORM add_keys(parent, part);
                   EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%s)', parent, part, wanted);
                   -- Batches are written into the partition itself: whoever may insert may do so there.
                   IF parent = 'answers' THEN
                       FOR worker IN SELECT a.grantee::regrole::text FROM pg_class c, aclexplode(c.relacl) a
                                     WHERE c.oid = to_regclass(parent) AND a.privilege_type = 'INSERT'
                                           AND a.grantee NOT IN (0, c.relowner) LOOP
                           EXECUTE format('GRANT INSERT ON %I TO %s', part, worker);
                       END LOOP;
                   END IF;
               END IF;
           END LOOP;
       END $$""",
    # For a worker that is not the owner: detaches at the first call, drops at the next one; true once it is gone. What goes
    # has ended a day ago at least, and has told all its corrections. An owner detaches concurrently, which no function can:
    # here orders wait, half a second at the most; if somebody reads for longer, the worker tries again an hour later.
    """CREATE FUNCTION remove_part(parent text, old int) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER {path}
       SET lock_timeout = '500ms' AS $$
       DECLARE
           part text := parent || '_p' || old;
           attached pg_inherits;
           untold boolean;
       BEGIN
           IF parent NOT IN ('answers', 'repeated_orders', 'inbox', 'corrections')
              OR period_start(old + 1) > period_clock() - interval '1 day' THEN
               RAISE EXCEPTION 'this is nothing that retention removes' USING ERRCODE = 'insufficient_privilege';
           END IF;
           SELECT * INTO attached FROM pg_inherits WHERE inhrelid = to_regclass(part);
           IF attached.inhrelid IS NULL THEN
               EXECUTE format('DROP TABLE IF EXISTS %I', part);
               RETURN true;
           END IF;
           IF parent = 'corrections' AND NOT attached.inhdetachpending THEN
               SELECT EXISTS (SELECT FROM corrections c JOIN correction_lanes l USING (partition)
                              WHERE c.period = old AND c.number > l.told) INTO untold;
               IF untold THEN
                   RAISE EXCEPTION 'corrections in it are not told yet' USING ERRCODE = 'insufficient_privilege';
               END IF;
           END IF;
           EXECUTE format('ALTER TABLE %I DETACH PARTITION %I %s', parent, part,
                          CASE WHEN attached.inhdetachpending THEN 'FINALIZE' ELSE '' END);
           RETURN false;
       END $$""",
]


def upgrade() -> None:
    op.execute(SUPPLIER_READERS)
    schema = op.get_bind().execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    for function in FUNCTIONS:
        op.execute(function.format(path=f"SET search_path = {schema}, pg_temp"))
    op.execute("REVOKE EXECUTE ON FUNCTION make_period(int), remove_part(text, int) FROM PUBLIC")
