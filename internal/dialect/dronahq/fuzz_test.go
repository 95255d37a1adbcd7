package dronahq

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"roster/internal/directory"
)

var nopLog = slog.New(slog.DiscardHandler)

// FuzzDecode looks for a body that the decoder panics on, or reads otherwise
// than it should: a fault is always the caller's, JSON is never more than JSON,
// and each id comes out once.
func FuzzDecode(f *testing.F) {
	const form, multi = "application/x-www-form-urlencoded", "multipart/form-data; boundary=s"
	for _, seed := range []struct{ contentType, body string }{
		{"application/json", `{"token_key": "k", "assign": [1, "2", 3.5, null, {"a": 1}], "remove": 9223372036854775808}`},
		{"application/json", `{"assign":[1],"Assign":"2","ASSIGN":null,"token_key":null,"tokenkey":5}`},
		{"application/json", `{"a":1,}`},
		{"application/json", `{"a" 1}`},
		{"application/json", `{"a":1}{`},
		{"application/json", `{]`},
		{"", `{"assign":[-0,1e2,01]}`},
		{"text/plain", "\x00"},
		{form, "token_key=k&assign=1,2&assign[]=3&assign[7]=4&assign=[5,[6]]&=x&[0]=y&assign[0][a]=1&&"},
		{form, "assign=%zz"},
		{form, "assign=[["},
		{form, "assign=[1],2"},
		{multi, "--s\r\nContent-Disposition: form-data; name=\"assign[]\"\r\n\r\n1\r\n--s--\r\n"},
		{multi, "--s\nContent-Disposition: form-data; name=assign\nContent-Transfer-Encoding: quoted-printable\n\n=31\n--s--"},
		{multi, "--s\r\n\r\n"},
		{"multipart/form-data; boundary=\"\"", "--\r\n"},
	} {
		f.Add(seed.contentType, seed.body)
	}
	f.Fuzz(func(t *testing.T, contentType, body string) {
		if body == "" {
			return // nothing to decode; see readFields
		}
		in, err := decode(contentType, []byte(body))
		if err != nil {
			if directory.KindOf(err) != directory.Invalid {
				t.Fatalf("decode(%q, %q): %v, want an invalid input", contentType, body, err)
			}
			return
		}
		if body[0] == '{' && !json.Valid([]byte(body)) {
			t.Fatalf("decode read %q, which is not JSON", body)
		}
		if slices.Contains(in.keys, "") {
			t.Fatalf("decode(%q, %q) found an empty key", contentType, body)
		}
		for name := range in.values {
			if name != strings.ToLower(name) || isKeyName(name) {
				t.Fatalf("decode(%q, %q) kept a field %q", contentType, body, name)
			}
		}
		wishes, err := readWishes(in.list("assign"), in.list("remove"))
		if err != nil {
			if directory.KindOf(err) != directory.Invalid {
				t.Fatalf("%v, want an invalid input", err)
			}
			return
		}
		seen := map[int64]bool{}
		for _, w := range wishes {
			if seen[w.user] {
				t.Fatalf("%q asks twice for %d", body, w.user)
			}
			seen[w.user] = true
		}
	})
}
