"""Corrections: what was told last, which facts an answer knew, and facts that became known since."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = """
-- Which of the supplier's settings were known when the version became known: says in which order facts became known.
ALTER TABLE relationship_history ADD COLUMN settings_change int NOT NULL DEFAULT 0;

-- The change named a default customer number (it may have been there before).
ALTER TABLE supplier_settings ADD COLUMN brings_default boolean NOT NULL DEFAULT false;

-- What an order's answer may depend on, so that it can be found and judged again when a fact becomes known.
ALTER TABLE answers
    ADD COLUMN record_key   bytea,                          -- of the order's record: its correction goes out under the same
    ADD COLUMN created_at   timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN channel      text,
    ADD COLUMN knew_version int         NOT NULL DEFAULT 0, -- the newest version known when it was answered
    ADD COLUMN knew_change  int         NOT NULL DEFAULT 0, -- the supplier's newest change of settings known then
    ADD COLUMN open         boolean     NOT NULL DEFAULT false, -- later facts may change what it must be told
    ADD COLUMN corrected    text                            -- JSON: the answer that it was told last, if not the first
;
CREATE INDEX answers_by_customer ON answers (supplier_id, customer_id, order_id);
CREATE INDEX repeated_orders_by_order ON repeated_orders (supplier_id, order_id);

-- Facts that became known, until every answer that they may change has been looked at; written with the fact itself.
-- Numbers follow the order in which the facts of one relationship, or of one supplier, became known.
CREATE TABLE new_facts (
    number       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    supplier_id  text        NOT NULL,
    customer_id  text,                  -- null: the supplier's settings
    version      int         NOT NULL,  -- of the relationship; 0 for settings
    change       int         NOT NULL,  -- the supplier's newest settings known with it
    valid_from   timestamptz NOT NULL,
    event_key    bytea       NOT NULL,
    event_id     text        NOT NULL,
    event_source text        NOT NULL,
    trace        bytea       NOT NULL,
    looked_up_to text        NOT NULL DEFAULT ''  -- order ids, as far as they were looked at
);
CREATE INDEX new_facts_by_supplier ON new_facts (supplier_id, number);

-- Corrections in the order in which they are told on their partition, by the lane that told the order itself.
CREATE TABLE correction_lanes (
    partition int    PRIMARY KEY,      -- of the orders topic
    last      bigint NOT NULL,
    told      bigint NOT NULL DEFAULT 0 -- Kafka has these; it may have more, which the note beside the position says
);
CREATE TABLE corrections (
    partition    int         NOT NULL,
    number       bigint      NOT NULL, -- from 1, without gaps
    after        bigint      NOT NULL, -- to be told once this offset of the orders partition is
    supplier_id  text        NOT NULL,
    order_id     text        NOT NULL,
    customer_id  text,
    record_key   bytea,
    order_event  bytea       NOT NULL, -- the event_key of the order's answer
    previous     text        NOT NULL, -- JSON, as told before
    answer       text        NOT NULL, -- JSON
    event_key    bytea       NOT NULL, -- of the fact behind it
    event_id     text        NOT NULL,
    event_source text        NOT NULL,
    trace        bytea       NOT NULL,
    decided_at   timestamptz NOT NULL,
    PRIMARY KEY (partition, number)
);
CREATE INDEX corrections_by_order ON corrections (supplier_id, order_id);
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
