package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"roster/bench/load"
	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
)

// adds measures durable adds over HTTP, one at a time and 10,000 in a call, against
// the engine's own rate for inserting the same edges in the same order in batches,
// into a table as full. They are all removed again.
func (t *town) adds(ctx context.Context) ([]figure, error) {
	figures, err := t.singleAdds(ctx)
	if err != nil {
		return nil, err
	}
	more, err := t.manyAdds(ctx)
	return append(figures, more...), err
}

func (t *town) singleAdds(ctx context.Context) ([]figure, error) {
	// A directory of ten thousand is not to be many times as large at the end of a round.
	each := min(t.meter.adds, t.size/clients/2)
	rng := rand.New(rand.NewPCG(7, 8))
	var edges []edge
	number := make(map[id.Number]group, len(t.tree))
	for _, g := range t.tree {
		number[g.number] = g
	}
	return t.underLoad(ctx,
		task{
			work: engineScattered,
			do: func() (sample, error) {
				edges = t.strangers(rng, clients*each)
				return t.raw.change(directory.AddMembers, edges) // removed when the same were added over HTTP
			},
		},
		task{
			work: httpAdd,
			do: func() (sample, error) {
				return under(ctx, load.Plan{
					Address: t.address, Clients: clients, Requests: each, Status: []int{201},
					Next: func(buf []byte, client, n int) ([]byte, int) {
						e := edges[client*each+n]
						u, _ := e.member.User()
						return t.put(buf, number[e.group].id, t.ids[u-1]), 1
					},
				})
			},
			undo: func() error {
				_, err := t.raw.change(directory.RemoveMembers, edges)
				if err == nil {
					err = t.change(ctx, directory.RemoveMembers, edges)
				}
				return err
			},
		})
}

// manyAdds puts 10,000 users, spread over all, into an empty group, by two doors.
func (t *town) manyAdds(ctx context.Context) ([]figure, error) {
	crowd := make([]id.Number, directory.MaxBatch)
	ids := make([]id.User, len(crowd))
	for i := range crowd {
		at := i * len(t.ids) / len(crowd)
		crowd[i], ids[i] = id.Number(at+1), t.ids[at]
	}
	into := func(g group) []edge {
		edges := make([]edge, len(crowd))
		for i, u := range crowd {
			edges[i] = edge{g.number, id.UserMember(u)}
		}
		return edges
	}
	body := batchOf(ids)
	assign, err := t.assignUser(ctx, crowd)
	if err != nil {
		return nil, err
	}
	// Each time another group, as if it were new.
	next := 0
	call := func(request func(buf []byte, g group) []byte) task {
		var g group
		return task{
			do: func() (sample, error) {
				g = t.empty[next%len(t.empty)]
				next++
				return under(ctx, load.Plan{
					Address: t.address, Clients: 1, Requests: 1, Status: []int{200},
					Next: func(buf []byte, _, _ int) ([]byte, int) { return request(buf, g), len(crowd) },
				})
			},
			undo: func() error { return t.change(ctx, directory.RemoveMembers, into(g)) },
		}
	}
	native, dronahq := call(func(buf []byte, g group) []byte { return t.post(buf, g.id, body) }), call(assign)
	native.work, dronahq.work = httpAdds, httpAssign
	edges := into(t.empty[0])
	return t.underLoad(ctx,
		task{
			work: engineTogether,
			do:   func() (sample, error) { return t.raw.change(directory.AddMembers, edges) },
			undo: func() error {
				_, err := t.raw.change(directory.RemoveMembers, edges)
				return err
			},
		}, native, dronahq)
}

// assignUser returns what makes requests of the DronaHQ dialect that assign users
// to a group.
func (t *town) assignUser(ctx context.Context, users []id.Number) (func(buf []byte, g group) []byte, error) {
	key, hash, _ := t.Authn.Mint(authn.DronaHQ)
	_, err := t.Directory.CreateCredential(ctx, t.p, directory.NewCredential{Kind: authn.DronaHQ, Name: "bench", Grants: directory.WriteMembers, Hash: hash})
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = strconv.Itoa(int(u))
	}
	body := `{"token_key":"` + key + `","assign":[` + strings.Join(ids, ",") + `]}`
	return func(buf []byte, g group) []byte {
		return fmt.Appendf(buf, "POST /groups/%d/actions/assign_user HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			g.number, len(body), body)
	}, err
}

func (b *bed) put(buf []byte, g id.Group, u id.User) []byte {
	return fmt.Appendf(buf, "PUT /api/v1/tenants/%s/groups/%s/members/%s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
		b.tenant, g, u, b.key)
}

// batchOf is the body of a batch that adds all of these users to a group.
func batchOf(users []id.User) string {
	texts := make([]string, len(users))
	for i, u := range users {
		texts[i] = u.String()
	}
	return `{"mode":"atomic","add":["` + strings.Join(texts, `","`) + `"]}`
}

func (b *bed) post(buf []byte, g id.Group, body string) []byte {
	return fmt.Appendf(buf, "POST /api/v1/tenants/%s/groups/%s/members:batch HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		b.tenant, g, b.key, len(body), body)
}
