package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"roster/internal/store/changelog"
)

// statements is where tests learn which statements the program runs.
type statements struct{ seen func(query string) }

// note returns the query, having shown it.
func (s statements) note(query string) string {
	if s.seen != nil {
		s.seen(query)
	}
	return query
}

// conn is one database connection, used by one goroutine at a time. Statements
// are prepared on first use by the driver and kept with the connection.
type conn struct {
	statements
	c     *pgxpool.Conn
	count int // statements run, for tests of how many an operation takes

	// failed is the first error since it was last nil. PostgreSQL carries out
	// nothing in a transaction after one, whoever kept the error to itself.
	failed error

	// patience, unless nil, ends the question when it runs out. Every sign of
	// life winds it up.
	patience *time.Timer
}

// history is what the server at the other end serves.
func (c *conn) history() *history { return lineOf(c.c.Conn()).history }

// alive notes a sign of life.
func (c *conn) alive() {
	if c.patience != nil {
		c.patience.Reset(silence)
	}
}

// watch notes an error. One that says that a name is taken comes back as such.
func (c *conn) watch(err error) error {
	if code(err) == "23505" {
		err = classify(err)
	}
	if c.failed == nil && err != nil && !errors.Is(err, pgx.ErrNoRows) {
		c.failed = err
	}
	return err
}

func (c *conn) exec(ctx context.Context, query string, args ...any) error {
	_, err := c.affect(ctx, query, args...)
	return err
}

// affect is exec for who must know how many rows it touched.
func (c *conn) affect(ctx context.Context, query string, args ...any) (int64, error) {
	c.count++
	c.alive()
	tag, err := c.c.Exec(ctx, c.note(query), args...)
	return tag.RowsAffected(), c.watch(err)
}

// end runs a statement that ends a transaction, whatever became of the request.
// A connection on which that fails is not used again.
func (c *conn) end(query string) error {
	ctx, cancel := context.WithTimeout(context.Background(), quickly)
	defer cancel()
	_, err := c.c.Exec(ctx, query)
	if err != nil {
		c.c.Conn().Close(ctx)
	}
	return err
}

// batch sends statements in one round trip and lets fn read the results.
func (c *conn) batch(ctx context.Context, b *pgx.Batch, fn func(pgx.BatchResults) error) error {
	c.count++
	c.alive()
	res := c.c.SendBatch(ctx, b)
	return c.watch(errors.Join(fn(res), res.Close()))
}

// scanner is a row that can be read.
type scanner interface{ Scan(...any) error }

// single is the only row of a query.
type single struct {
	c   *conn
	row pgx.Row
}

func (s single) Scan(dest ...any) error { return s.c.watch(s.row.Scan(dest...)) }

func (c *conn) row(ctx context.Context, query string, args ...any) scanner {
	c.count++
	c.alive()
	return single{c, c.c.QueryRow(ctx, c.note(query), args...)}
}

// each calls fn for every row of the query.
func (c *conn) each(ctx context.Context, fn func(scanner) error, query string, args ...any) error {
	c.count++
	c.alive()
	rows, err := c.c.Query(ctx, c.note(query), args...)
	if err != nil {
		return c.watch(err)
	}
	defer rows.Close()
	for rows.Next() {
		c.alive()
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

// gone turns "no rows" into the error that says what is not there.
func gone(err, what error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return what
	}
	return err
}

// uuid is how an id reaches a statement.
func uuid[T ~[16]byte](v T) pgtype.UUID { return pgtype.UUID{Bytes: v, Valid: true} }

// uuidOrNull keeps an empty id out of the indexes.
func uuidOrNull[T ~[16]byte](v T) pgtype.UUID {
	return pgtype.UUID{Bytes: v, Valid: v != T{}}
}

func uuids[T ~[16]byte](list []T) []pgtype.UUID {
	out := make([]pgtype.UUID, len(list))
	for i, v := range list {
		out[i] = uuid(v)
	}
	return out
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// integers are a list as the driver knows one.
func integers[T ~int32 | ~int64 | ~uint32 | ~uint64](list []T) []int64 {
	out := make([]int64, len(list))
	for i, n := range list {
		out[i] = int64(n)
	}
	return out
}

func micros(t time.Time) int64 { return changelog.Micros(t) }

func fromMicros(us int64) time.Time { return changelog.Time(us) }

// code is the SQLSTATE of an error, "" if it is none of PostgreSQL's.
func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}
