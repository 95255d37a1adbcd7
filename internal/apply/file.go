// Package apply carries out a readable file that says what a deployment should
// hold: tenants with their users, groups, memberships and credentials. Applying
// a file twice changes nothing the second time. What the file does not name is
// left alone.
package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"roster/internal/directory"
)

// File is what a file says. Zero fields are not said.
type File struct {
	Platform Platform `yaml:"platform"`
	Tenants  []Tenant `yaml:"tenants"`
}

// Platform is what belongs to the deployment and to no tenant. Its users are
// those who may own tenants, such as Syncano's accounts.
type Platform struct {
	Users       []User       `yaml:"users"`
	Credentials []Credential `yaml:"credentials"`
}

// Tenant is a tenant and everything in it.
type Tenant struct {
	Name        string       `yaml:"name"`
	ID          string       `yaml:"id"`
	Code        int64        `yaml:"code"`
	Title       *string      `yaml:"title"`
	Attributes  Attributes   `yaml:"attributes"`
	Owners      []string     `yaml:"owners"` // users of the platform, as members are named
	Users       []User       `yaml:"users"`
	Groups      []Group      `yaml:"groups"`
	Credentials []Credential `yaml:"credentials"`
}

// User is a user. It is found by id, or else by number, code or name.
type User struct {
	Name          string             `yaml:"name"`
	ID            string             `yaml:"id"`
	Number        int64              `yaml:"number"`
	Code          int64              `yaml:"code"`
	PersonCode    int64              `yaml:"person_code"`
	Email         *string            `yaml:"email"`
	EmailVerified *bool              `yaml:"email_verified"`
	GivenName     *string            `yaml:"given_name"`
	FamilyName    *string            `yaml:"family_name"`
	DisplayName   *string            `yaml:"display_name"`
	Suspended     *bool              `yaml:"suspended"`
	Expires       *Moment            `yaml:"expires"`
	ExternalIDs   *map[string]string `yaml:"external_ids"`
	Attributes    Attributes         `yaml:"attributes"`

	// Password is set when the user is created or has none. PasswordHash is an
	// argon2id PHC string.
	Password     string `yaml:"password"`
	PasswordHash string `yaml:"password_hash"`
}

// Group is a group with members.
type Group struct {
	Name        string             `yaml:"name"`
	ID          string             `yaml:"id"`
	Number      int64              `yaml:"number"`
	Code        int64              `yaml:"code"`
	Description *string            `yaml:"description"`
	Grants      *[]string          `yaml:"grants"`
	BuiltIn     bool               `yaml:"built_in"`
	Joins       *[]string          `yaml:"joins"` // e-mail domains whose new users join
	ExternalIDs *map[string]string `yaml:"external_ids"`
	Attributes  Attributes         `yaml:"attributes"`
	Members     []Member           `yaml:"members"`
}

// Member is who stands in a group: a user's ref alone, or a mapping.
type Member struct {
	User       string  `yaml:"user"`
	Group      string  `yaml:"group"`
	ValidFrom  *Moment `yaml:"valid_from"`
	ValidUntil *Moment `yaml:"valid_until"`
	Role       string  `yaml:"role"`
	Reason     string  `yaml:"reason"`
}

// Credential is a key of any kind. It is found by its secret, or else by kind
// and name. A secret that is not given is made up and shown once.
type Credential struct {
	Kind       string     `yaml:"kind"`
	Name       string     `yaml:"name"`
	Code       int64      `yaml:"code"`
	Handle     string     `yaml:"handle"`
	User       string     `yaml:"user"`
	Grants     []string   `yaml:"grants"`
	Expires    *Moment    `yaml:"expires"`
	Secret     string     `yaml:"secret"`
	Attributes Attributes `yaml:"attributes"`
}

// Moment is a point in time that is [directory.InRange].
type Moment struct{ time.Time }

// UnmarshalYAML reads a moment as YAML writes it.
func (m *Moment) UnmarshalYAML(n *yaml.Node) error {
	if err := n.Decode(&m.Time); err != nil {
		return err
	}
	m.Time = m.UTC().Truncate(time.Microsecond)
	if !directory.InRange(m.Time) {
		return fmt.Errorf("line %d: a moment is from 1971 to 9999", n.Line)
	}
	return nil
}

// time is the moment, nil if there is none.
func (m *Moment) time() *time.Time {
	if m == nil {
		return nil
	}
	return &m.Time
}

// Attributes are attributes by dialect.
type Attributes map[string]map[string]any

func (a Attributes) core() directory.Attributes {
	if len(a) == 0 {
		return nil
	}
	out := directory.Attributes{}
	for dialect, values := range a {
		m := make(map[string]any, len(values))
		for k, v := range values {
			m[k] = plain(v)
		}
		out[dialect] = m
	}
	return out
}

// plain turns what YAML yields into the values that JSON has.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = plain(e)
		}
		return m
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[fmt.Sprint(k)] = plain(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = plain(e)
		}
		return l
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return v
}

// UnmarshalYAML reads a member: a scalar is a user's ref.
func (m *Member) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&m.User)
	}
	// A nested Decode does not know of KnownFields, so the keys are looked at here.
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch key := n.Content[i]; key.Value {
		case "user", "group", "valid_from", "valid_until", "role", "reason":
		default:
			return fmt.Errorf("line %d: unknown key %q in a member", key.Line, key.Value)
		}
	}
	type fields Member
	return n.Decode((*fields)(m))
}

// Read reads a file. Errors name the line; a key that does not exist is one.
func Read(r io.Reader) (*File, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var f File
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, readable(err)
	}
	if err := d.Decode(new(File)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one document")
	}
	return &f, nil
}

var (
	unknownKey = regexp.MustCompile(`field (\S+) not found in type apply\.(\w+)`)
	wrongType  = regexp.MustCompile("cannot construct !!(\\w+)(?: (`.*`))? into (\\S+)")
	wrongTime  = regexp.MustCompile(`parsing time (".*?")(?: as .*|: .*)`)
	inOurTypes = regexp.MustCompile(`go-yaml load error in \w+ at L(\d+)\.C\d+: (?:line \d+: )?`)
	placeTwice = regexp.MustCompile(`^line \d+: (line \d+: )`)
)

// wanted says what should have been where a value of another type is.
var wanted = map[string]string{
	"int64": "a whole number", "bool": "true or false", "string": "text", "time.Time": "a moment",
}

// readable puts the decoder's complaints into an operator's words.
func readable(err error) error {
	var complaints []string
	if e, ok := errors.AsType[*yaml.LoadErrors](err); ok {
		for _, c := range e.Errors {
			complaints = append(complaints, fmt.Sprint(c))
		}
	} else {
		complaints = []string{err.Error()}
	}
	for i, c := range complaints {
		c = strings.TrimPrefix(c, "yaml: ")
		c = placeTwice.ReplaceAllString(c, "$1")
		c = inOurTypes.ReplaceAllString(c, "line $1: ")
		if m := unknownKey.FindStringSubmatch(c); m != nil {
			where := "in a " + strings.ToLower(m[2])
			switch m[2] {
			case "File":
				where = "at the top"
			case "Platform":
				where = "in platform"
			}
			c = strings.Replace(c, m[0], fmt.Sprintf("unknown key %q %s", m[1], where), 1)
		}
		if m := wrongType.FindStringSubmatch(c); m != nil {
			want, value := wanted[m[3]], m[2]
			switch {
			case strings.HasPrefix(m[3], "[]"):
				want = "a list"
			case want == "":
				want = "keys and values"
			}
			if value == "" {
				value = map[string]string{"seq": "a list", "map": "keys and values"}[m[1]]
			}
			c = strings.Replace(c, m[0], "cannot read "+value+" as "+want, 1)
		}
		complaints[i] = wrongTime.ReplaceAllString(c, "cannot read $1 as a moment, as in 2026-01-02T03:04:05Z")
	}
	return errors.New(strings.Join(complaints, "\n"))
}
