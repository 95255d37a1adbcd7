-- Times are microseconds since the Unix epoch, 0 for none. Ids are 16 bytes.
-- Names are stored as typed and, folded by the program, in *_fold.
-- The tenant with pk 1 and an all-zero id is the platform itself.
--
-- A table whose rows may be long is a table with rowids: one without would read
-- whole rows to compare their keys.

CREATE TABLE tenants (
  pk          INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: graves keep it
  id          BLOB    NOT NULL UNIQUE,
  code        INTEGER NOT NULL UNIQUE,
  name        TEXT    NOT NULL UNIQUE,
  title       TEXT    NOT NULL,
  version     INTEGER NOT NULL,
  created     INTEGER NOT NULL,
  modified    INTEGER NOT NULL,
  attributes  TEXT,
  revision    INTEGER NOT NULL DEFAULT 0,
  at          INTEGER NOT NULL DEFAULT 0,
  next_user   INTEGER NOT NULL DEFAULT 1,
  next_group  INTEGER NOT NULL DEFAULT 1,
  next_serial INTEGER NOT NULL DEFAULT 1,
  shape       INTEGER NOT NULL DEFAULT 0
);
INSERT INTO tenants (pk, id, code, name, title, version, created, modified)
VALUES (1, zeroblob(16), 0, '', 'platform', 1, 0, 0);

-- The next code of each kind, across the deployment.
CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  next INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters (name, next)
VALUES ('tenant', 1), ('person', 1), ('user', 1), ('group', 1), ('credential', 1);

-- One human across tenants. email_fold is set only when it is verified.
CREATE TABLE persons (
  id         BLOB PRIMARY KEY,
  code       INTEGER NOT NULL UNIQUE,
  email_fold TEXT UNIQUE
) WITHOUT ROWID;

CREATE TABLE users (
  tenant         INTEGER NOT NULL,
  number         INTEGER NOT NULL,
  id             BLOB    NOT NULL,
  code           INTEGER NOT NULL UNIQUE,
  person         BLOB    NOT NULL,
  name           TEXT    NOT NULL,
  name_fold      TEXT    NOT NULL,
  email          TEXT    NOT NULL,
  email_fold     TEXT,
  email_verified INTEGER NOT NULL,
  given_name     TEXT    NOT NULL,
  family_name    TEXT    NOT NULL,
  display_name   TEXT    NOT NULL,
  suspended      INTEGER NOT NULL,
  expires        INTEGER NOT NULL,
  version        INTEGER NOT NULL,
  created        INTEGER NOT NULL,
  modified       INTEGER NOT NULL,
  created_in     INTEGER NOT NULL,
  modified_in    INTEGER NOT NULL,
  externals      TEXT,
  attributes     TEXT,
  PRIMARY KEY (tenant, number)
);
CREATE UNIQUE INDEX users_id ON users (tenant, id);
CREATE UNIQUE INDEX users_name ON users (tenant, name_fold);
CREATE INDEX users_person ON users (person, tenant); -- a person spans tenants
CREATE UNIQUE INDEX users_email ON users (tenant, email_fold);

CREATE TABLE groups (
  tenant      INTEGER NOT NULL,
  number      INTEGER NOT NULL,
  id          BLOB    NOT NULL,
  code        INTEGER NOT NULL UNIQUE,
  name        TEXT    NOT NULL,
  name_fold   TEXT    NOT NULL,
  description TEXT    NOT NULL,
  grants      INTEGER NOT NULL,
  built_in    INTEGER NOT NULL,
  version     INTEGER NOT NULL,
  created     INTEGER NOT NULL,
  modified    INTEGER NOT NULL,
  created_in  INTEGER NOT NULL,
  modified_in INTEGER NOT NULL,
  externals   TEXT,
  attributes  TEXT,
  PRIMARY KEY (tenant, number)
);
CREATE UNIQUE INDEX groups_id ON groups (tenant, id);
CREATE INDEX groups_name ON groups (tenant, name_fold);
CREATE INDEX groups_grants ON groups (tenant, number) WHERE grants <> 0;

-- What an outside source calls a user (kind 1) or a group (kind 2).
CREATE TABLE externals (
  tenant INTEGER NOT NULL,
  kind   INTEGER NOT NULL,
  source TEXT    NOT NULL,
  key    TEXT    NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (tenant, kind, source, key)
) WITHOUT ROWID;

-- Names of deleted users (1), groups (2) and tenants (3), never given again.
CREATE TABLE graves (
  tenant INTEGER NOT NULL,
  kind   INTEGER NOT NULL,
  number INTEGER NOT NULL,
  id     BLOB    NOT NULL,
  code   INTEGER NOT NULL,
  name   TEXT    NOT NULL,
  PRIMARY KEY (tenant, kind, number)
) WITHOUT ROWID;
CREATE INDEX graves_id ON graves (tenant, kind, id);
CREATE INDEX graves_code ON graves (kind, code);

-- Who stands in what. member is a user's number, or a group's negated. The two
-- B-trees of an edge are all integers and no wider than this (ADR 2).
-- added is 0 where it equals revision.
CREATE TABLE edges (
  tenant   INTEGER NOT NULL,
  grp      INTEGER NOT NULL,
  member   INTEGER NOT NULL,
  serial   INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  added    INTEGER NOT NULL,
  starts   INTEGER NOT NULL,
  ends     INTEGER NOT NULL,
  role     INTEGER NOT NULL,
  source   TEXT,
  reason   TEXT,
  PRIMARY KEY (tenant, grp, member)
) WITHOUT ROWID;
CREATE INDEX edges_member ON edges (tenant, member, grp, starts, ends);

-- How memberships stood before they changed or ended, at revision ended.
CREATE TABLE periods (
  tenant   INTEGER NOT NULL,
  grp      INTEGER NOT NULL,
  member   INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  ended    INTEGER NOT NULL,
  serial   INTEGER NOT NULL,
  added    INTEGER NOT NULL,
  starts   INTEGER NOT NULL,
  ends     INTEGER NOT NULL,
  role     INTEGER NOT NULL,
  source   TEXT,
  reason   TEXT,
  PRIMARY KEY (tenant, grp, member, revision)
) WITHOUT ROWID;

-- The change log: one row a commit.
CREATE TABLE log (
  tenant     INTEGER NOT NULL,
  revision   INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  credential BLOB,
  user       BLOB,
  actor      TEXT    NOT NULL,
  dialect    TEXT    NOT NULL,
  request    TEXT    NOT NULL,
  body       TEXT    NOT NULL,
  PRIMARY KEY (tenant, revision)
);

CREATE TABLE credentials (
  tenant     INTEGER NOT NULL,
  id         BLOB    NOT NULL,
  code       INTEGER NOT NULL UNIQUE,
  kind       TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  handle     TEXT    NOT NULL,
  user       BLOB,
  parent     BLOB,
  grants     INTEGER NOT NULL,
  expires    INTEGER NOT NULL,
  created    INTEGER NOT NULL,
  used       INTEGER NOT NULL DEFAULT 0,
  sealed     BLOB,
  hash       BLOB    NOT NULL,
  attributes TEXT,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX credentials_id ON credentials (id);
CREATE UNIQUE INDEX credentials_hash ON credentials (kind, hash);
CREATE INDEX credentials_code ON credentials (tenant, code);
CREATE INDEX credentials_handle ON credentials (tenant, kind, handle) WHERE handle <> '';
CREATE INDEX credentials_user ON credentials (tenant, user) WHERE user IS NOT NULL;
CREATE INDEX credentials_parent ON credentials (tenant, parent) WHERE parent IS NOT NULL;
CREATE INDEX credentials_expires ON credentials (tenant, kind, expires) WHERE expires <> 0;

-- Answers kept for retried requests.
CREATE TABLE kept (
  tenant      INTEGER NOT NULL,
  credential  BLOB    NOT NULL,
  key         TEXT    NOT NULL,
  at          INTEGER NOT NULL,
  fingerprint BLOB    NOT NULL,
  answer      BLOB    NOT NULL,
  PRIMARY KEY (tenant, credential, key)
);
CREATE INDEX kept_at ON kept (tenant, at);
