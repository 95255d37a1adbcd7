package cli

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthSaysWhetherTheServerIsReady(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		http.Error(w, "the store does not answer", status)
	}))
	address := s.Listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	health := func(address string) (int, string, string) {
		var out, errs bytes.Buffer
		code := Run(t.Context(), []string{"health", "--ops-listen", address}, strings.NewReader(""), &out, &errs)
		return code, out.String(), errs.String()
	}
	// A server that listens on every address is asked on this machine's own.
	for _, a := range []string{address, "0.0.0.0:" + port, ":" + port} {
		if code, out, errs := health(a); code != 0 || out != "ready\n" || errs != "" {
			t.Errorf("%s: status %d, %q, %q", a, code, out, errs)
		}
	}
	status = http.StatusServiceUnavailable
	if code, out, errs := health(address); code != 1 || out != "" || errs != "roster: not ready: the store does not answer\n" {
		t.Errorf("not ready: status %d, %q, %q", code, out, errs)
	}
	s.Close()
	if code, out, errs := health(address); code != 1 || out != "" || !strings.Contains(errs, "refused") {
		t.Errorf("not there: status %d, %q, %q", code, out, errs)
	}
	if code, _, errs := health("9090"); code != 2 || !strings.Contains(errs, "want HOST:PORT") {
		t.Errorf("no address: status %d, %q", code, errs)
	}
}
