package syncano

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"roster/internal/directory"
)

const maxRoom = 128 // characters of channel_room

// profileInput is what a body says of a profile, checked as far as that goes
// without knowing the profile.
type profileInput struct {
	how    manner
	class  class
	set    map[string]any        // values to be kept; nil for those that are to be as by default
	fields map[string]alteration // of the schema
}

// readProfile reads the field profile of a user's body, and puts what is wrong
// with it into bad. It fails where the directory does.
func (d *door) readProfile(r *http.Request, p directory.Principal, v *visit, fields map[string]any, how manner, bad problems) (profileInput, error) {
	given, ok := fields["profile"]
	if !ok {
		return profileInput{}, nil
	}
	if given == nil {
		bad["profile"] = isNull
		return profileInput{}, nil
	}
	in, ok := given.(map[string]any)
	if !ok {
		bad["profile"] = problems{nonField: notDictionary(given)}
		return profileInput{}, nil
	}
	out, wrong, err := d.readProfileFields(r, p, v, in, how)
	if channel := in[attrChannel]; channel != nil && channel != "" {
		wrong[attrChannel] = channelProblem(channel)
	}
	if room, given := in[attrRoom]; given {
		out.set[attrRoom] = nil
		if room != nil && room != "" {
			s, problem := text(room, maxRoom)
			if problem != "" {
				wrong[attrRoom] = problem
			}
			out.set[attrRoom] = s
		}
	}
	if len(wrong) > 0 {
		bad["profile"] = wrong
	}
	return out, err
}

// readProfileFields reads the fields that can be set at both places where
// profiles are written.
func (d *door) readProfileFields(r *http.Request, p directory.Principal, v *visit, in map[string]any, how manner) (profileInput, problems, error) {
	out := profileInput{how: how, class: classOf(v.tenant), set: map[string]any{}, fields: map[string]alteration{}}
	wrong := problems{}
	for field, byDefault := range map[string]string{attrOwnerMay: mayFull, attrGroupMay: mayNone, attrOtherMay: mayNone} {
		if _, given := in[field]; !given && how == patched {
			continue
		}
		level, problem := readLevel(in, field, byDefault)
		if problem != "" {
			wrong[field] = problem
		}
		out.set[field] = level
	}
	if pointer, given := in[attrGroup]; given {
		number, problem, err := d.readGroupPointer(r, p, pointer, v)
		if err != nil {
			return out, wrong, err
		}
		if problem != "" {
			wrong[attrGroup] = problem
		}
		out.set[attrGroup] = number
	}
	for _, f := range out.class.schema {
		value, given := in[f.name]
		if !given {
			continue
		}
		a, problem := f.readAlteration(value, how)
		if problem != "" {
			wrong[f.name] = problem
			continue
		}
		out.fields[f.name] = a
	}
	return out, wrong, d.checkTargets(r, p, v, out, wrong)
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
	if s, ok := v.(string); ok && slices.Contains(levels, s) {
		return s, ""
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

// readGroupPointer reads the group that something points to, nil for none. Who
// asks as a user may name only a group that this user is in (section 4.2); v is
// nil where that does not matter.
func (d *door) readGroupPointer(r *http.Request, p directory.Principal, given any, v *visit) (number any, problem string, err error) {
	if given == nil || given == "" {
		return nil, "", nil
	}
	k, problem := readKey(given)
	if problem != "" {
		return nil, problem, nil
	}
	g, err := d.directory.Group(r.Context(), p, directory.ByNumber(k.number))
	if errors.Is(err, directory.NotFound) {
		return nil, noSuchKey(k.given), nil
	}
	if err != nil {
		return nil, "", err
	}
	if v != nil && !v.caller.user.IsZero() && !v.caller.ignoresACL {
		groups, err := d.callerGroups(r, p, v)
		if err != nil {
			return nil, "", err
		}
		if !groups[int64(g.Value.Number)] {
			return nil, badGroup, nil
		}
	}
	return int64(g.Value.Number), "", nil
}

// maxTargets is how many things one profile may refer to.
const maxTargets = 1000

// checkTargets looks up, all at once, what the references among the fields point
// to, and says of each field that points to nothing.
func (d *door) checkTargets(r *http.Request, p directory.Principal, v *visit, in profileInput, wrong problems) error {
	var refs []directory.Ref
	var of []schemaField
	for _, f := range in.class.schema {
		a, given := in.fields[f.name]
		if !given || f.target == "" || a.value == nil || a.operation == "_remove" {
			continue
		}
		ids, many := a.value.([]any)
		if !many {
			ids = []any{a.value}
		}
		for _, n := range ids {
			came, counted := directory.Ref{}, directory.ByNumber(integer(n, 0))
			if f.target != "user" {
				came, counted = profileRefs(v.tenant, integer(n, 0))
			}
			refs, of = append(refs, came, counted), append(of, f)
		}
	}
	if len(of) == 0 {
		return nil
	}
	if len(of) > maxTargets {
		for _, f := range of {
			wrong[f.name] = fmt.Sprintf("Too many targets (%d).", maxTargets)
		}
		return nil
	}
	a, err := d.directory.KnownUsers(r.Context(), p, refs)
	if err != nil {
		return err
	}
	for i, f := range of {
		if !a.Value[2*i] && !a.Value[2*i+1] {
			wrong[f.name] = noTarget
		}
	}
	return nil
}

// change says what is to be kept of a profile after the input, given what is
// kept and how much the caller may do with it: nobody gives more than that.
func (in profileInput) change(before directory.Profile, most level) (map[string]any, error) {
	patch := map[string]any{}
	for attribute, value := range in.set {
		if asked, isLevel := value.(string); isLevel && attribute != attrRoom {
			value = levels[min(level(slices.Index(levels, asked)), most)]
		}
		if value == map[string]any{attrOwnerMay: mayFull, attrGroupMay: mayNone, attrOtherMay: mayNone}[attribute] {
			value = nil // by default it is not kept
		}
		patch[attribute] = value
	}
	had, _ := before.Values[attrValues].(map[string]any)
	values := maps.Clone(had)
	if values == nil {
		values = map[string]any{}
	}
	wrong := problems{}
	for _, f := range in.class.schema {
		a, given := in.fields[f.name]
		if !given {
			continue
		}
		value, problem := a.apply(f, values[f.name])
		switch {
		case problem != "":
			wrong[f.name] = problem
		case value == nil:
			delete(values, f.name)
		default:
			values[f.name] = value
		}
	}
	if len(inPython(values)) > maxObject {
		wrong[nonField] = tooBig
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	if len(values) > 0 || len(had) > 0 {
		patch[attrValues] = values
		if len(values) == 0 {
			patch[attrValues] = nil
		}
		if in.how != created && !attributes(before.Values).Holds(attributes(map[string]any{attrValues: patch[attrValues]})) {
			patch[attrRevision] = integer(before.Values[attrRevision], 1) + 1
		}
	}
	if len(patch) == 0 || attributes(before.Values).Holds(attributes(patch)) {
		return nil, nil
	}
	if in.how == created {
		maps.DeleteFunc(patch, func(_ string, value any) bool { return value == nil })
		return patch, nil
	}
	patch[attrUpdated] = nil // is when the user was changed: now
	return patch, nil
}

// expectedRevision is the field in which a client says what it has seen.
const expectedRevision = "expected_revision"

// readRevision reads it, 0 if the client does not say (section 3.4).
func readRevision(fields map[string]any) (int64, string) {
	given, ok := fields[expectedRevision]
	if !ok || given == nil || given == "" {
		return 0, ""
	}
	n, problem := readInteger(given)
	return integer(n, 0), problem
}

// errRevision refuses what was meant for another state. The text is no list,
// alone of all problems (section 3.4).
func errRevision(expected, now int64) error {
	return problems{expectedRevision: bare(fmt.Sprintf("Revision mismatch. Expected %d, got %d.", expected, now))}.err()
}
