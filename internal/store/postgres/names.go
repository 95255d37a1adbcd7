package postgres

import (
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// names remembers, for the writers of one tenant, the numbers that ids stand for
// and the groups behind them: what nearly every write looks up first. It holds
// for one revision of the tenant, which the tenant's lock tells; a commit of
// another node makes it begin anew. It is used by whoever holds the lane.
type names struct {
	in       *history
	revision int64
	users    map[[16]byte]id.Number
	groups   map[[16]byte]directory.Group
}

// name is a user's or group's id.
type name struct {
	kind int
	id   [16]byte
}

// maxNames bounds each of the two; above it all are forgotten.
const maxNames = 1 << 16

// at says in which history, and at what revision, the transaction began.
func (n *names) at(in *history, revision int64) {
	if n.in != in || n.revision != revision {
		n.forget()
		n.in, n.revision = in, revision
	}
}

// committed says what revision the transaction, which has just been committed,
// took the tenant to.
func (n *names) committed(revision int64) { n.revision = revision }

func (n *names) forget() { n.users, n.groups = nil, nil }

func (n *names) drop(list []name) {
	for _, k := range list {
		switch k.kind {
		case kindUser:
			delete(n.users, k.id)
		case kindGroup:
			delete(n.groups, k.id)
		}
	}
}

// UserNumbers implements [directory.Reader]: for ids, from memory where they
// were met before.
func (w *writer) UserNumbers(refs []directory.Ref) ([]id.Number, error) {
	out := make([]id.Number, len(refs))
	known := &w.o.l.names
	var unknown []directory.Ref
	var places []int
	for i, ref := range refs {
		if ref.Kind == directory.RefID {
			if n, ok := known.users[ref.UUID]; ok {
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
			if known.users == nil || len(known.users) >= maxNames {
				known.users = map[[16]byte]id.Number{}
			}
			known.users[unknown[i].UUID] = n
			w.learned = append(w.learned, name{kindUser, unknown[i].UUID})
		}
	}
	return out, nil
}

// Group implements [directory.Reader]: for an id, from memory if it was met before.
func (w *writer) Group(ref directory.Ref) (directory.Group, error) {
	if ref.Kind != directory.RefID {
		return w.reader.Group(ref)
	}
	known := &w.o.l.names
	if g, ok := known.groups[ref.UUID]; ok {
		return g, nil
	}
	g, err := w.reader.Group(ref)
	if err == nil {
		if known.groups == nil || len(known.groups) >= maxNames {
			known.groups = map[[16]byte]directory.Group{}
		}
		known.groups[ref.UUID] = g
		w.learned = append(w.learned, name{kindGroup, ref.UUID})
	}
	return g, err
}

// Memberships implements [directory.Reader]. It reads the log, so what is
// pending of that is written first.
func (w *writer) Memberships(q directory.MembershipQuery) ([]directory.Membership, error) {
	if err := w.o.writeLog(); err != nil {
		return nil, err
	}
	return w.reader.Memberships(q)
}

// Authors implements [directory.Reader], as Memberships does.
func (w *writer) Authors(revisions []directory.Revision) ([]directory.Authored, error) {
	if err := w.o.writeLog(); err != nil {
		return nil, err
	}
	return w.reader.Authors(revisions)
}

// RevisionAt implements [directory.Reader], as Memberships does.
func (w *writer) RevisionAt(at time.Time) (directory.Revision, error) {
	if err := w.o.writeLog(); err != nil {
		return 0, err
	}
	return w.reader.RevisionAt(at)
}

// Periods implements [directory.Reader], as Memberships does.
func (w *writer) Periods(e directory.Edge, after directory.Revision, limit int) ([]directory.Period, error) {
	if err := w.o.writeLog(); err != nil {
		return nil, err
	}
	return w.reader.Periods(e, after, limit)
}

// AsOf implements [directory.Reader], as Memberships does.
func (w *writer) AsOf(rev directory.Revision) (directory.Past, error) {
	if err := w.o.writeLog(); err != nil {
		return nil, err
	}
	return w.reader.AsOf(rev)
}
