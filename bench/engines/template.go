package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// passes is how many times the preload goes over the whole table. Building it
// in one sorted pass would leave every page full, and the measured rows would
// pay for splits that an older file has behind it.
const passes = 10

// template returns the path of a closed database with preload rows in the
// setup's layout, made on first use.
func (b *bench) template(ctx context.Context, s setup, preload int) (string, error) {
	path := filepath.Join(b.dir, fmt.Sprintf("template-%d-%t-%d-%d.db", s.layout.trees, s.layout.uuid, s.page, preload))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	b.note("preload %s", thousands(preload))
	return path, fill(ctx, path, s.layout, s.page, preload)
}

// fill makes a database at path with n rows in it.
func fill(ctx context.Context, path string, l layout, page, n int) (err error) {
	s := setup{
		layout:      l,
		statement:   prepared,
		batch:       max(1, n/passes),
		page:        page,
		cache:       512 * mib,
		checkpoint:  512 * mib,
		synchronous: "OFF",
	}
	if l.trees == 0 {
		s.log, s.rowwise = logOperations, true
	}
	db, err := s.open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, statement := range l.schema() {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	w, err := newWriter(ctx, db, s, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	return w.write(ctx, randomEdges(n, scatter, s.batch, 0))
}

// copyFile copies from to to.
func copyFile(to, from string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	return writeFile(to, source)
}

// growLog gives the database at path, which is closed, an empty write-ahead log
// with room for n bytes: what it will have after its first checkpoint and ever
// after. While the log still grows each commit also waits for the file system's
// own journal.
//
// The runs share one such file by hard links, which SQLite removes when it
// closes. Without its header what the last run left in it means nothing.
func (b *bench) growLog(path string, n int) (err error) {
	shared := filepath.Join(b.dir, fmt.Sprintf("log-%d", n))
	if _, err := os.Stat(shared); err != nil {
		if err := writeFile(shared, bytes.NewReader(make([]byte, n))); err != nil {
			return err
		}
	}
	if err := os.Link(shared, path+"-wal"); err != nil {
		return err
	}
	log, err := os.OpenFile(shared, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if _, err := log.Write(make([]byte, logHeader)); err != nil {
		return err
	}
	return log.Sync()
}

// logHeader is the size of the header of a write-ahead log
// (https://www.sqlite.org/fileformat2.html#walformat).
const logHeader = 32

// writeFile writes source to a new file and waits until it is on disk, so that
// nobody's clock pays for it. It writes as SQLite would, a page at a time: what
// is written at once Linux may cache as one piece, and then it counts all of the
// piece whenever a page of it changes.
func writeFile(path string, source io.Reader) (err error) {
	target, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if _, err := io.CopyBuffer(onlyWriter{target}, onlyReader{source}, make([]byte, 4*kib)); err != nil {
		return err
	}
	return target.Sync()
}

// An onlyWriter and an onlyReader hide the shortcuts that [io.CopyBuffer] would
// prefer to its buffer.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)
