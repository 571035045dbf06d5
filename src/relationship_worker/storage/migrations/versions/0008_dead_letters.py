"""Dead letters: what is held back behind one on which the worker itself failed, and what people did about each."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = """
-- Relationships whose next inputs wait behind one on which the worker itself failed. The customer is empty where it is about
-- the supplier's settings.
CREATE TABLE holds (
    supplier_id text COLLATE "C" NOT NULL,
    customer_id text COLLATE "C" NOT NULL,
    since       timestamptz      NOT NULL,
    topic       text             NOT NULL, -- where the dead letter came from
    partition   int              NOT NULL,
    "offset"    bigint           NOT NULL,
    step        text             NOT NULL DEFAULT 'waits', -- for a person; 'replay', 'follow': see storage/held_back.py
    asked_by    text,
    asked_why   text,
    said        text,                      -- what became of the last replay, where it did not go through
    PRIMARY KEY (supplier_id, customer_id)
);
CREATE UNIQUE INDEX holds_by_dead_letter ON holds (topic, partition, "offset");
CREATE INDEX holds_to_go_on ON holds (since) WHERE step <> 'waits';

-- The records themselves, as they came, in order of arrival: first the one on which the worker failed, then those behind it,
-- whose ids are used up.
CREATE TABLE held_inputs (
    arrival     bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    supplier_id text COLLATE "C" NOT NULL,
    customer_id text COLLATE "C" NOT NULL,
    held_at     timestamptz      NOT NULL,
    event_key   bytea,                     -- null: no id is used up
    topic       text             NOT NULL,
    partition   int              NOT NULL,
    "offset"    bigint           NOT NULL,
    key         bytea,
    value       bytea,                     -- null: it held personal data that was erased, and could not be read
    headers     bytea            NOT NULL
);
CREATE INDEX held_inputs_by_relationship ON held_inputs (supplier_id, customer_id, arrival);

-- What people did about dead letters: who, when, why. Never rewritten, but for personal data that is erased.
CREATE TABLE dead_letter_acts (
    number      bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text             NOT NULL, -- where the dead letter came from
    partition   int              NOT NULL,
    "offset"    bigint           NOT NULL,
    letter_at   timestamptz      NOT NULL, -- counts for letters of that place up to then: topics may be made anew
    act         text             NOT NULL, -- 'edited', 'replayed', 'discarded'
    at          timestamptz      NOT NULL,
    by_whom     text             NOT NULL,
    why         text,
    value       bytea,                     -- edited: the record as it is to be replayed
    headers     bytea
);
CREATE INDEX dead_letter_acts_by_letter ON dead_letter_acts (topic, partition, "offset", number);

-- Partitions that stand still because most of what they bring is bad.
CREATE TABLE stopped_partitions (
    topic     text        NOT NULL,
    partition int         NOT NULL,
    since     timestamptz NOT NULL,
    bad       int         NOT NULL, -- of the last
    of        int         NOT NULL,
    PRIMARY KEY (topic, partition)
);
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
