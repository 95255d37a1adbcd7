package apply

import (
	"errors"

	"roster/internal/directory"
)

// members puts the members of one group in, those that stand alike in one batch.
func (r *run) members(p directory.Principal, g Group, fresh bool) error {
	if len(g.Members) == 0 {
		return nil
	}
	which, err := ref(g.ID, g.Number, g.Code, g.Name)
	if err != nil {
		return err
	}
	batches := map[directory.Standing][]directory.MemberRef{}
	var order []directory.Standing
	for i, m := range g.Members {
		s, who, err := m.read()
		if err != nil {
			return at(err, "member %d", i+1)
		}
		if batches[s] == nil {
			order = append(order, s)
		}
		batches[s] = append(batches[s], who)
	}
	if r.dry {
		return r.foresee(p, which, batches, order, fresh)
	}
	for _, s := range order {
		batch := batches[s]
		for len(batch) > 0 {
			n := min(len(batch), directory.MaxBatch)
			if err := r.batch(p, which, s, batch[:n]); err != nil {
				return err
			}
			batch = batch[n:]
		}
	}
	return nil
}

// foresee counts what the batches would do to the members of a group, without
// doing it.
func (r *run) foresee(p directory.Principal, group directory.Ref, batches map[directory.Standing][]directory.MemberRef, order []directory.Standing, fresh bool) error {
	newGroup := r.made[thing{noun: "group", ref: group}] != 0
	stands := map[any]directory.Standing{} // by who it is
	for _, s := range order {
		done := map[any]bool{}
		for _, m := range batches[s] {
			who, isNew, err := r.who(p, m, fresh)
			if err != nil {
				return at(err, "member %s", m.Ref.Text)
			}
			was, present := stands[who]
			if !present && !newGroup && !isNew {
				have, err := r.Directory.Membership(r.ctx, p, group, m)
				if err != nil && !errors.Is(err, directory.ErrNoMembership) {
					return err
				}
				was, present = have.Value.Standing, err == nil
			}
			ended := present && !was.Until.IsZero() && !r.Directory.Now().Before(was.Until)
			switch {
			case done[who] || present && was == s:
				r.tally("membership", false, false)
			default:
				r.tally("membership", !present || ended, true)
			}
			done[who], stands[who] = true, s
		}
	}
	return nil
}

// who resolves a member in a dry run, to something that is equal for equal
// members; isNew says that the run has made it.
func (r *run) who(p directory.Principal, m directory.MemberRef, fresh bool) (who any, isNew bool, err error) {
	noun := "user"
	if m.IsGroup {
		noun = "group"
	}
	if n := r.made[thing{noun: noun, ref: m.Ref}]; n != 0 {
		return n, true, nil
	}
	switch {
	case fresh && m.IsGroup:
		return nil, false, directory.ErrNoGroup
	case fresh:
		return nil, false, directory.ErrNoUser
	case m.IsGroup:
		g, err := r.Directory.Group(r.ctx, p, m.Ref)
		return g.Value.ID, false, err
	}
	u, err := r.Directory.User(r.ctx, p, m.Ref)
	return u.Value.ID, false, err
}

func (r *run) batch(p directory.Principal, group directory.Ref, s directory.Standing, members []directory.MemberRef) error {
	a, err := r.Directory.ChangeMembers(r.ctx, p, directory.MembersChange{Group: group, Add: members, Mode: directory.Each, Standing: s})
	if err != nil {
		return err
	}
	for i, res := range a.Value.Add {
		if res.Outcome == directory.Bad {
			return at(res.Problem, "member %s", members[i].Ref.Text)
		}
		r.tally("membership", res.Outcome == directory.Added, res.Outcome == directory.Updated)
	}
	return nil
}

func (m Member) read() (directory.Standing, directory.MemberRef, error) {
	s := directory.Standing{Reason: m.Reason}
	switch m.Role {
	case "", "member":
	case "manager":
		s.Role = directory.RoleManager
	default:
		return s, directory.MemberRef{}, fault("role %q is neither member nor manager", m.Role)
	}
	set(&s.From, m.ValidFrom.time())
	set(&s.Until, m.ValidUntil.time())
	switch {
	case (m.User == "") == (m.Group == ""):
		return s, directory.MemberRef{}, fault("a member is either a user or a group")
	case m.User != "":
		ref, err := ParseRef(m.User)
		return s, directory.MemberRef{Ref: ref}, err
	}
	ref, err := ParseRef(m.Group)
	return s, directory.MemberRef{IsGroup: true, Ref: ref}, err
}
