package syncano

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"roster/internal/dialect/dialecttest"
)

// naive pages through ids as section 3.1 says it, step by step.
func naive(all []int64, size int, descending, directed, forward bool, last int64, limited bool) (items []int64, next, prev string) {
	if size == 0 {
		return nil, "", ""
	}
	rows := slices.Clone(all)
	if descending {
		slices.Reverse(rows)
	}
	before := func(a, b int64) bool { return a < b != descending && a != b }
	if !directed {
		forward, limited = true, false
	}
	if limited {
		rows = slices.DeleteFunc(rows, func(n int64) bool {
			if forward {
				return !before(last, n)
			}
			return !before(n, last)
		})
	}
	if forward {
		items = rows[:min(size, len(rows))]
	} else {
		items = rows[max(0, len(rows)-size):]
	}
	full := len(items) == size
	switch {
	case full:
		next = fmt.Sprintf("direction=1&last_pk=%d", items[len(items)-1])
	case !forward:
		next = "bare"
	}
	switch {
	case !directed:
	case forward && len(items) == 0:
		prev = "direction=0"
	case forward || full:
		prev = fmt.Sprintf("direction=0&last_pk=%d", items[0])
	}
	return items, next, prev
}

func TestPagesAreThoseOfTheAlgorithm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := map[int64]bool{}
		for _, n := range rapid.SliceOfN(rapid.Int64Range(1, 20), 0, 12).Draw(t, "ids") {
			set[n] = true
		}
		var all []int64
		for n := int64(1); n <= 20; n++ {
			if set[n] {
				all = append(all, n)
			}
		}
		size := rapid.IntRange(0, 6).Draw(t, "size")
		last := rapid.Int64Range(0, 21).Draw(t, "last")
		descending, directed, forward, limited := rapid.Bool().Draw(t, "descending"), rapid.Bool().Draw(t, "directed"), rapid.Bool().Draw(t, "forward"), rapid.Bool().Draw(t, "limited")
		query := map[string]string{"page_size": strconv.Itoa(size), "ordering": "asc"}
		if descending {
			query["ordering"] = "desc"
		}
		if directed {
			query["direction"] = "0"
			if forward {
				query["direction"] = "1"
			}
		}
		if limited {
			query["last_pk"] = strconv.FormatInt(last, 10)
		}
		p, err := readPaging(query)
		if err != nil {
			t.Fatal(err)
		}
		same := func(n int64) int64 { return n }
		for what, from := range map[string]source[int64]{"few": few(all, same), "ordered": ordered(all, same)} {
			if what == "ordered" && (descending || limited && !set[last]) {
				continue // its cursors are those of its items, and it has one order
			}
			got, err := read(p, "/x/", same, from)
			if err != nil {
				t.Fatal(err)
			}
			items, next, prev := naive(all, size, descending, directed, forward, last, limited)
			link := func(s *string) string {
				if s == nil {
					return ""
				}
				if *s == "/x/" {
					return "bare"
				}
				rest, ok := strings.CutPrefix(*s, fmt.Sprintf("/x/?page_size=%d&ordering=%s&", size, query["ordering"]))
				if !ok {
					t.Fatalf("the link is %s", *s)
				}
				return rest
			}
			if diff := cmp.Diff(append([]int64{}, items...), append([]int64{}, got.items...)); diff != "" {
				t.Fatalf("%s of %v with %v (-want +got):\n%s", what, all, query, diff)
			}
			if link(got.next) != next || link(got.prev) != prev {
				t.Fatalf("%s of %v with %v: next %q, prev %q; want %q, %q", what, all, query, link(got.next), link(got.prev), next, prev)
			}
		}
	})
}

// FuzzPaging asks for lists in ways that nobody meant, of every sort of list.
func FuzzPaging(f *testing.F) {
	for _, q := range []string{
		"", "page_size=2&ordering=desc&direction=1&last_pk=3", "page_size=0", "page_size=%30", "direction=0&direction=1", "last_pk=2147483647&direction=0",
		"page_size=99999999999999999999&fields=id,links,,profile", "excluded_fields=objects", "order_by=-id&direction=1&last_pk=0", "order_by=--id",
		`query={"id":{"_gt":1}}`, `query=[[[[`, `query={"owner":{"_in":[{}]}}`, "username__startswith=%ff&label__startswith=\xff", "include_count=true", "%&=&&",
	} {
		f.Add(q)
	}
	p := dialecttest.New(f, crowd, New)
	f.Fuzz(func(t *testing.T, query string) {
		for _, list := range []string{"users/", "groups/", "users/1/groups/", "groups/2/users/", "api_keys/", "classes/", "classes/user_profile/objects/", "../../instances/"} {
			r := httptest.NewRequest("GET", "/v1.1/instances/rivia/users/", nil)
			r.URL.Path, r.URL.RawQuery = "/v1.1/instances/rivia/"+list, query
			if list == "../../instances/" {
				r.URL.Path = "/v1.1/instances/"
			}
			r.Header.Set("X-API-KEY", accountKey)
			res := p.Do(r)
			got := said(t, res)
			if res.StatusCode != 200 && res.StatusCode != 400 {
				t.Errorf("%s?%q: %s", list, query, got)
			}
			if res.StatusCode == 200 && !strings.Contains(got, `"next":`) {
				t.Errorf("%s?%q is no list: %s", list, query, got)
			}
		}
	})
}

// FuzzProfile sends schemas and profiles that nobody meant: what is kept must
// come back.
func FuzzProfile(f *testing.F) {
	for _, schema := range []string{`[]`, `[{"name":"a","type":"string"}]`, `[{"name":"a","type":"relation","target":"user"},{"name":"b","type":"geopoint"}]`, `[{"name":"a","type":"integer","order_index":true}]`, `{}`, `[[]]`, `"[]"`, `[{"name":"a","type":"object","unique":1}]`} {
		for _, profile := range []string{`{}`, `{"a":1}`, `{"a":"x"}`, `{"a":[1,2,"3"]}`, `{"a":{"_increment":1e400}}`, `{"a":{"_add":[[]]}}`, `{"a":{"value":1,"type":"reference"},"b":"{}"}`, `{"b":{"longitude":"1","latitude":-90}}`, `{"group":1,"channel":{}}`} {
			f.Add(schema, profile)
		}
	}
	p := dialecttest.New(f, crowd, New)
	f.Fuzz(func(t *testing.T, schema, profile string) {
		for path, body := range map[string]string{"classes/user_profile/": `{"schema":` + schema + `}`, "users/1/": `{"profile":` + profile + `}`} {
			r := postJSON("/v1.1/instances/rivia/"+path, accountKey, body)
			r.Method = "PATCH"
			res := p.Do(r)
			if got := said(t, res); res.StatusCode != 200 && res.StatusCode != 400 {
				t.Errorf("PATCH %s %q: %s", path, body, got)
			}
		}
		r := httptest.NewRequest("GET", "/v1.1/instances/rivia/users/1/", nil)
		r.Header.Set("X-API-KEY", accountKey)
		if got := said(t, p.Do(r)); !strings.HasPrefix(got, "200 ") {
			t.Errorf("after %q and %q: %s", schema, profile, got)
		}
	})
}

func TestAProblemOfASourceIsTheLists(t *testing.T) {
	broken := errors.New("broken")
	p, err := readPaging(map[string]string{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(p, "/", func(n int64) int64 { return n }, func(int64, bool, int) ([]int64, error) { return nil, broken }); err != broken {
		t.Errorf("it is %v", err)
	}
}
