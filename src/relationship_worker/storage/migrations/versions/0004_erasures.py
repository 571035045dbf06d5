"""Erasures: that personal data was removed, and up to when what arrives late is without it."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = """
-- One row per erasure that was done. What arrives later, but is not newer than `up_to`, is kept without personal data.
CREATE TABLE erasures (
    customer_id  text        NOT NULL,
    supplier_id  text,                 -- null: of all suppliers
    up_to        timestamptz NOT NULL, -- the erasure's own time
    recorded_at  timestamptz NOT NULL,
    event_id     text        NOT NULL,
    event_source text        NOT NULL
);
CREATE INDEX erasures_by_customer ON erasures (customer_id);

-- An erasure of all suppliers finds the customer's relationships by it.
CREATE INDEX relationships_by_customer ON relationships (customer_id);
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
