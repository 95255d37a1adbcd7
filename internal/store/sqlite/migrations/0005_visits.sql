-- How often a user signed in on a day, counted from that of the Unix epoch. Days
-- long past are dropped when the user signs in again.

CREATE TABLE visits (
  tenant INTEGER NOT NULL,
  number INTEGER NOT NULL,
  day    INTEGER NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (tenant, number, day)
) WITHOUT ROWID;
