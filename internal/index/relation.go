package index

import (
	"slices"
	"sort"

	"roster/internal/id"
)

// dated marks, in a member's list of groups, the edge that has dates.
const dated = 1 << 31

// A relation is who stands in which groups, both ways round, for members of one
// kind. A member is known to the relation while up holds it, in however many
// groups it stands; a group is known to it only by its members.
type relation struct {
	up    vector[[]uint32] // of a member: its groups, ascending, marked if dated
	dates vector[[]period] // of a member: the periods of its dated edges, ascending by group
	down  vector[set]      // of a group: its members without dates
	timed vector[set]      // of a group: its members with dates
}

// A period is when an edge into a group holds: from <= now < until, where zero
// is no bound.
type period struct {
	group       uint32
	from, until int64
}

func (p period) holds(now int64) bool {
	return (p.from == 0 || p.from <= now) && (p.until == 0 || now < p.until)
}

// find returns where group is, or would be, in a member's list of groups.
func find(list []uint32, group uint32) (int, bool) {
	low, high := 0, len(list)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if list[mid]&^dated < group {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < len(list) && list[low]&^dated == group
}

func findPeriod(list []period, group uint32) (int, bool) {
	i := sort.Search(len(list), func(i int) bool { return list[i].group >= group })
	return i, i < len(list) && list[i].group == group
}

// holds reports whether the dated edge of member in group is within its dates.
func (r *relation) holds(member, group uint32, now int64) bool {
	list := r.dates.at(member)
	if list == nil {
		return false
	}
	i, found := findPeriod(*list, group)
	return found && (*list)[i].holds(now)
}

// stands reports whether member, whose groups are list, stands in group now.
func (r *relation) stands(member uint32, list []uint32, group uint32, now int64) bool {
	i, found := find(list, group)
	return found && (list[i] < dated || r.holds(member, group, now))
}

// groups yields the groups that member stands in now, ascending.
func (r *relation) groups(member uint32, now int64) func(func(uint32) bool) {
	return func(yield func(uint32) bool) {
		for _, x := range r.up.get(member) {
			if x >= dated && !r.holds(member, x&^dated, now) {
				continue
			}
			if !yield(x &^ dated) {
				return
			}
		}
	}
}

// members yields who stands in group now: the members with dates after the
// members without, each ascending.
func (r *relation) members(group uint32, now int64) func(func(uint32) bool) {
	return func(yield func(uint32) bool) {
		if s := r.down.at(group); s != nil {
			for m := range s.numbers {
				if !yield(m) {
					return
				}
			}
		}
		if s := r.timed.at(group); s != nil {
			for m := range s.numbers {
				if r.holds(m, group, now) && !yield(m) {
					return
				}
			}
		}
	}
}

// standing returns how many members group has, whatever their dates.
func (r *relation) standing(group uint32) (n int) {
	if s := r.down.at(group); s != nil {
		n += s.len()
	}
	if s := r.timed.at(group); s != nil {
		n += s.len()
	}
	return n
}

// all returns the members of group, whatever their dates, ascending.
func (r *relation) all(group uint32) []id.Number {
	out := make([]id.Number, 0, r.standing(group))
	for _, s := range []*set{r.down.at(group), r.timed.at(group)} {
		if s != nil {
			for m := range s.numbers {
				out = append(out, id.Number(m))
			}
		}
	}
	if r.timed.has(group) {
		slices.Sort(out)
	}
	return out
}

// put makes member, whom the relation knows, stand in group in that period.
func (r *relation) put(o owner, member uint32, p period) {
	timed := p.from != 0 || p.until != 0
	list := r.up.at(member)
	i, found := find(*list, p.group)
	if found && timed != ((*list)[i] >= dated) {
		r.remove(o, member, p.group)
		found = false
	}
	if !found {
		mark, side := p.group, &r.down
		if timed {
			mark, side = p.group|dated, &r.timed
		}
		list, fresh := r.up.edit(o, member)
		*list = insert(*list, i, mark, fresh)
		members, fresh := side.edit(o, p.group)
		members.add(o, fresh, member)
	}
	if timed {
		r.putPeriod(o, member, p)
	}
}

func (r *relation) putPeriod(o owner, member uint32, p period) {
	list, _ := r.dates.edit(o, member)
	i, found := findPeriod(*list, p.group)
	longer := make([]period, 0, len(*list)+1)
	longer = append(append(longer, (*list)[:i]...), p)
	if found {
		i++
	}
	*list = append(longer, (*list)[i:]...)
}

// putAll makes members, who ascend and whom the relation knows, stand in group
// without dates.
func (r *relation) putAll(o owner, group uint32, members []uint32) {
	added := make([]uint32, 0, len(members))
	for _, m := range members {
		i, found := find(*r.up.at(m), group)
		if found {
			r.put(o, m, period{group: group}) // it may have had dates
			continue
		}
		list, fresh := r.up.edit(o, m)
		*list = insert(*list, i, group, fresh)
		added = append(added, m)
	}
	if len(added) > 0 {
		down, fresh := r.down.edit(o, group)
		down.addAll(o, fresh, added)
	}
}

// remove makes member stand in group no more.
func (r *relation) remove(o owner, member, group uint32) {
	if r.forget(o, member, group) {
		r.leave(o, member, group, &r.timed)
	} else {
		r.leave(o, member, group, &r.down)
	}
}

// forget takes group out of the member's list, and reports whether it had dates.
func (r *relation) forget(o owner, member, group uint32) (timed bool) {
	list := r.up.at(member)
	if list == nil {
		return false
	}
	i, found := find(*list, group)
	if !found {
		return false
	}
	timed = (*list)[i] >= dated
	edited, fresh := r.up.edit(o, member)
	*edited = without(*edited, i, fresh)
	if timed {
		r.dropPeriod(o, member, group)
	}
	return timed
}

func (r *relation) dropPeriod(o owner, member, group uint32) {
	old := r.dates.get(member)
	i, found := findPeriod(old, group)
	switch {
	case !found:
	case len(old) == 1:
		r.dates.drop(o, member)
	default:
		shorter := append(make([]period, 0, len(old)-1), old[:i]...)
		r.dates.put(o, member, append(shorter, old[i+1:]...))
	}
}

// leave takes member out of the group's members on one side.
func (r *relation) leave(o owner, member, group uint32, side *vector[set]) {
	if s := side.at(group); s == nil || !s.has(member) {
		return
	}
	members, fresh := side.edit(o, group)
	members.remove(o, fresh, member)
	if members.len() == 0 {
		side.drop(o, group)
	}
}

// drop makes the relation know member no more.
func (r *relation) drop(o owner, member uint32) {
	for _, x := range r.up.get(member) {
		side := &r.down
		if x >= dated {
			side = &r.timed
		}
		r.leave(o, member, x&^dated, side)
	}
	r.dates.drop(o, member)
	r.up.drop(o, member)
}

// empty takes every member out of group.
func (r *relation) empty(o owner, group uint32) {
	for _, side := range []*vector[set]{&r.down, &r.timed} {
		s := side.get(group)
		for m := range s.numbers {
			r.forget(o, m, group)
		}
		side.drop(o, group)
	}
}

// The values of a relation's vectors.
var (
	lists   = kind[[]uint32]{trim: trimList, weigh: listWeight}
	periods = kind[[]period]{weigh: func(list *[]period) int64 { return int64(cap(*list)) * 24 }}
	sets    = kind[set]{trim: (*set).trim, weigh: (*set).weight, shared: (*set).shared}
)

// seal ends o's editing of r, which began as base.
func (r *relation) seal(o owner, base *relation) growth {
	g := r.up.seal(o, &base.up, lists)
	g.add(r.dates.seal(o, &base.dates, periods))
	g.add(r.down.seal(o, &base.down, sets))
	g.add(r.timed.seal(o, &base.timed, sets))
	return g
}
