package main

import (
	"database/sql"
	"fmt"
	"net/url"

	_ "modernc.org/sqlite" // the driver under measurement
)

// A setup is one way to write memberships: what is kept, how it is handed to
// the engine, who shares a commit, and how the engine is set.
type setup struct {
	layout layout
	log    logRows

	statement   statement
	cancellable bool // statements run under a context that can end
	savepoint   bool // around each operation
	rowwise     bool // each row is an operation of its own, not each batch

	batch   int // rows in a commit when there is one caller
	callers int // callers adding one row at a time and sharing commits; 0 means one caller with batches

	pattern  pattern
	unsorted bool // batches are written in the order they came, not by key

	page        int    // bytes
	cache       int    // bytes of page cache
	checkpoint  int    // bytes of write-ahead log between checkpoints
	synchronous string // as the pragma spells it
	tempFiles   bool   // what a statement may have to undo is kept in a file, not in memory
}

// A layout is the part of a setup that decides what is in the file before the
// clock starts.
type layout struct {
	trees int  // 0 keeps no edges, 1 the forward tree, 2 the reverse tree as well
	uuid  bool // groups and members are 16-byte keys, not integers
}

// logRows says what becomes a row of the change log.
type logRows int

const (
	logNothing logRows = iota
	logCommits
	logOperations
)

// A statement is a way to hand a batch to SQLite.
type statement int

const (
	prepared      statement = iota // one prepared INSERT for each row
	unprepared                     // the same, compiled each time
	jsonEach                       // one INSERT … SELECT FROM json_each
	jsonReturning                  // the same, reading back the rows that were new
	jsonAskFirst                   // a SELECT of the rows already there, then jsonEach
)

// A pattern is what the rows of a batch have in common.
type pattern int

const (
	scatter   pattern = iota // nothing: a random member and a random group
	intoGroup                // all go into one group
	ofMember                 // each batch is one member going into many groups
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// roster is the setup that Roster runs with.
func roster() setup {
	return setup{
		layout:      layout{trees: 2},
		log:         logOperations,
		statement:   jsonEach,
		batch:       1000,
		page:        4 * kib,
		cache:       64 * mib,
		checkpoint:  64 * mib,
		synchronous: "FULL",
	}
}

// open returns a pool of one connection to the file, which is made if it is not
// there.
func (s setup) open(path string) (*sql.DB, error) {
	tempStore := "MEMORY"
	if s.tempFiles {
		tempStore = "DEFAULT"
	}
	pragmas := url.Values{"_pragma": {
		fmt.Sprintf("page_size(%d)", s.page),
		"journal_mode(WAL)",
		fmt.Sprintf("synchronous(%s)", s.synchronous),
		fmt.Sprintf("wal_autocheckpoint(%d)", s.checkpoint/s.page),
		fmt.Sprintf("cache_size(%d)", -s.cache/kib),
		fmt.Sprintf("temp_store(%s)", tempStore),
	}}
	db, err := sql.Open("sqlite", "file:"+path+"?"+pragmas.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// schema returns the statements that make the layout's tables.
func (l layout) schema() []string {
	key := "INTEGER"
	if l.uuid {
		key = "BLOB"
	}
	statements := []string{
		`CREATE TABLE changes (
			tenant INTEGER NOT NULL,
			rev    INTEGER NOT NULL,
			body   BLOB    NOT NULL,
			PRIMARY KEY (tenant, rev)
		) WITHOUT ROWID`,
		fmt.Sprintf(`CREATE TABLE edges (
			tenant INTEGER NOT NULL,
			grp    %[1]s NOT NULL,
			member %[1]s NOT NULL,
			PRIMARY KEY (tenant, grp, member)
		) WITHOUT ROWID`, key),
	}
	if l.trees == 2 {
		statements = append(statements, `CREATE UNIQUE INDEX edges_by_member ON edges (tenant, member, grp)`)
	}
	return statements
}
