package main

import (
	"database/sql"
	"slices"
	"time"

	_ "modernc.org/sqlite" // the reference rate is the engine's own

	"roster/internal/directory"
)

// engine is the embedded engine by itself: the edge table and its two B-trees as
// the store has them, and nothing of Roster.
type engine struct {
	db   *sql.DB
	next int
}

func newEngine(path string) (*engine, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(16384)&_pragma=cache_size(-65536)&_pragma=temp_store(MEMORY)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE TABLE edges (
  tenant INTEGER NOT NULL, grp INTEGER NOT NULL, member INTEGER NOT NULL, serial INTEGER NOT NULL, revision INTEGER NOT NULL,
  added INTEGER NOT NULL, starts INTEGER NOT NULL, ends INTEGER NOT NULL, role INTEGER NOT NULL, source TEXT, reason TEXT,
  PRIMARY KEY (tenant, grp, member)) WITHOUT ROWID;
CREATE INDEX edges_member ON edges (tenant, member, grp, starts, ends);`)
	return &engine{db: db}, err
}

func (e *engine) close() error { return e.db.Close() }

// change adds edges, or removes them, in durable commits of 1,000 each, and says
// what one edge cost.
func (e *engine) change(do directory.BatchDo, edges []edge) (sample, error) {
	text := "INSERT INTO edges VALUES (1, ?1, ?2, ?3, ?3, 0, 0, 0, 0, NULL, NULL)"
	if do == directory.RemoveMembers {
		text = "DELETE FROM edges WHERE tenant = 1 AND grp = ?1 AND member = ?2 AND serial <> ?3"
	}
	start := time.Now()
	for chunk := range slices.Chunk(edges, 1000) {
		if err := e.commit(text, chunk); err != nil {
			return sample{}, err
		}
	}
	return sample{cost: float64(time.Since(start).Nanoseconds()) / float64(len(edges))}, nil
}

func (e *engine) commit(text string, edges []edge) error {
	tx, err := e.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	st, err := tx.Prepare(text)
	if err != nil {
		return err
	}
	for _, edge := range edges {
		e.next++
		if _, err := st.Exec(int64(edge.group), int64(edge.member), e.next); err != nil {
			return err
		}
	}
	return tx.Commit()
}
