-- Memberships begin and end by the clock. Of each tenant: the moment up to which
-- there are records of that, and the first date to come after it, 0 for none.
ALTER TABLE tenants ADD COLUMN clocked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
CREATE INDEX edges_starts ON edges (tenant, starts) WHERE starts <> 0;
CREATE INDEX edges_ends ON edges (tenant, ends) WHERE ends <> 0;
UPDATE tenants SET clocked = at, due = coalesce((SELECT min(d) FROM (
 SELECT min(e.starts) AS d FROM edges e WHERE e.tenant = tenants.pk AND e.starts <> 0 AND e.starts > tenants.at
 UNION ALL SELECT min(e.ends) FROM edges e WHERE e.tenant = tenants.pk AND e.ends <> 0 AND e.ends > tenants.at)), 0);
CREATE INDEX tenants_due ON tenants (due) WHERE due <> 0;
