package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"mime"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"roster/internal/dialect"
	"roster/internal/dialect/dialecttest"
	"roster/internal/id"
	"roster/internal/wire"
)

func parse(t testing.TB, b []byte) map[string]any {
	t.Helper()
	v, err := object(b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// object reads a JSON object, and keeps the digits of its numbers.
func object(b []byte) (v map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// document is the served description, with its references followed.
type document struct{ root map[string]any }

// get walks down by names, following references on the way.
func (d document) get(from any, names ...string) (any, bool) {
	at := d.follow(from)
	for _, name := range names {
		m, _ := at.(map[string]any)
		next, ok := m[name]
		if !ok {
			return nil, false
		}
		at = d.follow(next)
	}
	return at, true
}

func (d document) follow(v any) any {
	for {
		m, _ := v.(map[string]any)
		ref, ok := m["$ref"].(string)
		if !ok {
			return v
		}
		v = d.root
		for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := v.(map[string]any)
			if v, ok = m[name]; !ok {
				panic("openapi.json: " + ref + " leads nowhere")
			}
		}
	}
}

// check returns what is wrong with a value by a schema. It knows the keywords
// that the document uses and panics at others, so that none is quietly ignored.
func (d document) check(schema, v any, where string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, where+": "+fmt.Sprintf(format, args...)) }
	s := d.follow(schema).(map[string]any)
	for keyword, want := range s {
		switch keyword {
		case "description", "default", "required", "additionalProperties":
		case "type":
			kinds, ok := want.([]any)
			if !ok {
				kinds = []any{want}
			}
			if !slices.Contains(kinds, any(kindOf(v))) && !(kindOf(v) == "integer" && slices.Contains(kinds, any("number"))) {
				fault("is %s, want %v", kindOf(v), kinds)
			}
		case "enum":
			if v != nil && !slices.Contains(want.([]any), v) {
				fault("%v is none of %v", v, want)
			}
		case "pattern":
			if text, ok := v.(string); ok && !regexp.MustCompile(want.(string)).MatchString(text) {
				fault("%q does not match %s", text, want)
			}
		case "format":
			if text, ok := v.(string); ok && !formats[want.(string)](text) {
				fault("%q is no %s", text, want)
			}
		case "minimum", "maximum":
			if n, ok := v.(json.Number); ok {
				have, _ := new(big.Float).SetString(n.String())
				limit, _ := new(big.Float).SetString(want.(json.Number).String())
				if c := have.Cmp(limit); c < 0 && keyword == "minimum" || c > 0 && keyword == "maximum" {
					fault("%s is beyond the %s %s", n, keyword, want)
				}
			}
		case "minLength", "maxLength":
			n, _ := strconv.Atoi(want.(json.Number).String())
			if text, ok := v.(string); ok && (keyword == "minLength" && len(text) < n || keyword == "maxLength" && len(text) > n) {
				fault("%d bytes, against %s %d", len(text), keyword, n)
			}
		case "minItems", "maxItems":
			n, _ := strconv.Atoi(want.(json.Number).String())
			if l, ok := v.([]any); ok && (keyword == "minItems" && len(l) < n || keyword == "maxItems" && len(l) > n) {
				fault("%d items, against %s %d", len(l), keyword, n)
			}
		case "items":
			l, _ := v.([]any)
			for i, item := range l {
				faults = append(faults, d.check(want, item, fmt.Sprintf("%s[%d]", where, i))...)
			}
		case "properties":
			m, _ := v.(map[string]any)
			for name, value := range m {
				if property, ok := want.(map[string]any)[name]; ok {
					faults = append(faults, d.check(property, value, where+"."+name)...)
				}
			}
		case "oneOf":
			fit := 0
			var all []string
			for _, alternative := range want.([]any) {
				wrong := d.check(alternative, v, where)
				if len(wrong) == 0 {
					fit++
				}
				all = append(all, wrong...)
			}
			if fit != 1 {
				fault("fits %d alternatives: %v", fit, all)
			}
		default:
			panic("openapi.json: the test does not know the keyword " + keyword)
		}
	}
	m, isObject := v.(map[string]any)
	if !isObject {
		return faults
	}
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := m[name.(string)]; !ok {
			fault("lacks %s", name)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for name, value := range m {
		if _, ok := properties[name]; ok {
			continue
		}
		switch more := s["additionalProperties"].(type) {
		case bool:
			if !more {
				fault("has %s, which is not declared", name)
			}
		case map[string]any:
			faults = append(faults, d.check(more, value, where+"."+name)...)
		}
	}
	return faults
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "number"
		}
		return "integer"
	case []any:
		return "array"
	}
	return "object"
}

var formats = map[string]func(string) bool{
	"uuid": func(s string) bool { _, err := id.Parse[id.User](s); return err == nil },
	"date-time": func(s string) bool {
		_, err := time.Parse(time.RFC3339Nano, s)
		return err == nil
	},
}

func TestTheSchemaCheckFindsFaults(t *testing.T) {
	d := document{parse(t, openAPI)}
	user := func() map[string]any {
		return parse(t, []byte(`{"id":"0190a000-0000-7000-8000-0000000000a1","number":1,"code":1,"name":"ann","email_verified":false,"suspended":false,
"external_ids":{},"attributes":{},"version":1,"created":"2026-01-02T03:04:05Z","modified":"2026-01-02T03:04:05Z"}`))
	}
	schema := map[string]any{"$ref": "#/components/schemas/User"}
	if faults := d.check(schema, user(), "user"); len(faults) > 0 {
		t.Fatalf("a good user: %v", faults)
	}
	for name, spoil := range map[string]func(map[string]any){
		"a field too many":     func(u map[string]any) { u["password"] = "x" },
		"a field too few":      func(u map[string]any) { delete(u, "version") },
		"another type":         func(u map[string]any) { u["number"] = "1" },
		"no integer":           func(u map[string]any) { u["number"] = json.Number("1.5") },
		"out of range":         func(u map[string]any) { u["number"] = json.Number("0") },
		"no id":                func(u map[string]any) { u["id"] = "1" },
		"no date":              func(u map[string]any) { u["created"] = "yesterday" },
		"null":                 func(u map[string]any) { u["email"] = nil },
		"a bad value in a map": func(u map[string]any) { u["external_ids"] = map[string]any{"hr": json.Number("7")} },
	} {
		u := user()
		spoil(u)
		if len(d.check(schema, u, "user")) == 0 {
			t.Errorf("%s was not found", name)
		}
	}
	both := parse(t, []byte(`{"user":"number:1","group":"number:1"}`))
	if len(d.check(map[string]any{"$ref": "#/components/schemas/BatchItem"}, both, "item")) == 0 {
		t.Error("an item with two names fits no alternative, and was not found")
	}
}

func TestDescriptionNamesEveryRouteAndNoOther(t *testing.T) {
	d := document{parse(t, openAPI)}
	routes := map[string]dialect.Route{}
	for _, r := range New(dialect.Deps{}).Routes {
		routes[r.Method+" "+r.Pattern] = r
	}
	described := map[string]bool{}
	operations := map[string]string{}
	for path, methods := range d.root["paths"].(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			row := strings.ToUpper(method) + " " + path
			described[row] = true
			op := operation.(map[string]any)
			name := op["operationId"].(string)
			if other, taken := operations[name]; taken {
				t.Errorf("%s and %s are both called %s", row, other, name)
			}
			operations[name] = row
			route, ok := routes[row]
			if !ok {
				t.Errorf("%s is described, and no route", row)
				continue
			}
			_, open := op["security"]
			if open != (route.Public != "") {
				t.Errorf("%s: described as open %v, and its route says %q", row, open, route.Public)
			}
			var inPath []string
			parameters, _ := op["parameters"].([]any)
			for _, p := range parameters {
				p := d.follow(p).(map[string]any)
				if p["in"] == "path" {
					inPath = append(inPath, "{"+p["name"].(string)+"}")
				}
			}
			if want := regexp.MustCompile(`\{\w+\}`).FindAllString(path, -1); !slices.Equal(inPath, want) {
				t.Errorf("%s: the parameters %v are described, want %v", row, inPath, want)
			}
		}
	}
	for row := range routes {
		if !described[row] {
			t.Errorf("%s is a route, and not described", row)
		}
	}
}

// TestConversationsKeepToTheDescription plays the recorded conversations and
// holds every answer, and every request that was accepted, to what the
// description declares for the operation and status.
func TestConversationsKeepToTheDescription(t *testing.T) {
	d := document{parse(t, openAPI)}
	seen := map[string]bool{}
	dialecttest.Run(t, "testdata/*.txtar", held(t, d, seen))
	t.Run("keys that are made and revoked", func(t *testing.T) {
		p := dialecttest.New(t, world, held(t, d, seen))
		made := ask[keyJSON](t, p, "POST", acme+"/keys", adminKey, `{"name":"k","grants":["users.read"]}`, 201)
		ask[keyJSON](t, p, "DELETE", acme+"/keys/"+made.ID, adminKey, "", 204)
	})
	for path, methods := range d.root["paths"].(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			for status := range operation.(map[string]any)["responses"].(map[string]any) {
				if row := strings.ToUpper(method) + " " + path + " " + status; status < "300" && !seen[row] {
					t.Errorf("%s: no conversation has it", row)
				}
			}
		}
	}
}

// held returns a door that holds each exchange to the description, and notes
// which answers it saw.
func held(t *testing.T, d document, seen map[string]bool) func(dialect.Deps) dialect.Door {
	return func(deps dialect.Deps) dialect.Door {
		door := New(deps)
		rt := wire.NewRouter(door.Paths)
		rt.NotFound = http.NotFoundHandler()
		for _, r := range door.Routes {
			row := r.Method + " " + r.Pattern
			rt.Handle(r.Method, r.Pattern, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, row) }))
		}
		door.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				request, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				r.Body = io.NopCloser(bytes.NewReader(request))
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				maps.Copy(w.Header(), rec.Header())
				w.WriteHeader(rec.Code)
				w.Write(rec.Body.Bytes())
				row := ""
				if h, _ := rt.Lookup(r, strings.Replace(r.Method, "HEAD", "GET", 1), r.URL.EscapedPath()); h != nil {
					found := httptest.NewRecorder()
					h.ServeHTTP(found, r)
					row = found.Body.String()
					seen[row+" "+strconv.Itoa(rec.Code)] = true
				}
				for _, fault := range d.keeps(row, r, request, rec) {
					t.Errorf("%s %s → %d: %s", r.Method, r.URL, rec.Code, fault)
				}
			})
		}
		return door
	}
}

// keeps returns how an exchange departs from the description of its operation;
// one without an operation is answered with a problem.
func (d document) keeps(row string, r *http.Request, request []byte, answer *httptest.ResponseRecorder) []string {
	var declared any
	status := strconv.Itoa(answer.Code)
	if row == "" {
		declared = map[string]any{"$ref": "#/components/responses/NotFound"}
		if answer.Code == http.StatusMethodNotAllowed {
			declared = map[string]any{"$ref": "#/components/responses/MethodNotAllowed"}
		}
	} else {
		method, path, _ := strings.Cut(row, " ")
		operation, _ := d.get(d.root["paths"], path, strings.ToLower(method))
		var ok bool
		if declared, ok = d.get(operation, "responses", status); !ok {
			return []string{"the status is not declared"}
		}
		if schema, ok := d.get(operation, "requestBody", "content", wire.MediaType(r), "schema"); ok && answer.Code < 300 && wire.MediaType(r) != yamlType {
			if faults := d.checkEach(schema, request, "request"); len(faults) > 0 {
				return faults
			}
		}
	}
	var faults []string
	media, _, _ := mime.ParseMediaType(answer.Header().Get("Content-Type"))
	headers, _ := d.get(declared, "headers")
	named, _ := headers.(map[string]any)
	for _, name := range []string{"ETag", "Location", headerRevision, headerReplayed, "Retry-After", "WWW-Authenticate", "Allow"} {
		value, present := answer.Header()[http.CanonicalHeaderKey(name)]
		header, ok := named[name]
		optional := name == headerReplayed || media == ndjson
		switch {
		case present && !ok:
			faults = append(faults, name+" is not declared")
		case !present && ok && !optional:
			faults = append(faults, name+" is declared and not there")
		case present:
			schema, _ := d.get(header, "schema")
			var v any = value[0]
			if _, err := strconv.Atoi(value[0]); err == nil {
				v = json.Number(value[0])
			}
			faults = append(faults, d.check(schema, v, name)...)
		}
	}
	content, ok := d.get(declared, "content")
	if !ok {
		if answer.Body.Len() > 0 {
			faults = append(faults, "a body is not declared")
		}
		return faults
	}
	schema, ok := d.get(content, media, "schema")
	if !ok {
		return append(faults, "the media type "+media+" is not declared")
	}
	if p, _ := object(answer.Body.Bytes()); media == "application/problem+json" && p["status"] != json.Number(status) {
		faults = append(faults, "the problem says another status than the answer")
	}
	return append(faults, d.checkEach(schema, answer.Body.Bytes(), "answer")...)
}

// checkEach is check for every value in a text, such as the lines of a stream.
func (d document) checkEach(schema any, text []byte, where string) (faults []string) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	for {
		var v any
		switch err := dec.Decode(&v); {
		case errors.Is(err, io.EOF):
			return faults
		case err != nil:
			return append(faults, err.Error())
		}
		faults = append(faults, d.check(schema, v, where)...)
	}
}
