package sqlite

import (
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// names remembers, for the committer, the numbers that ids stand for and the
// groups behind them: what nearly every write looks up first. It is exact,
// because whatever changes one of these goes through the committer. It is used
// by its goroutine alone.
type names struct {
	users  map[name]id.Number
	groups map[name]directory.Group
}

// name is a user's or group's id within a tenant.
type name struct {
	pk   int64
	kind int
	id   [16]byte
}

// maxNames bounds each of the two; above it all are forgotten.
const maxNames = 1 << 17

func (n *names) forget() { n.users, n.groups = nil, nil }

func (n *names) drop(list []name) {
	for _, k := range list {
		delete(n.users, k)
		delete(n.groups, k)
	}
}

// UserNumbers implements [directory.Reader]: for ids, from memory where they
// were met before.
func (w *writer) UserNumbers(refs []directory.Ref) ([]id.Number, error) {
	out := make([]id.Number, len(refs))
	var unknown []directory.Ref
	var places []int
	for i, ref := range refs {
		if ref.Kind == directory.RefID {
			if n, ok := w.m.names.users[name{w.pk, kindUser, ref.UUID}]; ok {
				out[i] = n
				continue
			}
		}
		unknown, places = append(unknown, ref), append(places, i)
	}
	if len(unknown) == 0 {
		return out, nil
	}
	numbers, err := w.reader.UserNumbers(unknown)
	if err != nil {
		return nil, err
	}
	for i, n := range numbers {
		out[places[i]] = n
		if n != 0 && unknown[i].Kind == directory.RefID {
			w.learn(name{w.pk, kindUser, unknown[i].UUID}, n)
		}
	}
	return out, nil
}

func (w *writer) learn(k name, n id.Number) {
	if m := &w.m.names; m.users == nil || len(m.users) >= maxNames {
		m.users = map[name]id.Number{}
	}
	w.m.names.users[k] = n
	w.learned = append(w.learned, k)
}

// Group implements [directory.Reader]: for an id, from memory if it was met before.
func (w *writer) Group(ref directory.Ref) (directory.Group, error) {
	k := name{w.pk, kindGroup, ref.UUID}
	if ref.Kind != directory.RefID {
		return w.reader.Group(ref)
	}
	if g, ok := w.m.names.groups[k]; ok {
		return g, nil
	}
	g, err := w.reader.Group(ref)
	if err == nil {
		if m := &w.m.names; m.groups == nil || len(m.groups) >= maxNames {
			m.groups = map[name]directory.Group{}
		}
		w.m.names.groups[k] = g
		w.learned = append(w.learned, k)
	}
	return g, err
}

// unlearn forgets a user or group that is about to change or end.
func (w *writer) unlearn(kind int, uid [16]byte) {
	w.m.names.drop([]name{{w.pk, kind, uid}})
}

// Memberships implements [directory.Reader]. It reads the log, so what is
// pending of that is written first.
func (w *writer) Memberships(q directory.MembershipQuery) ([]directory.Membership, error) {
	if err := w.m.writeLog(w.ctx); err != nil {
		return nil, err
	}
	return w.reader.Memberships(q)
}

// Authors implements [directory.Reader], as Memberships does.
func (w *writer) Authors(revisions []directory.Revision) ([]directory.Authored, error) {
	if err := w.m.writeLog(w.ctx); err != nil {
		return nil, err
	}
	return w.reader.Authors(revisions)
}

// RevisionAt implements [directory.Reader], as Memberships does.
func (w *writer) RevisionAt(at time.Time) (directory.Revision, error) {
	if err := w.m.writeLog(w.ctx); err != nil {
		return 0, err
	}
	return w.reader.RevisionAt(at)
}

// Periods implements [directory.Reader], as Memberships does.
func (w *writer) Periods(e directory.Edge, after directory.Revision, limit int) ([]directory.Period, error) {
	if err := w.m.writeLog(w.ctx); err != nil {
		return nil, err
	}
	return w.reader.Periods(e, after, limit)
}

// AsOf implements [directory.Reader], as Memberships does.
func (w *writer) AsOf(rev directory.Revision) (directory.Past, error) {
	if err := w.m.writeLog(w.ctx); err != nil {
		return nil, err
	}
	return w.reader.AsOf(rev)
}

// Log implements [directory.Reader], as Memberships does.
func (w *writer) Log(q directory.LogQuery, fn func(directory.Logged) error) error {
	if err := w.m.writeLog(w.ctx); err != nil {
		return err
	}
	return w.reader.Log(q, fn)
}
