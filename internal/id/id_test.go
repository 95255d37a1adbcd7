package id_test

import (
	"slices"
	"strings"
	"testing"

	"roster/internal/id"
)

func TestParseReadsWhatStringWrites(t *testing.T) {
	u := id.New[id.User]()
	for _, s := range []string{u.String(), strings.ToUpper(u.String())} {
		got, err := id.Parse[id.User](s)
		if err != nil || got != u {
			t.Errorf("Parse(%q) = %v, %v; want %v", s, got, err, u)
		}
	}
}

func TestParseRefusesOtherSpellings(t *testing.T) {
	for _, s := range []string{
		"", "x", "00000000-0000-0000-0000-000000000000",
		"{6254736c-70e1-43b0-b769-f8e0f6359862}", "urn:uuid:6254736c-70e1-43b0-b769-f8e0f6359862",
		"6254736c70e143b0b769f8e0f6359862", "6254736c-70e1-43b0-b769-f8e0f635986g",
	} {
		if got, err := id.Parse[id.Group](s); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", s, got)
		}
	}
}

func TestNewIDsSortByCreation(t *testing.T) {
	var all []string
	for range 1000 {
		all = append(all, id.New[id.Tenant]().String())
	}
	if !slices.IsSorted(all) {
		t.Error("ids made one after another do not sort in that order")
	}
}

func TestNumberRange(t *testing.T) {
	for s, want := range map[string]id.Number{"1": 1, "2147483647": id.MaxNumber} {
		if got, err := id.ParseNumber(s); err != nil || got != want {
			t.Errorf("ParseNumber(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0", "-1", "+1", "2147483648", "99999999999999999999", "1.0", "0x1", "1_0"} {
		if got, err := id.ParseNumber(s); err == nil {
			t.Errorf("ParseNumber(%q) = %v, want an error", s, got)
		}
	}
}

func TestMemberTellsUserFromGroup(t *testing.T) {
	for _, n := range []id.Number{1, 7, id.MaxNumber} {
		u, g := id.UserMember(n), id.GroupMember(n)
		if got, ok := u.User(); !ok || got != n {
			t.Errorf("UserMember(%d).User() = %d, %v", n, got, ok)
		}
		if got, ok := g.Group(); !ok || got != n {
			t.Errorf("GroupMember(%d).Group() = %d, %v", n, got, ok)
		}
		if _, ok := u.Group(); ok {
			t.Errorf("user %d is also a group", n)
		}
		if _, ok := g.User(); ok {
			t.Errorf("group %d is also a user", n)
		}
	}
}
