package transfer

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestADigestIsOfTheRowsAndNotOfTheirOrder(t *testing.T) {
	rows := []Row{
		{int64(1), "a", []byte("b"), true, nil},
		{int64(1), "a", []byte("b"), false, nil},
		{int64(1), "ab", []byte{}, true, nil},
		{int64(1), "", []byte("ab"), true, nil},
		{int64(1), "", "ab", true, nil},
		{int64(1), nil, "ab", true, ""},
		{int64(-1), "a", []byte("b"), true, nil},
		{nil, int64(1), "a", []byte("b"), true},
	}
	of := func(rows []Row) (d Digest) {
		var b []byte
		for _, r := range rows {
			b = d.add(b, r)
		}
		return d
	}
	want := of(rows)
	backwards := slices.Clone(rows)
	slices.Reverse(backwards)
	if got := of(backwards); got != want {
		t.Errorf("backwards the digest is %s, want %s", got, want)
	}
	seen := map[Digest]int{}
	for i, r := range rows {
		d := of([]Row{r})
		if j, ok := seen[d]; ok {
			t.Errorf("rows %d and %d have one digest", i, j)
		}
		seen[d] = i
		if of(append(slices.Clone(rows), r)) == want || of(slices.Delete(slices.Clone(rows), i, i+1)) == want {
			t.Errorf("row %d more or less makes no difference", i)
		}
	}
	// A row twice is no row cancelled: sums, unlike exclusive ors, see it.
	if a, b := of([]Row{rows[0], rows[0]}), of([]Row{rows[1], rows[1]}); a == b {
		t.Error("pairs have one digest")
	}
}

func TestAPageIsBoundedByRowsAndByBytes(t *testing.T) {
	var p Page
	for p.Add(Row{int64(1)}) {
	}
	if len(p.Rows) != PageRows {
		t.Errorf("a page holds %d rows, want %d", len(p.Rows), PageRows)
	}
	p = Page{}
	for p.Add(Row{strings.Repeat("x", 1<<20)}) {
	}
	if len(p.Rows) != 8 {
		t.Errorf("a page holds %d rows of 1 MiB, want 8", len(p.Rows))
	}
	p = Page{}
	if p.Add(Row{make([]byte, 16<<20)}) || len(p.Rows) != 1 {
		t.Errorf("a page holds %d rows of 16 MiB, want 1", len(p.Rows))
	}
}

func TestAKeyComesBackFromANoteAsItWas(t *testing.T) {
	for _, key := range []Row{nil, {int64(-5)}, {int64(1), "", []byte{0, 255}}, {"\x00é\n", int64(1) << 62}} {
		c := copying{note: note{After: cells(key)}}
		if diff := cmp.Diff(key, c.after()); diff != "" {
			t.Errorf("%v comes back otherwise:\n%s", key, diff)
		}
	}
}

func TestARowThatIsNoneOfItsTableIsFound(t *testing.T) {
	table := table("things", 1, "n id:id name:text? on:bool data:bytes")
	good := Row{int64(1), make([]byte, 16), nil, true, []byte{}}
	if err := table.Check(good); err != nil {
		t.Error(err)
	}
	for i, bad := range []any{"1", make([]byte, 15), int64(1), int64(1), []byte(nil)} {
		r := slices.Clone(good)
		r[i] = bad
		if err := table.Check(r); err == nil || !strings.Contains(err.Error(), "things."+table.Columns[i].Name) {
			t.Errorf("%#v as %s: %v", bad, table.Columns[i].Name, err)
		}
	}
}

func TestATableOrColumnThatNobodyKnowsIsFound(t *testing.T) {
	same := func(table, column string) (string, string) { return table, column }
	have := Schema{}
	for _, t := range Tables {
		for _, c := range t.Columns {
			have[t.Name] = append(have[t.Name], c.Name)
		}
		for _, d := range t.Derived {
			have[t.Name] = append(have[t.Name], d.Name)
		}
	}
	if got := Unknown(have, same); got != nil {
		t.Errorf("nothing is unknown, and it says %q", got)
	}
	have["webhooks"] = []string{"url"}
	have["users"] = append(slices.Clone(have["users"]), "shoe_size")
	have["settings"] = []string{"name", "value"}
	have["log"] = append(slices.Clone(have["log"]), "transaction")
	have["kept"] = slices.DeleteFunc(slices.Clone(have["kept"]), func(c string) bool { return c == "answer" })
	want := []string{
		"kept.answer is copied, and is not there",
		"nothing says whether the table webhooks is copied: see transfer.Tables",
		"nothing says whether users.shoe_size is copied: see transfer.Tables",
	}
	got := Unknown(have, same, "settings", "log.transaction")
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryKeyIsOfWhatANoteCanHold(t *testing.T) {
	for _, table := range Tables {
		for _, c := range table.Columns[:table.Key] {
			if c.Null || c.Type == Bool {
				t.Errorf("%s.%s is in a key", table.Name, c.Name)
			}
		}
	}
}
