-- How users (kind 1) and groups (kind 2) were before the commit "ended" changed
-- what is asked of the past, or deleted them: the row of a moment is the first
-- that ended after it, and what is there now if none did.
CREATE TABLE pasts (
  tenant    bigint   NOT NULL,
  kind      smallint NOT NULL,
  number    bigint   NOT NULL,
  ended     bigint   NOT NULL,
  created   bigint   NOT NULL, -- the commit that made the user or group
  id        uuid     NOT NULL,
  code      bigint   NOT NULL,
  name      text     NOT NULL,
  name_fold text     COLLATE "C" NOT NULL,
  suspended boolean  NOT NULL,
  expires   bigint   NOT NULL,
  PRIMARY KEY (tenant, kind, number, ended)
);
CREATE INDEX pasts_name ON pasts (tenant, kind, name_fold);

-- Deleted things are found by code too, in the past.
CREATE INDEX graves_code ON graves (tenant, kind, code);

-- What ended is asked for from both ends too.
CREATE INDEX periods_member ON periods (tenant, member, grp, revision, ended) INCLUDE (starts, ends);

-- The revision from which on the past is known whole.
ALTER TABLE heads ADD COLUMN horizon bigint NOT NULL DEFAULT 0;
UPDATE heads SET horizon = revision;
