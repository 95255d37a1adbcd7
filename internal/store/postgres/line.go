package postgres

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// line is what is known of a connection beside what the driver knows.
//
// A COMMIT may wait for a standby. Cancelling it there, which the driver does to
// whatever runs when a connection is given up, would not undo it: it would show
// it to everybody and acknowledge it while the standby does not have it.
type line struct {
	history *history // that the server at the other end serves

	committing atomic.Bool // nothing may be cancelled
	hasty      atomic.Bool // somebody cancelled a wait for a standby all the same
}

var (
	errCommitting = errors.New("a commit is not cancelled")

	// errHasty is as good as no answer.
	errHasty = errors.Join(errAway, errors.New("the wait for a standby was cancelled"))
)

const lineKey = "roster.line"

// lineOf returns the line of a connection of the pool.
func lineOf(c *pgx.Conn) *line { return c.PgConn().CustomData()[lineKey].(*line) }

// watchCommits gives a connection that is being made its line.
func watchCommits(_ context.Context, c *pgx.ConnConfig) error {
	l := &line{}
	dial := c.DialFunc
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if l.committing.Load() { // to cancel is what else a connection dials for
			return nil, errCommitting
		}
		return dial(ctx, network, address)
	}
	c.BuildContextWatcherHandler = func(p *pgconn.PgConn) ctxwatch.Handler {
		p.CustomData()[lineKey] = l
		return &pgconn.CancelRequestContextWatcherHandler{Conn: p, DeadlineDelay: time.Second}
	}
	c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		// SQLSTATE "warning", which has no other meaning at this moment.
		if l.committing.Load() && n.Code == "01000" {
			l.hasty.Store(true)
		}
	}
	return nil
}
