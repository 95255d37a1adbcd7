-- Memberships begin and end by the clock. Of each tenant: the moment up to which
-- there are records of that, and the first date to come after it, 0 for none.
ALTER TABLE heads ADD COLUMN clocked bigint NOT NULL DEFAULT 0;
ALTER TABLE heads ADD COLUMN due bigint NOT NULL DEFAULT 0;
CREATE INDEX edges_starts ON edges (tenant, starts) WHERE starts <> 0;
CREATE INDEX edges_ends ON edges (tenant, ends) WHERE ends <> 0;
UPDATE heads h SET clocked = h.at, due = coalesce(least(
 (SELECT min(e.starts) FROM edges e WHERE e.tenant = h.tenant AND e.starts <> 0 AND e.starts > h.at),
 (SELECT min(e.ends) FROM edges e WHERE e.tenant = h.tenant AND e.ends <> 0 AND e.ends > h.at)), 0);
CREATE INDEX heads_due ON heads (due) WHERE due <> 0;
