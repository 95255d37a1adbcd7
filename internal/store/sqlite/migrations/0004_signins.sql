-- How users sign in: counters and what administrators decide about it. A user
-- without a row never tried.
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

-- Who joins a group when it is made: "*" is every user, anything else the domain
-- of an e-mail address; separated by spaces, in order.
ALTER TABLE groups ADD COLUMN joins TEXT NOT NULL DEFAULT '';
CREATE INDEX groups_joins ON groups (tenant, number) WHERE joins <> '';
