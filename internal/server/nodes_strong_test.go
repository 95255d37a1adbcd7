package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"roster/internal/store/postgres/pgtest"
)

func TestWhatOneNodeAcknowledgedEveryNodeKnowsAtOnce(t *testing.T) {
	long(t)
	t.Parallel()
	dsn := pgtest.Shared(t).Database(t)
	d := deploy(t, dsn, 2, dsn, dsn, dsn)
	for round := range rounds(12) {
		here := d.nodes[round%3]
		key := here.must(t, apiCall{key: d.key, method: "POST", path: "/tenants/rivia/keys", body: map[string]any{"name": fmt.Sprint("k", round), "grants": []string{"members.read"}}}, http.StatusCreated)
		with := d.checkID("u0")
		with.key = key.Secret
		added := here.must(t, d.member("PUT", "u0"), http.StatusCreated)
		revision := added.header.Get("Roster-Revision")
		for _, n := range d.nodes {
			for _, c := range []apiCall{d.checkID("u0"), d.check("u0"), with} {
				if got := n.must(t, c, http.StatusOK); !got.Member {
					t.Fatalf("round %d: %s after the acknowledgement at revision %s: %s", round, c.path, revision, got.text)
				}
			}
			atLeast := d.checkID("u0")
			atLeast.consistency = "at-least=" + revision
			if got := n.must(t, atLeast, http.StatusOK); !got.Member {
				t.Fatalf("round %d: %s: %s", round, atLeast.consistency, got.text)
			}
			ahead := d.checkID("u1")
			ahead.consistency = "at-least=1000000"
			n.must(t, ahead, http.StatusPreconditionFailed)
		}

		removed := here.must(t, d.member("DELETE", "u0"), http.StatusOK).header.Get("Roster-Revision")
		for _, n := range d.nodes {
			for _, consistency := range []string{"cached", "at-least=" + revision, "at-least=" + removed, "strong", ""} {
				for _, c := range []apiCall{d.checkID("u0"), d.check("u0"), with} {
					c.consistency = consistency
					if got := n.must(t, c, http.StatusOK); got.Member {
						t.Fatalf("round %d: %s, %q after the acknowledgement at revision %s: %s", round, c.path, consistency, removed, got.text)
					}
				}
			}
		}

		here.must(t, apiCall{key: d.key, method: "DELETE", path: "/tenants/rivia/keys/" + key.ID}, http.StatusNoContent, http.StatusOK)
		for _, n := range d.nodes {
			for _, consistency := range []string{"cached", "at-least=" + revision, ""} {
				with.consistency = consistency
				n.must(t, with, http.StatusUnauthorized)
			}
		}
	}
}
