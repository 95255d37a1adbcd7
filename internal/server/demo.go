package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"roster/examples"
	"roster/internal/apply"
	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/wire"
)

// loopbackOnly refuses to show the demo, whose secrets are public, to a network.
func loopbackOnly(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if host == "localhost" {
		return nil
	}
	if a, err := netip.ParseAddr(host); err == nil && a.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--demo has public secrets, so it listens on loopback addresses only, not on %q: leave out --listen, or use 127.0.0.1", listen)
}

func demoFile() (*apply.File, error) { return apply.Read(bytes.NewReader(examples.Demo)) }

func (o *Opened) loadDemo(ctx context.Context, p directory.Principal) error {
	f, err := demoFile()
	if err != nil {
		return fmt.Errorf("examples/demo.yaml: %w", err)
	}
	_, err = o.Applier().Apply(ctx, p, f, false)
	return err
}

// Demo is what demo.json holds: where the demo is and what opens it, each thing
// under the names that each dialect gives it.
type Demo struct {
	BaseURL     string          `json:"base_url"`
	Native      DemoNative      `json:"native"`
	Syncano     DemoSyncano     `json:"syncano"`
	Contensis   DemoContensis   `json:"contensis"`
	DronaHQ     DemoDronaHQ     `json:"dronahq"`
	SoftwareOne DemoSoftwareOne `json:"softwareone"`
	Same        DemoSame        `json:"same"`
}

// DemoNative opens the native API.
type DemoNative struct {
	Tenant string `json:"tenant"`
	Key    string `json:"key"`
}

// DemoSyncano opens the Syncano dialect; the user is not in the group yet.
type DemoSyncano struct {
	Instance   string `json:"instance"`
	AccountKey string `json:"account_key"`
	APIKey     string `json:"api_key"`
	UserID     int64  `json:"user_id"`
	GroupID    int64  `json:"group_id"`
}

// DemoContensis opens the Contensis dialect. The user is no administrator; the
// client is.
type DemoContensis struct {
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	GroupID      string   `json:"group_id"`
	GroupName    string   `json:"group_name"`
	UserID       string   `json:"user_id"`
	Username     string   `json:"username"`
	Email        string   `json:"email"`
	Password     string   `json:"password"`
	UserIDs      []string `json:"user_ids"`
}

// DemoDronaHQ opens the DronaHQ dialect.
type DemoDronaHQ struct {
	TokenKey string  `json:"token_key"`
	GroupID  int64   `json:"group_id"`
	UserIDs  []int64 `json:"user_ids"`
}

// DemoSoftwareOne opens the SoftwareOne dialect.
type DemoSoftwareOne struct {
	Token     string `json:"token"`
	AccountID string `json:"account_id"`
	UserID    string `json:"user_id"`
	GroupID   string `json:"group_id"`
}

// DemoSame is one user and one group under the name each dialect gives them.
type DemoSame struct {
	User  DemoNames `json:"user"`
	Group DemoNames `json:"group"`
}

// DemoNames are one thing's names.
type DemoNames struct {
	Native      string `json:"native"`
	Syncano     int64  `json:"syncano"`
	Contensis   string `json:"contensis"`
	DronaHQ     int64  `json:"dronahq"`
	SoftwareOne string `json:"softwareone"`
}

// demoPath is where demo.json is in a data directory.
func demoPath(dir string) string { return filepath.Join(dir, "demo.json") }

// writeDemo writes demo.json for a demo served at address.
func (o *Opened) writeDemo(ctx context.Context, dir, address string) error {
	demo, err := o.demo(ctx, address)
	if err != nil {
		return fmt.Errorf("demo.json: %w", err)
	}
	text, err := wire.Marshal(demo)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("demo.json needs a place: %w; name a directory with --data", err)
	}
	// Whoever waits for the file must not find half of it.
	tmp := demoPath(dir) + ".tmp"
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, demoPath(dir))
}

// demo gathers what demo.json says from the demo's file and the directory.
func (o *Opened) demo(ctx context.Context, address string) (*Demo, error) {
	f, err := demoFile()
	if err != nil {
		return nil, err
	}
	t := f.Tenants[0]
	tenant, err := o.Directory.FindTenant(ctx, t.Name)
	if errors.Is(err, directory.NotFound) {
		return nil, fmt.Errorf("there is something else here than the demo; use an empty data directory, or an empty database")
	}
	if err != nil {
		return nil, err
	}
	p := Operator("serve")
	p.Tenant, p.Grants = tenant.ID, directory.Platform|directory.Admin
	secrets := map[directory.CredentialKind]apply.Credential{}
	for _, c := range t.Credentials {
		secrets[directory.CredentialKind(c.Kind)] = c
	}
	passwords := map[string]string{}
	for _, u := range t.Users {
		passwords[u.Name] = u.Password
	}

	// The demo's own things, by their numbers in its file.
	users, groups := map[int64]directory.User{}, map[int64]directory.Group{}
	for n := int64(1); n <= 7; n++ {
		u, err := o.Directory.User(ctx, p, directory.ByNumber(n))
		if err != nil {
			return nil, fmt.Errorf("user %d of the demo: %w", n, err)
		}
		users[n] = u.Value
	}
	for n := int64(1); n <= 4; n++ {
		g, err := o.Directory.Group(ctx, p, directory.ByNumber(n))
		if err != nil {
			return nil, fmt.Errorf("group %d of the demo: %w", n, err)
		}
		groups[n] = g.Value
	}
	witchers, soap, warehouse := groups[1], groups[2], groups[4]
	ciri, tyler := users[1], users[2]
	usr := func(u directory.User) string {
		return fmt.Sprintf("USR-%04d-%04d", u.PersonCode/10000, u.PersonCode%10000)
	}
	ugr := func(g directory.Group) string { return fmt.Sprintf("UGR-%04d-%04d", g.Code/10000, g.Code%10000) }

	demo := &Demo{
		BaseURL: "http://" + address,
		Native:  DemoNative{Tenant: t.Name, Key: secrets[authn.Native].Secret},
		Syncano: DemoSyncano{
			Instance: t.Name, AccountKey: secrets[authn.SyncanoAccount].Secret, APIKey: secrets[authn.SyncanoAPIKey].Secret,
			UserID: int64(ciri.Number), GroupID: int64(witchers.Number),
		},
		Contensis: DemoContensis{
			ClientID: secrets[authn.ContensisClient].Handle, ClientSecret: secrets[authn.ContensisClient].Secret,
			GroupID: soap.ID.String(), GroupName: soap.Name,
			UserID: tyler.ID.String(), Username: tyler.Name, Email: tyler.Email, Password: passwords[tyler.Name],
		},
		DronaHQ: DemoDronaHQ{TokenKey: secrets[authn.DronaHQ].Secret, GroupID: int64(warehouse.Number)},
		SoftwareOne: DemoSoftwareOne{
			Token:     authn.TokenID(secrets[authn.SoftwareOne].Code) + secrets[authn.SoftwareOne].Secret,
			AccountID: fmt.Sprintf("ACC-%04d-%04d", tenant.Code/10000, tenant.Code%10000),
			UserID:    usr(ciri), GroupID: ugr(warehouse),
		},
		Same: DemoSame{
			User:  DemoNames{Native: ciri.ID.String(), Syncano: int64(ciri.Number), Contensis: ciri.ID.String(), DronaHQ: int64(ciri.Number), SoftwareOne: usr(ciri)},
			Group: DemoNames{Native: soap.ID.String(), Syncano: int64(soap.Number), Contensis: soap.ID.String(), DronaHQ: int64(soap.Number), SoftwareOne: ugr(soap)},
		},
	}
	for n := int64(3); n <= 7; n++ {
		demo.Contensis.UserIDs = append(demo.Contensis.UserIDs, users[n].ID.String())
	}
	for n := int64(3); n <= 5; n++ {
		demo.DronaHQ.UserIDs = append(demo.DronaHQ.UserIDs, int64(users[n].Number))
	}
	return demo, nil
}

// ReadDemo reads the demo.json of a data directory.
func ReadDemo(dir string) (*Demo, error) {
	text, err := os.ReadFile(demoPath(dir))
	if err != nil {
		return nil, err
	}
	demo := &Demo{}
	return demo, wire.Strict(text, demo)
}
