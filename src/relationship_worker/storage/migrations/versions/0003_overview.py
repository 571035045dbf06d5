"""What a desk looks at: open requests by age, resubmission dates that have passed, refused inputs."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = """
-- Since when a request is open (deferred or not), and the day that its newest deferral named. A reminder that was told
-- leaves the day where it is: the request is still to be decided.
ALTER TABLE relationships
    ADD COLUMN open_since        timestamptz,
    ADD COLUMN resubmission_date date;
UPDATE relationships r
SET open_since = (SELECT max(h.valid_from) FROM relationship_history h
                  WHERE h.supplier_id = r.supplier_id AND h.customer_id = r.customer_id AND h.state = 'requested'),
    resubmission_date = (SELECT h.resubmission_date FROM relationship_history h
                         WHERE h.supplier_id = r.supplier_id AND h.customer_id = r.customer_id
                               AND h.version = r.version AND h.state = 'deferred')
WHERE state IN ('requested', 'deferred');

-- A supplier's relationships, as they are listed: what is overdue, what is open, and the rest by state.
CREATE INDEX relationships_by_resubmission_date ON relationships (supplier_id, resubmission_date, customer_id)
    WHERE resubmission_date IS NOT NULL;
CREATE INDEX relationships_by_age ON relationships (supplier_id, state, open_since, customer_id)
    WHERE open_since IS NOT NULL;
CREATE INDEX relationships_by_state ON relationships (supplier_id, state, customer_id)
    WHERE open_since IS NULL;

-- Inputs of which the domain said no, with what they met. A refusal of settings has no customer. No free texts.
CREATE TABLE refusals (
    number       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    supplier_id  text        NOT NULL,
    customer_id  text,
    event_id     text        NOT NULL,
    event_source text        NOT NULL,
    type         text        NOT NULL, -- of the input
    reason       text        NOT NULL,
    state        text,                 -- that it met; null: settings
    version      int         NOT NULL,
    event_time   timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL
);
CREATE INDEX refusals_by_relationship ON refusals (supplier_id, customer_id, number);
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
