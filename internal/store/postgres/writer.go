package postgres

import (
	"errors"
	"maps"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// writer implements [directory.Writer] for one request inside an open transaction
// that holds the tenant's lock.
type writer struct {
	reader
	o       *open
	head    *head
	at      time.Time
	saved   bool // something was, or is about to be, written
	changes []directory.Change
	deleted []id.Tenant      // tenants it ended
	learned []name           // names first met by this request
	drawn   []drawn          // codes it was given
	chosen  map[string]int64 // the highest code of each kind that it chose
}

var _ directory.Writer = (*writer)(nil)

// save is called before every write. For careful requests, which call it before
// anything else, it takes the savepoint.
func (w *writer) save() error {
	if w.saved {
		return nil
	}
	if w.o.careful {
		// The log rows of others must not be undone with this.
		if err := w.o.writeLog(); err != nil {
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
	if w.c.failed != nil {
		return w.c.failed
	}
	if err := w.save(); err != nil {
		return err
	}
	// The log rows of others must not be undone with this.
	if err := w.o.writeLog(); err != nil {
		return err
	}
	if err := w.c.exec(w.ctx, "SAVEPOINT part"); err != nil {
		return err
	}
	head, changes, deleted, learned, drew, chosen := *w.head, len(w.changes), len(w.deleted), len(w.learned), len(w.drawn), maps.Clone(w.chosen)
	err := fn()
	if err == nil {
		err = w.c.failed
	}
	if err == nil {
		return w.c.exec(w.ctx, "RELEASE SAVEPOINT part")
	}
	if directory.KindOf(classify(err)) == directory.Unavailable {
		if w.c.failed == nil {
			w.c.failed = err
		}
		return classify(err)
	}
	*w.head = head
	w.changes, w.deleted, w.chosen = w.changes[:changes], w.deleted[:deleted], chosen
	w.o.l.names.drop(w.learned[learned:])
	w.learned = w.learned[:learned]
	w.o.giveBack(w.drawn[drew:])
	w.drawn = w.drawn[:drew]
	w.c.failed = nil
	for _, undo := range []string{"ROLLBACK TO SAVEPOINT part", "RELEASE SAVEPOINT part"} {
		if uerr := w.c.exec(w.ctx, undo); uerr != nil {
			return errors.Join(err, uerr)
		}
	}
	return classify(err)
}

func (w *writer) record(c directory.Change) { w.changes = append(w.changes, c) }

// next is the revision that this request will commit as.
func (w *writer) next() int64 { return w.head.revision + 1 }

// reshape notes that what groups grant may have changed.
func (w *writer) reshape() {
	w.head.shape++
	w.head.dirty = true
}

// Revision implements [directory.Reader]: the tenant's last commit before this one.
func (w *writer) Revision() (directory.Revision, error) {
	return directory.Revision(w.head.revision), nil
}

// At implements [directory.Writer].
func (w *writer) At() time.Time { return w.at }

// Outcome implements [directory.Writer].
func (w *writer) Outcome() directory.Revision {
	if len(w.changes) == 0 {
		return directory.Revision(w.head.revision)
	}
	return directory.Revision(w.next())
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
		w.head.dirty = true
	}
	return nil
}

// unused refuses names that were given to something since deleted. Names that are
// in use are refused by the unique indexes, and codes that were ever given by the
// table of codes.
func (w *writer) unused(kind int, number id.Number, uid [16]byte) error {
	if number != 0 {
		if err := w.exhume("SELECT EXISTS (SELECT 1 FROM graves WHERE tenant = $1 AND kind = $2 AND number = $3)", directory.ErrNumberTaken, w.pk, kind, int64(number)); err != nil {
			return err
		}
	}
	if uid != [16]byte{} {
		return w.exhume("SELECT EXISTS (SELECT 1 FROM graves WHERE tenant = $1 AND kind = $2 AND id = $3)", directory.ErrIDTaken, w.pk, kind, uuid(uid))
	}
	return nil
}

func (w *writer) exhume(query string, found error, args ...any) error {
	var buried bool
	if err := w.c.row(w.ctx, query, args...).Scan(&buried); err != nil {
		return err
	}
	if buried {
		return found
	}
	return nil
}

// bury notes the names of something deleted.
func (w *writer) bury(kind int, number id.Number, uid [16]byte, code int64, name string) error {
	return w.c.exec(w.ctx, "INSERT INTO graves (tenant, kind, number, id, code, name) VALUES ($1, $2, $3, $4, $5, $6)",
		w.pk, kind, int64(number), uuid(uid), code, name)
}

// putExternals makes the lookup table agree with a thing's externals.
func (w *writer) putExternals(kind int, n id.Number, before, after map[string]string) error {
	for source, key := range before {
		if after[source] != key {
			if err := w.c.exec(w.ctx, "DELETE FROM externals WHERE tenant = $1 AND kind = $2 AND source = $3 AND key = $4", w.pk, kind, source, key); err != nil {
				return err
			}
		}
	}
	for source, key := range after {
		if before[source] != key {
			err := w.c.exec(w.ctx, "INSERT INTO externals (tenant, kind, source, key, number) VALUES ($1, $2, $3, $4, $5)", w.pk, kind, source, key, int64(n))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Remembered implements [directory.Writer].
func (w *writer) Remembered(c id.Credential, key string) (directory.Kept, bool, error) {
	var k directory.Kept
	var print []byte
	err := w.c.row(w.ctx, "SELECT fingerprint, answer FROM kept WHERE tenant = $1 AND credential = $2 AND key = $3 AND at >= $4",
		w.pk, uuid(c), key, micros(w.at.Add(-keptFor))).Scan(&print, &k.Answer)
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
	err := w.c.exec(w.ctx, `DELETE FROM kept k USING (SELECT o.credential, o.key FROM kept o WHERE o.tenant = $1 AND o.at < $2 ORDER BY o.at LIMIT 2) old
 WHERE k.tenant = $1 AND k.credential = old.credential AND k.key = old.key`, w.pk, micros(w.at.Add(-keptFor)))
	if err != nil {
		return err
	}
	return w.c.exec(w.ctx, `INSERT INTO kept (tenant, credential, key, at, fingerprint, answer) VALUES ($1, $2, $3, $4, $5, $6)
 ON CONFLICT (tenant, credential, key) DO UPDATE SET at = excluded.at, fingerprint = excluded.fingerprint, answer = excluded.answer`,
		w.pk, uuid(c), key, micros(w.at), k.Fingerprint[:], append([]byte{}, k.Answer...))
}
