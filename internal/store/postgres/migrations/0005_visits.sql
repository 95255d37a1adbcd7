-- How often a user signed in on a day, counted from that of the Unix epoch. Days
-- long past are dropped when the user signs in again.

CREATE TABLE visits (
  tenant bigint NOT NULL,
  number int    NOT NULL,
  day    bigint NOT NULL,
  count  bigint NOT NULL,
  PRIMARY KEY (tenant, number, day)
);
