package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"roster/internal/store/changelog"
)

// conn is one database connection with its prepared statements, used by one
// goroutine at a time. Statements are prepared on first use and kept: there are
// a few dozen in the program, and none is made from input but those that search.
type conn struct {
	c     *sql.Conn
	stmts map[string]*sql.Stmt

	// searches are those of [conn.search]. Their shapes are as many as filters
	// have, so when there are too many they are all closed.
	searches map[string]*sql.Stmt

	count int // statements run, for tests of how many an operation takes

	// lost is the first error, since it was last nil, after which the open
	// transaction may be gone; see [fatal]. Whoever runs a transaction looks
	// here, because the function in it may have kept the error to itself.
	lost error
}

// watch notes an error that may have cost the transaction.
func (c *conn) watch(err error) error {
	if c.lost == nil && err != nil && fatal(err) {
		c.lost = err
	}
	return err
}

func (s *Store) connect(ctx context.Context) (*conn, error) { return connect(ctx, s.db) }

func connect(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, stmts: map[string]*sql.Stmt{}, searches: map[string]*sql.Stmt{}}, nil
}

// close ends the connection. Its statements must go first, or SQLite would keep
// it open behind our back and not fold in its log.
func (c *conn) close() error {
	err := errors.Join(closeAll(c.stmts), closeAll(c.searches))
	return errors.Join(err, c.c.Close())
}

func closeAll(stmts map[string]*sql.Stmt) error {
	var errs []error
	for _, st := range stmts {
		errs = append(errs, st.Close())
	}
	clear(stmts)
	return errors.Join(errs...)
}

func (c *conn) prepare(query string) (*sql.Stmt, error) {
	if st, ok := c.stmts[query]; ok {
		return st, nil
	}
	st, err := c.c.PrepareContext(context.Background(), query)
	if err == nil {
		c.stmts[query] = st
	}
	return st, err
}

func (c *conn) exec(ctx context.Context, query string, args ...any) error {
	_, err := c.affect(ctx, query, args...)
	return err
}

// affect is exec for who must know how many rows it touched.
func (c *conn) affect(ctx context.Context, query string, args ...any) (int64, error) {
	st, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	c.count++
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, c.watch(err)
	}
	return res.RowsAffected()
}

func (c *conn) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	return c.run(ctx, st, args)
}

func (c *conn) run(ctx context.Context, st *sql.Stmt, args []any) (*sql.Rows, error) {
	c.count++
	rows, err := st.QueryContext(ctx, args...)
	return rows, c.watch(err)
}

// scanner is a row that can be read.
type scanner interface{ Scan(...any) error }

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// single is the only row of a query.
type single struct {
	c   *conn
	row *sql.Row
}

func (s single) Scan(dest ...any) error { return s.c.watch(s.row.Scan(dest...)) }

func (c *conn) row(ctx context.Context, query string, args ...any) scanner {
	st, err := c.prepare(query)
	if err != nil {
		return failed{err}
	}
	c.count++
	return single{c, st.QueryRowContext(ctx, args...)}
}

// each calls fn for every row of the query.
func (c *conn) each(ctx context.Context, fn func(scanner) error, query string, args ...any) error {
	rows, err := c.query(ctx, query, args...)
	if err != nil {
		return err
	}
	return c.drain(rows, fn)
}

// maxSearches bounds how many shapes of search are kept prepared.
const maxSearches = 64

// search is each for statements that are made from filters.
func (c *conn) search(ctx context.Context, fn func(scanner) error, query string, args ...any) error {
	st, ok := c.searches[query]
	if !ok {
		if len(c.searches) >= maxSearches {
			if err := closeAll(c.searches); err != nil {
				return err
			}
		}
		var err error
		if st, err = c.c.PrepareContext(context.Background(), query); err != nil {
			return err
		}
		c.searches[query] = st
	}
	rows, err := c.run(ctx, st, args)
	if err != nil {
		return err
	}
	return c.drain(rows, fn)
}

func (c *conn) drain(rows *sql.Rows, fn func(scanner) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return c.watch(rows.Err())
}

// all reads every row of the query with one scan function.
func all[T any](ctx context.Context, c *conn, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var list []T
	err := c.each(ctx, func(row scanner) error {
		v, err := scan(row)
		if err == nil {
			list = append(list, v)
		}
		return err
	}, query, args...)
	return list, err
}

// integers renders a JSON array, the form in which a set reaches a statement.
func integers[T ~int32 | ~int64 | ~uint32](list []T) string {
	b := make([]byte, 0, 8*len(list)+2)
	b = append(b, '[')
	for i, n := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(append(b, ']'))
}

// bytesOrNull keeps an empty id out of the indexes.
func bytesOrNull(b []byte) any {
	for _, c := range b {
		if c != 0 {
			return b
		}
	}
	return nil
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func micros(t time.Time) int64 { return changelog.Micros(t) }

func fromMicros(us int64) time.Time { return changelog.Time(us) }
