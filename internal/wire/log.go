package wire

import (
	"context"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"roster/internal/directory"
)

// Entry is what the log says about a request. The server makes it, the dialect
// and its handlers fill it in, and one line is written at the end. It is used by
// the request's goroutine alone.
type Entry struct {
	Request   string // the request id, also in the answer's header
	Dialect   string
	Principal directory.Principal // who asked, once that is known
	Err       error               // why it failed, cause included

	// Path is shown instead of the request's own, by dialects whose keys may
	// stand in the URL.
	Path string
}

type entryKey struct{}

// EntryOf returns the entry of the request that ctx belongs to. Outside a
// request it is a fresh one that nobody reads.
func EntryOf(ctx context.Context) *Entry {
	if e, ok := ctx.Value(entryKey{}).(*Entry); ok {
		return e
	}
	return &Entry{}
}

// WithEntry returns a context whose request has an entry of its own, for a
// request made of a part of another.
func WithEntry(ctx context.Context, e *Entry) context.Context {
	return context.WithValue(ctx, entryKey{}, e)
}

// RequestIDHeader carries a request's id, given by the caller or made here.
const RequestIDHeader = "X-Request-Id"

// Logged wraps the whole server: it gives each request an id and an entry,
// answers a panic with failed, and writes one line at the end. Answers below 500
// are logged at Info if they changed something or failed, and at Debug if they
// only read.
func Logged(log *slog.Logger, next http.Handler, failed func(http.ResponseWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		q := &logged{Context: r.Context(), entry: Entry{Request: requestID(r), Path: r.URL.Path}, rec: recorder{ResponseWriter: w}}
		e, rec := &q.entry, &q.rec
		q.id[0] = e.Request
		rec.Header()[RequestIDHeader] = q.id[:]
		r = r.WithContext(q)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				log.Error("panic", "request", e.Request, "panic", p, "stack", stack())
				if rec.status == 0 {
					failed(rec, r)
				}
			}
			e.write(log, r, rec, time.Since(start))
		}()
		next.ServeHTTP(rec, r)
	})
}

// logged is all that [Logged] keeps of one request, in one piece because every
// request pays for it: the entry, the context that carries it, the answer, and
// the value of its header.
type logged struct {
	context.Context
	entry Entry
	rec   recorder
	id    [1]string
}

// Value implements [context.Context].
func (q *logged) Value(key any) any {
	if key == (entryKey{}) {
		return &q.entry
	}
	return q.Context.Value(key)
}

func (e *Entry) write(log *slog.Logger, r *http.Request, rec *recorder, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case rec.status >= 500:
		level = slog.LevelError
	case rec.status < 400 && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		level = slog.LevelDebug
	}
	if !log.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", e.Path), slog.Int("status", rec.status),
		slog.Duration("took", took), slog.String("request", e.Request), slog.String("dialect", e.Dialect),
	}
	if t := e.Principal.Tenant; !t.IsZero() {
		attrs = append(attrs, slog.String("tenant", t.String()))
	}
	if c := e.Principal.Credential; !c.IsZero() {
		attrs = append(attrs, slog.String("credential", c.String()))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("err", e.Err.Error()))
	}
	log.LogAttrs(context.Background(), level, "request", attrs...)
}

// requestID takes the caller's id if it is short and plain, or makes one.
func requestID(r *http.Request) string {
	if given := r.Header.Get(RequestIDHeader); given != "" && len(given) <= 64 && strings.Trim(given, idAlphabet) == "" {
		return given
	}
	var b [8]byte
	n := rand.Uint64()
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return hex.EncodeToString(b[:])
}

const idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/"

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Note puts who is asking, and what went wrong, into the request's entry.
func Note(ctx context.Context, p directory.Principal, err error) {
	e := EntryOf(ctx)
	e.Principal = p
	if err != nil {
		e.Err = err
	}
}
