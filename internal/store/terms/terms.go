// Package terms is what engines make of a question before their own SQL begins,
// and of an answer after it: refs as texts to look up, logins as names or else
// addresses, a filter's pattern as one of LIKE; rows of the past as users and
// groups. It holds no SQL of its own.
package terms

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"roster/internal/directory"
	"roster/internal/id"
)

// Refs are refs by their kinds, so that each kind takes one statement.
type Refs map[directory.RefKind]Places

// Places says at which places of a question each text stands.
type Places map[string][]int

// Add notes that a ref stands at a place.
func (r Refs) Add(ref directory.Ref, place int) {
	if r[ref.Kind] == nil {
		r[ref.Kind] = Places{}
	}
	key := text(ref)
	r[ref.Kind][key] = append(r[ref.Kind][key], place)
}

// Texts returns the texts, each once, in no order.
func (p Places) Texts() []string {
	texts := make([]string, 0, len(p))
	for t := range p {
		texts = append(texts, t)
	}
	return texts
}

// text is a ref as text within its kind, as the statements that look it up give
// it back.
func text(ref directory.Ref) string {
	switch ref.Kind {
	case directory.RefID:
		return hex.EncodeToString(ref.UUID[:])
	case directory.RefNumber, directory.RefCode, directory.RefPerson:
		return strconv.FormatInt(ref.Int, 10)
	}
	return ref.Text
}

// Logins resolves refs of which some are names or else addresses: all as names,
// and what is nobody's name as an address. resolve resolves the others.
func Logins(refs []directory.Ref, resolve func([]directory.Ref) ([]id.Number, error)) ([]id.Number, error) {
	names := slices.Clone(refs)
	for i, ref := range refs {
		if name, _, ok := ref.Login(); ok {
			names[i] = name
		}
	}
	out, err := resolve(names)
	if err != nil {
		return nil, err
	}
	var emails []directory.Ref
	var places []int
	for i, ref := range refs {
		if _, email, ok := ref.Login(); ok && out[i] == 0 {
			emails, places = append(emails, email), append(places, i)
		}
	}
	found, err := resolve(emails)
	for i, number := range found {
		out[places[i]] = number
	}
	return out, err
}

// Pattern turns a filter's pattern ([directory.FilterLike]) into one of LIKE, with
// the backslash as its escape.
func Pattern(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; ch {
		case '*':
			b.WriteByte('%')
		case '?':
			b.WriteByte('_')
		case '\\':
			if i+1 < len(s) {
				i++
			}
			literal(&b, s[i])
		default:
			literal(&b, ch)
		}
	}
	return b.String()
}

func literal(b *strings.Builder, ch byte) {
	if ch == '%' || ch == '_' || ch == '\\' {
		b.WriteByte('\\')
	}
	b.WriteByte(ch)
}
