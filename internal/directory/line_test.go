package directory_test

import (
	"testing"

	"roster/internal/directory"
	"roster/internal/id"
)

// unheard writes, and calls look once that is durable and before the index or the
// one who wrote has heard of it.
func (c *crew) unheard(write, look func()) {
	committed, told := make(chan struct{}), make(chan struct{})
	after := func() { close(committed); <-told }
	c.store.after.Store(&after)
	done := make(chan struct{})
	go func() { defer close(done); write() }()
	<-committed
	look()
	close(told)
	<-done
}

func TestWhatSomebodyWasToldNobodyIsToldOtherwiseLater(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		c := newCrew(t, engine, false)
		c.user("eve")
		eve := c.users[len(c.users)-1]
		users, err := c.User(ctx, c.p, directory.ByName("eve"))
		if err != nil {
			t.Fatal(err)
		}
		top, err := c.Group(ctx, c.p, c.top)
		if err != nil {
			t.Fatal(err)
		}
		c.warm()
		add := directory.MembersChange{Group: c.top, Add: []directory.MemberRef{{Ref: directory.ByNumber(int64(eve))}}}
		c.unheard(func() {
			if _, err := c.ChangeMembers(ctx, c.p, add); err != nil {
				t.Error(err)
			}
		}, func() {
			seen, err := c.Membership(ctx, c.p, c.top, directory.MemberRef{Ref: directory.ByName("eve")})
			if err != nil {
				t.Fatalf("what is committed is not seen: %v", err)
			}
			is, err := c.IsMember(ctx, c.p, directory.Check{User: directory.ByUser(users.Value.ID), Group: directory.ByGroup(top.Value.ID)})
			if err != nil || !is.Value || is.Revision < seen.Revision {
				t.Errorf("after it was seen at revision %d, a check says %t at %d (%v)", seen.Revision, is.Value, is.Revision, err)
			}
			found := c.members(directory.Page{Limit: 1000}, false)
			if n := len(found.Items); found.Items[n-1].User.Name != "eve" {
				t.Errorf("after it was seen, a list ends with %s", found.Items[n-1].User.Name)
			}
		})
	})
}

func TestAWriteBesideAFirstPageDoesNotSendItToTheRows(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		c := newCrew(t, engine, false)
		page := func(when string) {
			t.Helper()
			c.asks()
			for _, list := range []func(directory.Page, bool) directory.Found[directory.MemberOf]{c.members, c.groups} {
				if found := list(directory.Page{Limit: 3}, true); len(found.Items) != 3 {
					t.Errorf("%s: a page of %d", when, len(found.Items))
				}
			}
			yes, err := c.AreMembers(ctx, c.p, []directory.Check{{User: c.ann.Ref, Group: c.top}})
			if err != nil || !yes.Value[0] {
				t.Errorf("%s: a check says %v, %v", when, yes.Value, err)
			}
			if n := c.asks(); n > 0 {
				t.Errorf("%s: the rows were asked %d times", when, n)
			}
		}
		c.unheard(c.write, func() { page("the index is behind") })
		between := func() { c.write() }
		for range 3 {
			c.store.between.Store(&between)
			page("the index is ahead")
		}
	})
}

func TestAPageBesideAWriteIsOfOneRevision(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		c := newCrew(t, engine, false)
		before := c.members(directory.Page{Limit: 1000}, true)
		leave := func() {
			if _, err := c.DeleteUser(ctx, c.p, directory.Deletion{Ref: directory.ByNumber(int64(c.users[0]))}); err != nil {
				t.Error(err)
			}
		}
		c.store.between.Store(&leave)
		beside := c.members(directory.Page{Limit: 1000}, true)
		if len(beside.Items) != len(before.Items) || beside.Total != before.Total || beside.At.Revision != before.At.Revision {
			t.Errorf("beside a write %d of %d at revision %d, before it %d of %d at %d", len(beside.Items), beside.Total, beside.At.Revision,
				len(before.Items), before.Total, before.At.Revision)
		}
		after := c.members(directory.Page{Limit: 1000}, true)
		if len(after.Items) != len(before.Items)-1 || after.Total != before.Total-1 {
			t.Errorf("after it %d of %d", len(after.Items), after.Total)
		}
		was := id.Number(0)
		if u := before.Items[0].User; u != nil {
			was = u.Number
		}
		if was != c.users[0] {
			t.Fatalf("the first of the list was %d, so this shows nothing", was)
		}
	})
}
