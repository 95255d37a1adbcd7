package native

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roster/internal/apply"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
	"roster/internal/wire"
)

// sink is an answer that nobody reads, used again and again.
type sink struct {
	header http.Header
	status int
	body   []byte
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(n int)   { s.status = n }
func (s *sink) Write(b []byte) (int, error) {
	s.body = append(s.body[:0], b...)
	return len(b), nil
}

// benchDoor is the door over a warm index.
func benchDoor(t testing.TB) http.Handler {
	w := directorytest.New(t, nil)
	file, err := apply.Read(strings.NewReader(world))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&apply.Applier{Directory: w.Directory, Authn: w.Authn}).Apply(context.Background(), directorytest.Root(), file, false); err != nil {
		t.Fatal(err)
	}
	tenant, _ := id.Parse[id.Tenant]("0190a000-0000-7000-8000-000000000001")
	p := directorytest.In(directorytest.Root(), tenant)
	check := directory.Check{
		User:  directory.ByUser(must(id.Parse[id.User]("0190a000-0000-7000-8000-0000000000a1"))),
		Group: directory.ByGroup(must(id.Parse[id.Group]("0190a000-0000-7000-8000-0000000000b2"))),
	}
	// The first question starts the loading of the index. The store, which
	// answers until then, cannot do so without allocating.
	ask := func() {
		if _, err := w.IsMember(context.Background(), p, check); err != nil {
			t.Fatal(err)
		}
	}
	for testing.AllocsPerRun(1, ask) > 2 {
		time.Sleep(time.Millisecond)
	}
	return New(dialect.Deps{Directory: w.Directory, Authn: w.Authn, Log: slog.New(slog.DiscardHandler)}).Handler()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func checkRequest() *http.Request {
	r := httptest.NewRequest("GET", "/api/v1/tenants/0190a000-0000-7000-8000-000000000001/check?user=0190a000-0000-7000-8000-0000000000a1&group=0190a000-0000-7000-8000-0000000000b2", nil)
	r.Header.Set("Authorization", "Bearer "+adminKey)
	return r
}

const checkBody = `{"member":true,"revision":12}`

// BenchmarkCheck asks the whole door, key and all, through the index.
func BenchmarkCheck(b *testing.B) {
	bench(b, benchDoor(b))
}

// BenchmarkCheckLogged is the same with the server's request log around it.
func BenchmarkCheckLogged(b *testing.B) {
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	bench(b, wire.Logged(log, benchDoor(b), func(http.ResponseWriter, *http.Request) { b.Error("panic") }))
}

// BenchmarkBare is what there is to compare with: a handler behind
// [http.ServeMux] that answers the same bytes and does nothing for them.
func BenchmarkBare(b *testing.B) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/tenants/{tenant}/check", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Content-Type"] = jsonType
		h["Cache-Control"] = noStore
		h[headerRevision] = []string{"12"}
		w.Write([]byte(checkBody))
	})
	bench(b, mux)
}

func bench(b *testing.B, h http.Handler) {
	r := checkRequest()
	w := &sink{header: http.Header{}}
	first := *r
	h.ServeHTTP(w, &first)
	if !strings.HasPrefix(string(w.body), `{"member":true,"revision":`) {
		b.Fatalf("%d %s", w.status, w.body)
	}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		fresh := *r // as the server makes one: a request that was routed carries its path's values
		h.ServeHTTP(w, &fresh)
	}
}

// maxCheckAllocs is what one check may allocate from the router to the answer.
// It is a ratchet: lower it when it can be lowered.
const maxCheckAllocs = 6

func TestACheckAllocatesLittle(t *testing.T) {
	h := benchDoor(t)
	r := checkRequest()
	w := &sink{header: http.Header{}}
	allocs := testing.AllocsPerRun(200, func() {
		clear(w.header)
		fresh := *r
		h.ServeHTTP(w, &fresh)
	})
	if allocs > maxCheckAllocs {
		t.Errorf("a check allocates %.0f times, at most %d are budgeted", allocs, maxCheckAllocs)
	}
}
