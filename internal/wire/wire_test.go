package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// thing has a field of every sort a wire struct has.
type thing struct {
	Name  string         `json:"name"`
	Count int64          `json:"count"`
	On    bool           `json:"on"`
	List  []string       `json:"list"`
	Inner *inner         `json:"inner"`
	Any   map[string]any `json:"any"`
}

type inner struct {
	Key string `json:"key"`
}

func deep(n int, left, right string) string {
	return strings.Repeat(left, n) + "1" + strings.Repeat(right, n)
}

func TestStrictTakesWhatIsMeantAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		what, body  string
		code, field string // "" if it is good
	}{
		{"everything", `{"name":"n","count":-9223372036854775808,"on":true,"list":["a"],"inner":{"key":"k"},"any":{"x":[1,null]}}`, "", ""},
		{"nothing", `{}`, "", ""},
		{"null", `null`, "", ""},
		{"spaces", " \t\r\n{} \n", "", ""},
		{"an unknown name", `{"nmae":"n"}`, "field.unknown", "nmae"},
		{"an unknown name inside", `{"inner":{"kye":"k"}}`, "field.unknown", "inner.kye"},
		{"another case", `{"Name":"n"}`, "field.unknown", "Name"},
		{"a dotted name", `{"inner.key":"n"}`, "field.unknown", "inner.key"},
		{"a name twice", `{"name":"a","name":"b"}`, "field.repeated", "name"},
		{"a name twice by an escape", `{"name":"a","n\u0061me":"b"}`, "field.repeated", "name"},
		{"a name twice in what is free", `{"any":{"a":1,"a":2}}`, "field.repeated", "any.a"},
		{"a number for text", `{"name":1}`, "field.type", "name"},
		{"text for a number", `{"count":"1"}`, "field.type", "count"},
		{"a fraction for a whole number", `{"count":1.5}`, "field.type", "count"},
		{"a number beyond int64", `{"count":9223372036854775808}`, "field.type", "count"},
		{"text for a truth", `{"on":"true"}`, "field.type", "on"},
		{"an object for a list", `{"list":{}}`, "field.type", "list"},
		{"a number in a list of text", `{"list":["a",1]}`, "field.type", "list.1"},
		{"a list", `[]`, "field.type", ""},
		{"text", `"x"`, "field.type", ""},
		{"something behind", `{} {}`, "body.malformed", ""},
		{"a letter behind", `{}x`, "body.malformed", ""},
		{"an open end", `{"name":"n"`, "body.malformed", ""},
		{"empty", ``, "body.malformed", ""},
		{"a comma too many", `{"name":"n",}`, "body.malformed", ""},
		{"a comment", `{/*x*/}`, "body.malformed", ""},
		{"single quotes", `{'name':'n'}`, "body.malformed", ""},
		{"not UTF-8", "{\"name\":\"\xff\"}", "body.malformed", ""},
		{"half a surrogate", `{"name":"\ud800"}`, "body.malformed", ""},
		{"a control character", "{\"name\":\"a\x01\"}", "body.malformed", ""},
		{"a byte order mark", "\ufeff{}", "body.malformed", ""},
		{"deep enough", `{"any":{"x":` + deep(wire.MaxDepth-2, "[", "]") + `}}`, "", ""},
		{"too deep", `{"any":{"x":` + deep(wire.MaxDepth-1, "[", "]") + `}}`, "body.malformed", ""},
		{"10,000 deep", deep(10000, "[", "]"), "body.malformed", ""},
		{"10,000 deep in objects", deep(10000, `{"any":`, "}"), "body.malformed", ""},
		{"10,000 deep and open", strings.Repeat("[", 10000), "body.malformed", ""},
		{"brackets in text", `{"name":"` + strings.Repeat(`[{\"\\`, 500) + `"}`, "", ""},
	} {
		var v thing
		err := wire.Strict([]byte(c.body), &v)
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		e, ok := errors.AsType[*directory.Error](err)
		if !ok || e.Kind != directory.Invalid || e.Code != c.code || c.field != "" && e.Field != c.field {
			t.Errorf("%s: %v (field %q), want %s at %q", c.what, err, e.Field, c.code, c.field)
		}
	}
	var v thing
	if err := wire.Strict([]byte(`{"name":"n","count":7,"inner":{"key":"k"}}`), &v); err != nil || v.Name != "n" || v.Count != 7 || v.Inner.Key != "k" {
		t.Errorf("what was read is %+v, %v", v, err)
	}
}

func TestLenientTakesWhatLegacyClientsSend(t *testing.T) {
	n := func(s string) json.Number { return json.Number(s) }
	for body, want := range map[string]any{
		`{"a":1,"A":2,"a":3}`:         map[string]any{"a": n("3"), "A": n("2")},
		"\ufeff{\"a\":null}":          map[string]any{"a": nil},
		`9007199254740993`:            n("9007199254740993"),
		`1e400`:                       n("1e400"),
		` [1.50, "x", true, {}] `:     []any{n("1.50"), "x", true, map[string]any{}},
		`null`:                        nil,
		deep(wire.MaxDepth, "[", "]"): nil,
	} {
		got, err := wire.Lenient([]byte(body))
		if err != nil {
			t.Errorf("Lenient(%.40q): %v", body, err)
		} else if diff := cmp.Diff(want, got); diff != "" && !strings.HasPrefix(body, "[[") {
			t.Errorf("Lenient(%.40q) (-want +got):\n%s", body, diff)
		}
	}
	for _, body := range []string{"", " ", "{", `{"a":1}}`, `{} {}`, `{}x`, `{"a":1,}`, `{'a':1}`, `{a:1}`, "NaN", "01", "\xff", "\ufeff\ufeff{}", deep(wire.MaxDepth+1, "[", "]"), deep(10000, `{"a":`, "}"), strings.Repeat("[", 10000)} {
		if got, err := wire.Lenient([]byte(body)); !errors.Is(err, directory.Invalid) {
			t.Errorf("Lenient(%.40q) is %v, %v; want invalid", body, got, err)
		}
	}
}

func FuzzStrictAndLenient(f *testing.F) {
	for _, s := range []string{`{"name":"n","count":1,"any":{"a":[1]}}`, `{"a":1,"a":2}`, `{"inner":{"Key":1}}`, "\ufeff[]", `"\ud800"`, deep(70, "[", "]"), `]]]][[[[`, `"\\"[[`, `"\`, `{"any":{"":{"/":{"~":1}}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var v thing
		strict := wire.Strict(body, &v)
		got, lenient := wire.Lenient(body)
		for _, err := range []error{strict, lenient} {
			if err != nil && !errors.Is(err, directory.Invalid) {
				t.Errorf("%q: %v is not the caller's", body, err)
			}
		}
		if strict == nil && lenient != nil {
			t.Errorf("%q is strictly right and leniently %v", body, lenient)
		}
		if lenient == nil {
			// What was read nests no deeper than is promised, and can be said again.
			said, err := wire.Marshal(got)
			if err != nil {
				t.Errorf("%q cannot be said again: %v", body, err)
			} else if err := wire.CheckDepth(said); err != nil {
				t.Errorf("%q is deeper when said again: %v", body, err)
			}
		}
	})
}

func TestABodyIsReadUpToItsLimit(t *testing.T) {
	read := func(body io.Reader, length int64) ([]byte, error) {
		r := httptest.NewRequest("POST", "/", body)
		r.ContentLength = length
		return wire.ReadBody(httptest.NewRecorder(), r, 10)
	}
	if b, err := read(strings.NewReader("0123456789"), -1); err != nil || string(b) != "0123456789" {
		t.Errorf("at the limit: %q, %v", b, err)
	}
	for what, length := range map[string]int64{"said beforehand": 11, "not said": -1, "said to be less": 3} {
		if b, err := read(strings.NewReader("0123456789x"), length); err != wire.ErrTooLarge {
			t.Errorf("over the limit, %s: %q, %v", what, b, err)
		}
	}
	if _, err := read(io.MultiReader(strings.NewReader("x"), broken{}), -1); !errors.Is(err, directory.Invalid) {
		t.Errorf("a body that breaks off: %v, want invalid", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAMediaTypeIsReadWithoutItsParameters(t *testing.T) {
	for header, want := range map[string]string{
		"application/json": "application/json", "Application/JSON; charset=UTF-8": "application/json", "": "", "json": "json", "a/b; =": "", "text/plain;": "text/plain",
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Content-Type", header)
		if got := wire.MediaType(r); got != want {
			t.Errorf("MediaType of %q is %q, want %q", header, got, want)
		}
	}
}

func TestJSONIsWrittenWholeAndWithoutNull(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{thing{Name: "<&>\u2028"}, "{\"name\":\"<&>\u2028\",\"count\":0,\"on\":false,\"list\":[],\"inner\":null,\"any\":{}}"},
		{map[string]any{"b": json.Number("9007199254740993"), "a": json.Number("1.50"), "c": nil}, `{"a":1.50,"b":9007199254740993,"c":null}`},
		{"a\xffb", `"a` + "\ufffd" + `b"`},
		{[]string(nil), "[]"},
	} {
		rec := httptest.NewRecorder()
		wire.WriteJSON(rec, http.StatusCreated, c.v)
		if got := rec.Body.String(); got != c.want || rec.Code != http.StatusCreated || rec.Header().Get("Content-Type") != "application/json; charset=utf-8" || rec.Header().Get("Content-Length") == "" {
			t.Errorf("it wrote %d %q with %v, want %q", rec.Code, got, rec.Header(), c.want)
		}
	}
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", "application/scim+json")
	wire.WriteJSON(rec, http.StatusOK, 1)
	if got := rec.Header().Get("Content-Type"); got != "application/scim+json" {
		t.Errorf("the content type became %q", got)
	}
}

func TestTheAddressOfAClientIsWithoutItsPort(t *testing.T) {
	for remote, want := range map[string]string{"10.0.0.1:80": "10.0.0.1", "[::1]:80": "[::1]", "": "", "@": "@", "host": "host"} {
		if got := wire.CutHost(remote); got != want {
			t.Errorf("CutHost(%q) is %q, want %q", remote, got, want)
		}
	}
}

// logged serves one request through the server's outer handler and returns what
// was answered and logged.
func logged(r *http.Request, h http.HandlerFunc) (*httptest.ResponseRecorder, string) {
	var log bytes.Buffer
	rec := httptest.NewRecorder()
	wire.Logged(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo})), h, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}).ServeHTTP(rec, r)
	return rec, log.String()
}

func TestEachRequestIsOneLineWithoutItsQuery(t *testing.T) {
	p := directory.Principal{Tenant: id.New[id.Tenant](), Credential: id.New[id.Credential]()}
	r := httptest.NewRequest("POST", "/x/y?api_key=SECRET", strings.NewReader("SECRET"))
	r.Header.Set("Authorization", "Bearer SECRET")
	rec, log := logged(r, func(w http.ResponseWriter, r *http.Request) {
		wire.EntryOf(r.Context()).Dialect = "d"
		wire.Note(r.Context(), p, errors.New("the cause"))
		w.WriteHeader(http.StatusTeapot)
	})
	for _, want := range []string{"method=POST", "path=/x/y", "status=418", "dialect=d", "tenant=" + p.Tenant.String(), "credential=" + p.Credential.String(), `err="the cause"`, "request=" + rec.Header().Get(wire.RequestIDHeader)} {
		if !strings.Contains(log, want) {
			t.Errorf("the line lacks %s: %s", want, log)
		}
	}
	if strings.Count(log, "\n") != 1 || strings.Contains(log, "SECRET") {
		t.Errorf("the log is %q, want one line without a secret", log)
	}
	if _, log := logged(httptest.NewRequest("GET", "/x", nil), func(w http.ResponseWriter, _ *http.Request) {}); log != "" {
		t.Errorf("a question that was answered is logged: %s", log)
	}
	r = httptest.NewRequest("POST", "/", nil)
	r.URL.Path = "/a\nlevel=ERROR"
	if _, log := logged(r, func(http.ResponseWriter, *http.Request) {}); strings.Count(log, "\n") != 1 {
		t.Errorf("a path with a line in it makes %q", log)
	}
}

func TestAPanicIsAnswered500AndTheServerGoesOn(t *testing.T) {
	rec, log := logged(httptest.NewRequest("GET", "/x", nil), func(http.ResponseWriter, *http.Request) { panic("the cause") })
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "cause") || !strings.Contains(log, "the cause") || !strings.Contains(log, "status=500") {
		t.Errorf("it answers %d %q and logs %s", rec.Code, rec.Body, log)
	}
	rec, _ = logged(httptest.NewRequest("GET", "/x", nil), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		panic("late")
	})
	if rec.Code != http.StatusOK {
		t.Errorf("after an answer began a panic made it %d", rec.Code)
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("an aborted answer became %v", p)
		}
	}()
	logged(httptest.NewRequest("GET", "/x", nil), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

func TestARequestIDIsTheCallersIfItIsPlain(t *testing.T) {
	for given, keep := range map[string]bool{"abc-1_2.3:4/5": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "a b": false, "a\"b": false, "ä": false, "": false} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(wire.RequestIDHeader, given)
		rec, _ := logged(r, func(http.ResponseWriter, *http.Request) {})
		got := rec.Header().Get(wire.RequestIDHeader)
		if (got == given) != keep || got == "" {
			t.Errorf("given %q the request's id is %q, want it kept: %v", given, got, keep)
		}
	}
}
