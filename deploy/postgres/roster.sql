-- The role and the database that Roster works with. Run once, as a superuser,
-- with the role's password in a file:
--
--   ROSTER_PASSWORD_FILE=/etc/roster/db.password psql -d postgres -f roster.sql
--
-- The role owns its database and nothing else. It needs no other privilege:
-- no superuser, no replication, no extension.
\set ON_ERROR_STOP on
\set password `cat "$ROSTER_PASSWORD_FILE"`
CREATE ROLE roster LOGIN PASSWORD :'password';
CREATE DATABASE roster OWNER roster TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE roster FROM PUBLIC;
