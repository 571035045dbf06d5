"""The first schema: relationships, settings, answers, the outbox."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = """
-- How far each partition of the relationship topics is applied. Whoever takes a partition over raises the epoch: the
-- former owner then updates no row, and stops.
CREATE TABLE positions (
    topic     text   NOT NULL,
    partition int    NOT NULL,
    position  bigint NOT NULL,
    epoch     bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- The events of the relationship topics that are used up: (topic, source, id) as 16 bytes.
CREATE TABLE inbox (
    event_key   bytea       PRIMARY KEY,
    data_hash   bytea       NOT NULL,
    received_at timestamptz NOT NULL
);

-- One row per supplier: its newest settings. Locked FOR SHARE by whatever reads them to decide, FOR UPDATE by a change.
CREATE TABLE suppliers (
    supplier_id text  PRIMARY KEY,
    change      int   NOT NULL DEFAULT 0,
    valid_from  timestamptz,
    settings    jsonb NOT NULL DEFAULT '{}'
);

-- Every change of settings, with all settings as they were from then on. Never rewritten.
CREATE TABLE supplier_settings (
    supplier_id  text        NOT NULL,
    change       int         NOT NULL,
    valid_from   timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,
    settings     jsonb       NOT NULL,
    event_id     text        NOT NULL,
    event_source text        NOT NULL,
    PRIMARY KEY (supplier_id, change)
);

-- One row per relationship, locked while an input of it is decided; state `none` holds the lock's place before a request.
CREATE TABLE relationships (
    supplier_id         text    NOT NULL,
    customer_id         text    NOT NULL,
    state               text    NOT NULL DEFAULT 'none',
    version             int     NOT NULL DEFAULT 0,
    valid_from          timestamptz,
    customer_number     text,
    previously_rejected boolean NOT NULL DEFAULT false,
    profile             text,         -- JSON, as last told
    profile_at          timestamptz,
    assortment          text,         -- JSON, as last told
    assortment_at       timestamptz,
    PRIMARY KEY (supplier_id, customer_id)
);
CREATE INDEX relationships_by_number ON relationships (supplier_id, customer_number)
    WHERE state = 'partner' AND customer_number IS NOT NULL;

-- Every transition and number change. Never rewritten, but for personal data that is erased.
CREATE TABLE relationship_history (
    supplier_id         text        NOT NULL,
    customer_id         text        NOT NULL,
    version             int         NOT NULL,
    type                text        NOT NULL,
    state               text        NOT NULL,
    previous_state      text        NOT NULL,
    customer_number     text,
    previous_number     text,
    brings_number       boolean     NOT NULL,
    valid_from          timestamptz NOT NULL,
    recorded_at         timestamptz NOT NULL,
    decided_by          text,
    reason              text,
    message             text,
    resubmission_date   date,
    previously_rejected boolean     NOT NULL,
    event_id            text        NOT NULL,
    event_source        text        NOT NULL,
    PRIMARY KEY (supplier_id, customer_id, version)
);

-- Decisions whose request is not here yet: the records as they came, in order of arrival.
CREATE TABLE parked (
    arrival     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    supplier_id text        NOT NULL,
    customer_id text        NOT NULL,
    arrived_at  timestamptz NOT NULL,
    event_key   bytea       NOT NULL,
    topic       text        NOT NULL,
    partition   int         NOT NULL,
    "offset"    bigint      NOT NULL,
    key         bytea,
    value       bytea       NOT NULL,
    headers     bytea       NOT NULL
);
CREATE INDEX parked_by_relationship ON parked (supplier_id, customer_id);
CREATE INDEX parked_by_arrival_time ON parked (arrived_at);

-- Live deferrals with a date, until their reminder is told. due_at follows from date, zone and hour; it is computed anew
-- whenever the supplier's settings or the zones' rules change.
CREATE TABLE deferrals (
    supplier_id  text        NOT NULL,
    customer_id  text        NOT NULL,
    version      int         NOT NULL,
    due_on       date        NOT NULL,
    due_at       timestamptz NOT NULL,
    deferred_at  timestamptz NOT NULL,
    reason       text,
    event_key    bytea       NOT NULL,
    event_id     text        NOT NULL,
    event_source text        NOT NULL,
    trace        bytea       NOT NULL,
    PRIMARY KEY (supplier_id, customer_id)
);
CREATE INDEX deferrals_by_due_at ON deferrals (due_at);

-- Complete messages on their way to Kafka. A lane's numbers have no gaps and follow the order of commits, because its row
-- in outbox_lanes stays locked from taking them to the commit.
CREATE TABLE outbox_lanes (
    lane int    PRIMARY KEY,
    last bigint NOT NULL DEFAULT 0
);
CREATE TABLE outbox (
    lane      int    NOT NULL,
    number    bigint NOT NULL,
    topic     text   NOT NULL,
    partition int    NOT NULL,
    key       bytea,
    value     bytea,
    headers   bytea  NOT NULL,
    PRIMARY KEY (lane, number)
);

-- One row per order: the answer that was told first, and the event that it was told to. A repeated order finds it by
-- (supplier_id, order_id), a repeated event by event_key.
CREATE TABLE answers (
    event_key   bytea       PRIMARY KEY,
    data_hash   bytea       NOT NULL,
    supplier_id text        NOT NULL,
    order_id    text        NOT NULL,
    customer_id text,
    answer      text        NOT NULL, -- JSON, as told
    partition   int         NOT NULL, -- of the orders topic
    "offset"    bigint      NOT NULL,
    answered_at timestamptz NOT NULL,
    UNIQUE (supplier_id, order_id)
);

-- Further events of orders that were answered before.
CREATE TABLE repeated_orders (
    event_key   bytea       PRIMARY KEY,
    data_hash   bytea       NOT NULL,
    supplier_id text        NOT NULL,
    order_id    text        NOT NULL,
    answer      text        NOT NULL, -- JSON, as told to this event
    partition   int         NOT NULL,
    "offset"    bigint      NOT NULL,
    answered_at timestamptz NOT NULL
);

-- Facts about the database itself, such as the version of the zone rules that due_at was computed with.
CREATE TABLE notes (
    name text PRIMARY KEY,
    text text NOT NULL
);
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
