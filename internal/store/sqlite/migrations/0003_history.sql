-- How users (kind 1) and groups (kind 2) were before the commit "ended" changed
-- what is asked of the past, or deleted them: the row of a moment is the first
-- that ended after it, and what is there now if none did.
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
CREATE INDEX pasts_name ON pasts (tenant, kind, name_fold);

-- What ended is asked for from both ends too.
CREATE INDEX periods_member ON periods (tenant, member, grp, revision, ended, starts, ends);

-- The revision from which on the past is known whole.
ALTER TABLE tenants ADD COLUMN horizon INTEGER NOT NULL DEFAULT 0;
UPDATE tenants SET horizon = revision;
