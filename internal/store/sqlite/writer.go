package sqlite

import (
	"errors"
	"maps"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// writer implements [directory.Writer] for one request inside the committer's
// open transaction.
type writer struct {
	reader
	m       *committer
	row     *row
	at      time.Time
	saved   bool // something was, or is about to be, written
	changes []directory.Change
	deleted []id.Tenant      // tenants it ended
	learned []name           // names first met by this request
	codes   map[string]int64 // the counters it moved, as they were
}

var _ directory.Writer = (*writer)(nil)

// save is called before every write. For a careful committer it takes the
// savepoint, with the log rows of those before on this side of it.
func (w *writer) save() error {
	if w.saved {
		return nil
	}
	if w.m.careful {
		if err := w.m.writeLog(w.ctx); err != nil {
			return err
		}
		if err := w.c.exec(w.ctx, "SAVEPOINT one"); err != nil {
			return err
		}
	}
	w.saved = true
	return nil
}

// Try implements [directory.Writer], by a savepoint inside the request's own.
func (w *writer) Try(fn func() error) error {
	if w.c.lost != nil {
		return classify(w.c.lost)
	}
	if err := w.save(); err != nil {
		return err
	}
	// The log rows of others must not be undone with this.
	if err := w.m.writeLog(w.ctx); err != nil {
		return err
	}
	if err := w.c.exec(w.ctx, "SAVEPOINT part"); err != nil {
		return err
	}
	row, changes, deleted, learned, counters := *w.row, len(w.changes), len(w.deleted), len(w.learned), maps.Clone(w.m.counters)
	err := fn()
	switch {
	case w.c.lost != nil:
		return classify(w.c.lost)
	case err == nil:
		return w.c.exec(w.ctx, "RELEASE part")
	}
	*w.row = row
	w.changes, w.deleted = w.changes[:changes], w.deleted[:deleted]
	w.m.names.drop(w.learned[learned:])
	w.learned = w.learned[:learned]
	w.m.counters = counters
	for _, undo := range []string{"ROLLBACK TO part", "RELEASE part"} {
		if uerr := w.c.exec(w.ctx, undo); uerr != nil {
			return errors.Join(err, uerr)
		}
	}
	return classify(err)
}

func (w *writer) record(c directory.Change) { w.changes = append(w.changes, c) }

// revision is the one this request will commit as.
func (w *writer) revision() int64 { return int64(w.row.revision) + 1 }

// reshape notes that what groups grant may have changed.
func (w *writer) reshape() {
	w.row.shape++
	w.row.dirty = true
}

// Revision implements [directory.Reader]: the tenant's last commit before this one.
func (w *writer) Revision() (directory.Revision, error) { return w.row.revision, nil }

// At implements [directory.Writer].
func (w *writer) At() time.Time { return w.at }

// Outcome implements [directory.Writer].
func (w *writer) Outcome() directory.Revision {
	if len(w.changes) == 0 {
		return w.row.revision
	}
	return w.row.revision + 1
}

// nextNumber gives out the tenant's next number, or notes that a given one is used.
func (w *writer) nextNumber(n, next *id.Number) error {
	if *n == 0 {
		*n = *next
	}
	if *n > id.MaxNumber {
		return &directory.Error{Kind: directory.Unavailable, Code: "number.exhausted", Detail: "The tenant has no numbers left to give."}
	}
	if *n >= *next {
		*next = *n + 1
		w.row.dirty = true
	}
	return nil
}

// nextCode gives out the deployment's next code of a kind, or notes a given one.
func (w *writer) nextCode(kind string, code *int64) error {
	next := w.m.counters[kind]
	if *code == 0 {
		*code = next
	}
	if *code > directory.MaxCode {
		return &directory.Error{Kind: directory.Unavailable, Code: "code.exhausted", Detail: "The deployment has no codes left to give."}
	}
	if *code >= next {
		if _, moved := w.codes[kind]; !moved {
			if w.codes == nil {
				w.codes = map[string]int64{}
			}
			w.codes[kind] = next
		}
		w.m.counters[kind] = *code + 1
		w.m.used[kind] = true
	}
	return nil
}

// unused refuses names that were given to something since deleted. Names that
// are in use are refused by the unique indexes.
func (w *writer) unused(kind int, number id.Number, uid []byte, code int64) error {
	if number != 0 {
		if err := w.exhume("SELECT 1 FROM graves WHERE tenant = ? AND kind = ? AND number = ? LIMIT 1", directory.ErrNumberTaken, w.pk, kind, int64(number)); err != nil {
			return err
		}
	}
	if bytesOrNull(uid) != nil {
		if err := w.exhume("SELECT 1 FROM graves WHERE tenant = ? AND kind = ? AND id = ? LIMIT 1", directory.ErrIDTaken, w.pk, kind, uid); err != nil {
			return err
		}
	}
	if code != 0 {
		return w.exhume("SELECT 1 FROM graves WHERE kind = ? AND code = ? LIMIT 1", directory.ErrCodeTaken, kind, code)
	}
	return nil
}

func (w *writer) exhume(query string, found error, args ...any) error {
	var one int
	err := w.c.row(w.ctx, query, args...).Scan(&one)
	if err == nil {
		return found
	}
	return gone(err, nil)
}

// bury notes the names of something deleted.
func (w *writer) bury(kind int, number id.Number, uid []byte, code int64, name string) error {
	return w.c.exec(w.ctx, "INSERT INTO graves (tenant, kind, number, id, code, name) VALUES (?, ?, ?, ?, ?, ?)",
		w.pk, kind, int64(number), uid, code, name)
}

// putExternals makes the lookup table agree with a thing's externals.
func (w *writer) putExternals(kind int, n id.Number, before, after map[string]string) error {
	for source, key := range before {
		if after[source] != key {
			if err := w.c.exec(w.ctx, "DELETE FROM externals WHERE tenant = ? AND kind = ? AND source = ? AND key = ?", w.pk, kind, source, key); err != nil {
				return err
			}
		}
	}
	for source, key := range after {
		if before[source] != key {
			err := w.c.exec(w.ctx, "INSERT INTO externals (tenant, kind, source, key, number) VALUES (?, ?, ?, ?, ?)", w.pk, kind, source, key, int64(n))
			if err != nil {
				return classify(err)
			}
		}
	}
	return nil
}

// Remembered implements [directory.Writer].
func (w *writer) Remembered(c id.Credential, key string) (directory.Kept, bool, error) {
	var k directory.Kept
	var print []byte
	err := w.c.row(w.ctx, "SELECT fingerprint, answer FROM kept WHERE tenant = ? AND credential = ? AND key = ? AND at >= ?", w.pk, c[:], key, micros(w.at.Add(-keptFor))).Scan(&print, &k.Answer)
	if err != nil {
		return k, false, gone(err, nil)
	}
	copy(k.Fingerprint[:], print)
	return k, true, nil
}

// keptFor is how long an answer is kept.
const keptFor = 24 * time.Hour

// Remember implements [directory.Writer]. Each answer kept makes room by
// dropping two that are too old, so the table stays as large as a day.
func (w *writer) Remember(c id.Credential, key string, k directory.Kept) error {
	if err := w.save(); err != nil {
		return err
	}
	err := w.c.exec(w.ctx, `DELETE FROM kept WHERE tenant = ?1 AND (credential, key) IN
 (SELECT credential, key FROM kept WHERE tenant = ?1 AND at < ?2 ORDER BY at LIMIT 2)`, w.pk, micros(w.at.Add(-keptFor)))
	if err != nil {
		return err
	}
	return w.c.exec(w.ctx, "INSERT OR REPLACE INTO kept (tenant, credential, key, at, fingerprint, answer) VALUES (?, ?, ?, ?, ?, ?)",
		w.pk, c[:], key, micros(w.at), k.Fingerprint[:], k.Answer)
}
