-- How users sign in: counters and what administrators decide about it. A user
-- without a row never tried.
CREATE TABLE signins (
  tenant       bigint  NOT NULL,
  number       bigint  NOT NULL,
  successes    bigint  NOT NULL,
  failures     bigint  NOT NULL,
  streak       bigint  NOT NULL,
  last_success bigint  NOT NULL,
  last_failure bigint  NOT NULL,
  changed      bigint  NOT NULL,
  locked       boolean NOT NULL,
  must_change  boolean NOT NULL,
  change_every bigint  NOT NULL,
  PRIMARY KEY (tenant, number)
);

-- Who joins a group when it is made: "*" is every user, anything else the domain
-- of an e-mail address; separated by spaces, in order.
ALTER TABLE groups ADD COLUMN joins text NOT NULL DEFAULT '';
CREATE INDEX groups_joins ON groups (tenant, number) WHERE joins <> '';
