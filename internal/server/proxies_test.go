package server

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTheClientIsTheLastAddressThatNoTrustedProxyHas(t *testing.T) {
	proxies, err := parseProxies([]string{"10.0.0.0/8", "192.0.2.7", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, from string
		forwarded  []string
		want       string
	}{
		{"a client of its own says what it likes", "203.0.113.9:5000", []string{"198.51.100.1"}, "203.0.113.9:5000"},
		{"a proxy without the header", "10.1.2.3:5000", nil, "10.1.2.3:0"},
		{"one proxy", "10.1.2.3:5000", []string{"198.51.100.1"}, "198.51.100.1:0"},
		{"one proxy, and a client that lies", "10.1.2.3:5000", []string{"8.8.8.8, 198.51.100.1"}, "198.51.100.1:0"},
		{"two proxies, and a client that lies", "10.1.2.3:5000", []string{"8.8.8.8, 198.51.100.1, 192.0.2.7"}, "198.51.100.1:0"},
		{"two lines of it", "10.1.2.3:5000", []string{"8.8.8.8, 198.51.100.1", "192.0.2.7"}, "198.51.100.1:0"},
		{"a client inside", "10.1.2.3:5000", []string{"10.9.9.9"}, "10.9.9.9:0"},
		{"a port with it", "10.1.2.3:5000", []string{"198.51.100.1:4711"}, "198.51.100.1:0"},
		{"the newer address family", "[fd00::1]:5000", []string{"2001:db8::5"}, "[2001:db8::5]:0"},
		{"the same with a port", "[fd00::1]:5000", []string{"[2001:db8::5]:99"}, "[2001:db8::5]:0"},
		{"the older one in the newer", "[::ffff:10.1.2.3]:5000", []string{"::ffff:198.51.100.1"}, "198.51.100.1:0"},
		{"what is no address", "10.1.2.3:5000", []string{"198.51.100.1, unknown"}, "10.1.2.3:0"},
		{"nothing between commas", "10.1.2.3:5000", []string{"198.51.100.1,, 192.0.2.7"}, "192.0.2.7:0"},
		{"an empty header", "10.1.2.3:5000", []string{""}, "10.1.2.3:0"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.from
		if c.forwarded != nil {
			r.Header[forwardedFor] = c.forwarded
		}
		got := ""
		behind(proxies, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("%s: from %s for %q is %s, want %s", c.what, c.from, c.forwarded, got, c.want)
		}
		if r.RemoteAddr != c.from {
			t.Errorf("%s: the server's own request was changed", c.what)
		}
	}
}

func TestWithoutTrustedProxiesNobodyIsBelieved(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.1.2.3:5000"
	r.Header.Set(forwardedFor, "198.51.100.1")
	behind(nil, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.RemoteAddr != "10.1.2.3:5000" {
			t.Errorf("the client is %s", r.RemoteAddr)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

func TestAProxyThatIsNoAddressIsRefused(t *testing.T) {
	for _, text := range []string{"proxy", "10.0.0.0/33", "10.0.0", ""} {
		if _, err := parseProxies([]string{text}); err == nil {
			t.Errorf("%q is taken for a proxy", text)
		}
	}
}
