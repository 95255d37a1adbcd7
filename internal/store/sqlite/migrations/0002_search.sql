-- What lists are filtered and sorted by and is not as it was typed: text folded
-- by the program, names also in the order that people sort by, and attributes
-- with one folded text for each key. Functions of roster_ are the program's own.

ALTER TABLE users ADD COLUMN name_sort TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN given_fold TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN family_fold TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN display_fold TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN attributes_fold TEXT;
UPDATE users SET name_sort = roster_sort(name_fold), given_fold = roster_fold(given_name), family_fold = roster_fold(family_name),
 display_fold = roster_fold(display_name), attributes_fold = roster_fold_attributes(attributes);
CREATE INDEX users_sort ON users (tenant, name_sort);

ALTER TABLE groups ADD COLUMN name_sort TEXT NOT NULL DEFAULT '';
ALTER TABLE groups ADD COLUMN description_fold TEXT NOT NULL DEFAULT '';
ALTER TABLE groups ADD COLUMN attributes_fold TEXT;
UPDATE groups SET name_sort = roster_sort(name_fold), description_fold = roster_fold(description),
 attributes_fold = roster_fold_attributes(attributes);
CREATE INDEX groups_sort ON groups (tenant, name_sort);
