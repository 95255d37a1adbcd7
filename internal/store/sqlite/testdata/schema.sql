CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  next INTEGER NOT NULL
) WITHOUT ROWID;
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
CREATE TABLE externals (
  tenant INTEGER NOT NULL,
  kind   INTEGER NOT NULL,
  source TEXT    NOT NULL,
  key    TEXT    NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (tenant, kind, source, key)
) WITHOUT ROWID;
CREATE TABLE graves (
  tenant INTEGER NOT NULL,
  kind   INTEGER NOT NULL,
  number INTEGER NOT NULL,
  id     BLOB    NOT NULL,
  code   INTEGER NOT NULL,
  name   TEXT    NOT NULL,
  PRIMARY KEY (tenant, kind, number)
) WITHOUT ROWID;
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
  attributes  TEXT, name_sort TEXT NOT NULL DEFAULT '', description_fold TEXT NOT NULL DEFAULT '', attributes_fold TEXT, joins TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, number)
);
CREATE TABLE kept (
  tenant      INTEGER NOT NULL,
  credential  BLOB    NOT NULL,
  key         TEXT    NOT NULL,
  at          INTEGER NOT NULL,
  fingerprint BLOB    NOT NULL,
  answer      BLOB    NOT NULL,
  PRIMARY KEY (tenant, credential, key)
);
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
CREATE TABLE pasts (
  tenant    INTEGER NOT NULL,
  kind      INTEGER NOT NULL,
  number    INTEGER NOT NULL,
  ended     INTEGER NOT NULL,
  created   INTEGER NOT NULL, -- the commit that made the user or group
  id        BLOB    NOT NULL,
  code      INTEGER NOT NULL,
  name      TEXT    NOT NULL,
  name_fold TEXT    NOT NULL,
  suspended INTEGER NOT NULL,
  expires   INTEGER NOT NULL,
  PRIMARY KEY (tenant, kind, number, ended)
) WITHOUT ROWID;
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
CREATE TABLE persons (
  id         BLOB PRIMARY KEY,
  code       INTEGER NOT NULL UNIQUE,
  email_fold TEXT UNIQUE
) WITHOUT ROWID;
CREATE TABLE signins (
  tenant       INTEGER NOT NULL,
  number       INTEGER NOT NULL,
  successes    INTEGER NOT NULL,
  failures     INTEGER NOT NULL,
  streak       INTEGER NOT NULL,
  last_success INTEGER NOT NULL,
  last_failure INTEGER NOT NULL,
  changed      INTEGER NOT NULL,
  locked       INTEGER NOT NULL,
  must_change  INTEGER NOT NULL,
  change_every INTEGER NOT NULL,
  PRIMARY KEY (tenant, number)
) WITHOUT ROWID;
CREATE TABLE sqlite_sequence(name,seq);
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
, horizon INTEGER NOT NULL DEFAULT 0, clocked INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL DEFAULT 0);
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
  attributes     TEXT, name_sort TEXT NOT NULL DEFAULT '', given_fold TEXT NOT NULL DEFAULT '', family_fold TEXT NOT NULL DEFAULT '', display_fold TEXT NOT NULL DEFAULT '', attributes_fold TEXT,
  PRIMARY KEY (tenant, number)
);
CREATE TABLE visits (
  tenant INTEGER NOT NULL,
  number INTEGER NOT NULL,
  day    INTEGER NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (tenant, number, day)
) WITHOUT ROWID;
CREATE INDEX credentials_code ON credentials (tenant, code);
CREATE INDEX credentials_expires ON credentials (tenant, kind, expires) WHERE expires <> 0;
CREATE INDEX credentials_handle ON credentials (tenant, kind, handle) WHERE handle <> '';
CREATE UNIQUE INDEX credentials_hash ON credentials (kind, hash);
CREATE UNIQUE INDEX credentials_id ON credentials (id);
CREATE INDEX credentials_parent ON credentials (tenant, parent) WHERE parent IS NOT NULL;
CREATE INDEX credentials_user ON credentials (tenant, user) WHERE user IS NOT NULL;
CREATE INDEX edges_ends ON edges (tenant, ends) WHERE ends <> 0;
CREATE INDEX edges_member ON edges (tenant, member, grp, starts, ends);
CREATE INDEX edges_starts ON edges (tenant, starts) WHERE starts <> 0;
CREATE INDEX graves_code ON graves (kind, code);
CREATE INDEX graves_id ON graves (tenant, kind, id);
CREATE INDEX groups_grants ON groups (tenant, number) WHERE grants <> 0;
CREATE UNIQUE INDEX groups_id ON groups (tenant, id);
CREATE INDEX groups_joins ON groups (tenant, number) WHERE joins <> '';
CREATE INDEX groups_name ON groups (tenant, name_fold);
CREATE INDEX groups_sort ON groups (tenant, name_sort);
CREATE INDEX kept_at ON kept (tenant, at);
CREATE INDEX pasts_expires ON pasts (tenant, expires) WHERE expires <> 0;
CREATE INDEX pasts_name ON pasts (tenant, kind, name_fold);
CREATE INDEX periods_ends ON periods (tenant, ends) WHERE ends <> 0;
CREATE INDEX periods_member ON periods (tenant, member, grp, revision, ended, starts, ends);
CREATE INDEX periods_starts ON periods (tenant, starts) WHERE starts <> 0;
CREATE INDEX tenants_due ON tenants (due) WHERE due <> 0;
CREATE UNIQUE INDEX users_email ON users (tenant, email_fold);
CREATE INDEX users_expires ON users (tenant, expires) WHERE expires <> 0;
CREATE UNIQUE INDEX users_id ON users (tenant, id);
CREATE UNIQUE INDEX users_name ON users (tenant, name_fold);
CREATE INDEX users_person ON users (person, tenant);
CREATE INDEX users_sort ON users (tenant, name_sort);
