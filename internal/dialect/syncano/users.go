package syncano

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/wire"
)

// userCreated is the status of a new user. The reference page says 200, and
// clients take it as they take 201 (ruling C1).
const userCreated = http.StatusOK

// Limits on a user's fields, in characters (section 2.4).
const (
	maxUsername = 64
	maxPassword = 128
	maxRoom     = 128
)

// createUser answers POST users/.
func (d *door) createUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	ctx := r.Context()
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	username := requiredText(fields, "username", maxUsername, bad)
	password := requiredText(fields, "password", maxPassword, bad)
	attributes, err := d.newProfile(ctx, p, v.caller, fields, bad)
	if err != nil {
		return err
	}
	if err := bad.err(); err != nil {
		return err
	}

	secret, err := authn.PasswordCredential(ctx, password)
	if err != nil {
		return err
	}
	key, hash, sealed := d.authn.Mint(authn.SyncanoUserKey)
	made, err := d.directory.CreateUser(ctx, p, directory.NewUser{
		Name:       strings.ToLower(username),
		Attributes: attributes,
		Credentials: []directory.Credential{
			secret,
			// The key tells whose request it is; what may be done the API key
			// beside it says. By itself it opens nothing.
			{Kind: authn.SyncanoUserKey, Name: "user key", Hash: hash, Sealed: sealed},
		},
	})
	if err != nil {
		return usernameError(err)
	}
	out := v.links.encodeUser(made.Value, &key, nil)
	out.Username = username // as typed, this once (ruling C9)
	wire.WriteJSON(w, userCreated, out)
	return nil
}

// usernameError says what the core has against a username.
func usernameError(err error) error {
	e, ok := asError(err)
	switch {
	case ok && e.Code == directory.ErrUserNameTaken.Code:
		return problems{"username": notUnique}.err()
	case ok && e.Kind == directory.Invalid && e.Field == "name":
		return problems{"username": notValid}.err()
	}
	return err
}

// What the permission fields of a profile can say (section 4.2).
const (
	mayNone  = "none"
	mayRead  = "read"
	mayWrite = "write"
	mayFull  = "full"
)

// newProfile reads the profile that a new user is to have, and puts what is wrong
// with it into bad. It fails where the directory does.
func (d *door) newProfile(ctx context.Context, p directory.Principal, c caller, fields map[string]any, bad problems) (directory.Attributes, error) {
	given, ok := fields["profile"]
	if !ok {
		return nil, nil
	}
	if given == nil {
		bad["profile"] = isNull
		return nil, nil
	}
	in, ok := given.(map[string]any)
	if !ok {
		bad["profile"] = problems{nonField: notDictionary(given)}
		return nil, nil
	}
	wrong, kept := problems{}, map[string]any{}
	for field, byDefault := range map[string]string{attrOwnerMay: mayFull, attrGroupMay: mayNone, attrOtherMay: mayNone} {
		level, problem := readLevel(in, field, byDefault)
		if problem != "" {
			wrong[field] = problem
		} else if level != byDefault {
			kept[field] = level
		}
	}
	if channel := in[attrChannel]; channel != nil && channel != "" {
		wrong[attrChannel] = channelProblem(channel)
	}
	if room := in[attrRoom]; room != nil && room != "" {
		s, problem := text(room, maxRoom)
		if problem != "" {
			wrong[attrRoom] = problem
		} else {
			kept[attrRoom] = s
		}
	}
	if group := in[attrGroup]; group != nil && group != "" {
		number, problem, err := d.profileGroup(ctx, p, c, group)
		if err != nil {
			return nil, err
		}
		if problem != "" {
			wrong[attrGroup] = problem
		} else {
			kept[attrGroup] = number
		}
	}
	if len(wrong) > 0 {
		bad["profile"] = wrong
	}
	if len(kept) == 0 {
		return nil, nil
	}
	return directory.Attributes{"syncano": kept}, nil
}

// readLevel reads a permission field.
func readLevel(in map[string]any, field, byDefault string) (level, problem string) {
	v, given := in[field]
	if !given {
		return byDefault, ""
	}
	if v == nil {
		return "", isNull
	}
	switch v {
	case mayNone, mayRead, mayWrite, mayFull:
		return v.(string), ""
	}
	return "", notChoice(v)
}

// channelProblem says that there is no such channel, because there are none.
func channelProblem(v any) string {
	switch v.(type) {
	case []any, map[string]any:
		return badObject
	}
	return noSuchName(v)
}

// profileGroup reads the group of a profile. Who asks as a user may name only a
// group that this user is in (section 4.2).
func (d *door) profileGroup(ctx context.Context, p directory.Principal, c caller, v any) (number int64, problem string, err error) {
	k, problem := readKey(v)
	if problem != "" {
		return 0, problem, nil
	}
	g, err := d.directory.Group(ctx, p, directory.ByNumber(k.number))
	if errors.Is(err, directory.NotFound) {
		return 0, noSuchKey(k.given), nil
	}
	if err != nil {
		return 0, "", err
	}
	if !c.user.IsZero() && !c.ignoresACL {
		in, err := d.directory.IsMember(ctx, p, directory.Check{User: directory.ByUser(c.user), Group: directory.ByGroup(g.Value.ID)})
		if err != nil {
			return 0, "", err
		}
		if !in.Value {
			return 0, badGroup, nil
		}
	}
	return int64(g.Value.Number), "", nil
}
