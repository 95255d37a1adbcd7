-- What lists are filtered and sorted by and is not as it was typed: text folded
-- by the program, names also in the order that people sort by, and attributes
-- with one folded text for each key. The program fills it for what is there; see
-- fill.go.

ALTER TABLE users
  ADD COLUMN name_sort       text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN given_fold      text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN family_fold     text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN display_fold    text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN attributes_fold jsonb;
CREATE INDEX users_sort ON users (tenant, name_sort);

ALTER TABLE groups
  ADD COLUMN name_sort        text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN description_fold text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN attributes_fold  jsonb;
CREATE INDEX groups_sort ON groups (tenant, name_sort);
