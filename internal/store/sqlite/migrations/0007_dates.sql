-- A diff looks for what a date has come of in between, also of what stands so no
-- more. Only what has dates is in these.
CREATE INDEX periods_starts ON periods (tenant, starts) WHERE starts <> 0;
CREATE INDEX periods_ends ON periods (tenant, ends) WHERE ends <> 0;
CREATE INDEX users_expires ON users (tenant, expires) WHERE expires <> 0;
CREATE INDEX pasts_expires ON pasts (tenant, expires) WHERE expires <> 0;
