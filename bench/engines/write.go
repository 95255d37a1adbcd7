package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// tenant is the one that everything here belongs to.
const tenant = 1

// A writer commits operations as its setup says. It is not safe for concurrent
// use: the engine has one writer, and this is it.
type writer struct {
	setup setup
	conn  *sql.Conn
	stmts map[string]*sql.Stmt // by text, each compiled on first use
	rev   int64                // last revision written to the change log
	json  []byte               // reused from one operation to the next
}

// newWriter returns a writer to db, whose change log has reached rev. The caller
// closes it.
func newWriter(ctx context.Context, db *sql.DB, s setup, rev int64) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &writer{setup: s, conn: conn, stmts: make(map[string]*sql.Stmt), rev: rev}, nil
}

func (w *writer) close() error {
	var errs []error
	for _, stmt := range w.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// write adds the edges in commits of the setup's batch.
func (w *writer) write(ctx context.Context, edges []edge) error {
	size := w.setup.batch
	for len(edges) > 0 {
		batch := edges[:min(size, len(edges))]
		edges = edges[len(batch):]
		if !w.setup.unsorted {
			sortEdges(batch)
		}
		if err := w.commit(ctx, w.operations(batch)); err != nil {
			return err
		}
	}
	return nil
}

// operations divides a batch into what counts as one operation each.
func (w *writer) operations(batch []edge) [][]edge {
	if !w.setup.rowwise {
		return [][]edge{batch}
	}
	ops := make([][]edge, len(batch))
	for i := range batch {
		ops[i] = batch[i : i+1]
	}
	return ops
}

// commit makes the operations durable in one transaction.
func (w *writer) commit(ctx context.Context, ops [][]edge) error {
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := w.apply(ctx, ops); err != nil {
		return errors.Join(err, w.exec(ctx, "ROLLBACK"))
	}
	return w.exec(ctx, "COMMIT")
}

// apply writes the operations and their change log inside the transaction.
func (w *writer) apply(ctx context.Context, ops [][]edge) error {
	for _, op := range ops {
		if err := w.operation(ctx, op); err != nil {
			return err
		}
	}
	if w.setup.log != logCommits {
		return nil
	}
	var all []edge
	for _, op := range ops {
		all = append(all, op...)
	}
	return w.appendLog(ctx, all)
}

func (w *writer) operation(ctx context.Context, op []edge) error {
	if w.setup.savepoint {
		if err := w.exec(ctx, "SAVEPOINT op"); err != nil {
			return err
		}
	}
	if w.setup.layout.trees > 0 {
		if err := w.insert(ctx, op); err != nil {
			return err
		}
	}
	if w.setup.log == logOperations {
		if err := w.appendLog(ctx, op); err != nil {
			return err
		}
	}
	if w.setup.savepoint {
		return w.exec(ctx, "RELEASE op")
	}
	return nil
}

func (w *writer) appendLog(ctx context.Context, edges []edge) error {
	w.rev++
	body := appendJSON(w.json[:0], edges, scatter)
	w.json = body
	return w.exec(ctx, "INSERT INTO changes (tenant, rev, body) VALUES (?, ?, ?)", tenant, w.rev, body)
}

// insert adds the edges to the edge table by the setup's statement.
func (w *writer) insert(ctx context.Context, edges []edge) error {
	switch w.setup.statement {
	case prepared, unprepared:
		return w.insertRows(ctx, edges)
	case jsonReturning:
		text, args := w.jsonInsert(edges)
		return w.query(ctx, text+" RETURNING grp, member", args)
	case jsonAskFirst:
		if err := w.askFirst(ctx, edges); err != nil {
			return err
		}
	}
	text, args := w.jsonInsert(edges)
	return w.exec(ctx, text, args...)
}

func (w *writer) insertRows(ctx context.Context, edges []edge) error {
	const text = "INSERT OR IGNORE INTO edges (tenant, grp, member) VALUES (?, ?, ?)"
	for _, e := range edges {
		var err error
		switch {
		case w.setup.statement == unprepared:
			_, err = w.conn.ExecContext(ctx, text, tenant, e.group, e.member)
		case w.setup.layout.uuid:
			err = w.exec(ctx, text, tenant, uuidOf(e.group), uuidOf(e.member))
		default:
			err = w.exec(ctx, text, tenant, e.group, e.member)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// jsonInsert returns the set statement that adds the edges, and its arguments.
func (w *writer) jsonInsert(edges []edge) (string, []any) {
	const insert = "INSERT OR IGNORE INTO edges (tenant, grp, member) "
	w.json = appendJSON(w.json[:0], edges, w.setup.pattern)
	array := string(w.json)
	switch w.setup.pattern {
	case intoGroup:
		return insert + "SELECT ?, ?, value FROM json_each(?)", []any{tenant, edges[0].group, array}
	case ofMember:
		return insert + "SELECT ?, value, ? FROM json_each(?)", []any{tenant, edges[0].member, array}
	default:
		return insert + "SELECT ?, value ->> 0, value ->> 1 FROM json_each(?)", []any{tenant, array}
	}
}

// askFirst reads which of the edges are there already.
func (w *writer) askFirst(ctx context.Context, edges []edge) error {
	w.json = appendJSON(w.json[:0], edges, scatter)
	return w.query(ctx, `SELECT e.grp, e.member
		FROM json_each(?) AS j
		CROSS JOIN edges AS e ON e.tenant = ? AND e.grp = j.value ->> 0 AND e.member = j.value ->> 1`,
		[]any{string(w.json), tenant})
}

// query runs a statement whose rows are pairs and reads them all.
func (w *writer) query(ctx context.Context, text string, args []any) (err error) {
	stmt, err := w.stmt(ctx, text)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e edge
		if err := rows.Scan(&e.group, &e.member); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (w *writer) exec(ctx context.Context, text string, args ...any) error {
	stmt, err := w.stmt(ctx, text)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx, args...)
	return err
}

func (w *writer) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if stmt, ok := w.stmts[text]; ok {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", text, err)
	}
	w.stmts[text] = stmt
	return stmt, nil
}
