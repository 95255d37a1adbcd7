package directory

import (
	"context"

	"roster/internal/id"
)

// Timeline asks for every way in which one membership has stood, oldest first,
// up to a moment. After is a revision.
type Timeline struct {
	Page
	Group  Ref
	Member MemberRef
}

// Stay is one period of a membership, with who began it and who ended it.
// Ending is nil while it stands; a period that a date has ended stands until
// somebody changes it.
type Stay struct {
	Period
	Beginning Authored
	Ending    *Authored
}

// Timeline lists the periods of one membership, asked about now also of a user or a
// group that was deleted. It needs [ReadMembers], and heeds [Within]: who did it is
// told to a bounded principal only of what it did itself.
func (d *Directory) Timeline(ctx context.Context, p Principal, in Timeline) (Answer[Found[Stay]], error) {
	return view(ctx, d, p.heeding(), ReadMembers, func(l *look) (Found[Stay], error) {
		none := Found[Stay]{Items: []Stay{}}
		t, err := l.then(in.At)
		if err != nil {
			return none, err
		}
		now := in.At.IsZero() || in.After > 0 // a further page says as of when the first was
		group, err := t.remembered(MemberRef{IsGroup: true, Ref: in.Group}, now)
		if err != nil {
			return none, err
		}
		g, _ := group.Group()
		m, err := t.remembered(in.Member, now)
		if err != nil {
			return none, err
		}
		of := Edge{Group: g, Member: m}
		if err := in.keeps(of); err != nil {
			return none, err
		}
		limit := in.limit()
		list, err := l.Periods(of, Revision(max(in.After, 0)), limit+1)
		if err != nil {
			return none, err
		}
		var revisions []Revision
		for i := range list {
			if list[i].Revision > t.Revision {
				list = list[:i]
				break
			}
			if list[i].Ended > t.Revision {
				list[i].Ended = 0
			}
			revisions = append(revisions, list[i].Revision, list[i].Ended)
		}
		page := found(list, limit, func(p Period) int64 { return int64(p.Revision) })
		by, err := l.authors(revisions)
		if err != nil {
			return none, err
		}
		out := Found[Stay]{Items: make([]Stay, len(page.Items)), Next: page.Next, At: t.When, Of: of}
		for i, p := range page.Items {
			if l.p.Within != nil { // [Reader.Periods] says who added it
				a := l.p.told(Authored{Revision: p.Added, At: p.AddedAt, Actor: p.AddedBy, Dialect: p.AddedDialect})
				p.AddedBy = a.Actor
			}
			out.Items[i] = Stay{Period: p, Beginning: by[p.Revision]}
			if p.Ended != 0 {
				ending := by[p.Ended]
				out.Items[i].Ending = &ending
			}
		}
		return out, nil
	})
}

// remembered finds a user or a group as of then or, if deleted is set, one that was
// deleted since. To a bounded principal whoever is gone is beyond the bound.
func (t then) remembered(m MemberRef, deleted bool) (id.Member, error) {
	found, err := t.member(m)
	if !deleted || KindOf(err) != NotFound || t.l.p.Within != nil {
		return found, err
	}
	grave, err := t.l.ever(m)
	if m.IsGroup {
		return id.GroupMember(grave.Number), err
	}
	return id.UserMember(grave.Number), err
}
