"""What became known since the last look: every version and every change of settings with the transaction that brought it."""

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


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
