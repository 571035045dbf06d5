-- Roles and database, made once by the server's administrator: psql -v worker=relationship_worker -f postgresql-roles.sql
-- No passwords here: set them with \password, or let pg_hba.conf ask for certificates. What each role may do, `init` says: it
-- runs as the owner, with RELATIONSHIP_WORKER_DATABASE_WORKER_ROLE set to the worker's name.
\set ON_ERROR_STOP on
\if :{?worker}
\else
    \set worker relationship_worker
\endif
\set owner :worker _owner
\set reader :worker _reader
\set supplier :worker _supplier

CREATE ROLE :"owner" LOGIN;     -- `init`: owns the schema
CREATE ROLE :"worker" LOGIN;    -- `run`, and whatever acts on dead letters
CREATE ROLE :"reader" LOGIN;    -- commands that only read, over all suppliers
CREATE ROLE :"supplier" NOLOGIN; -- its members read the rows of their own suppliers alone

CREATE DATABASE :"worker" OWNER :"owner";
REVOKE ALL ON DATABASE :"worker" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"worker" TO :"worker", :"reader", :"supplier";
\connect :"worker"
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- A supplier's own reader, as often as there are such:
--   CREATE ROLE shop_1_reader LOGIN IN ROLE relationship_worker_supplier;
-- and, once `init` has run, as the owner:
--   INSERT INTO supplier_readers VALUES ('shop_1_reader', 'shop-1');
