package directory

import (
	"strings"

	"roster/internal/id"
)

// RefKind is the namespace a [Ref] names something in.
type RefKind uint8

// The namespaces. They never mix: a number given as a name finds nobody.
const (
	RefID RefKind = iota + 1
	RefNumber
	RefCode
	RefName
	RefEmail    // users only
	RefExternal // "source/key", each source a namespace of its own
	RefPerson   // users only: the code of the person the user is
	RefLogin    // users only: a name or, if nobody bears it, an e-mail address
)

// Ambiguous stands for what a ref names when that is more than one thing.
const Ambiguous id.Number = 1<<32 - 1

// Ref names one user or group in any of the ways a dialect's clients do. Make
// it with one of the By functions.
type Ref struct {
	Kind RefKind
	UUID [16]byte
	Int  int64
	Text string // folded, for names and addresses
}

// ByUser names a user by id.
func ByUser(u id.User) Ref { return Ref{Kind: RefID, UUID: u} }

// ByGroup names a group by id.
func ByGroup(g id.Group) Ref { return Ref{Kind: RefID, UUID: g} }

// ByNumber names by number within the tenant. A number out of range names nothing.
func ByNumber(n int64) Ref { return Ref{Kind: RefNumber, Int: n} }

// ByCode names by code within the deployment.
func ByCode(n int64) Ref { return Ref{Kind: RefCode, Int: n} }

// ByPerson names a user by the code of the person it is.
func ByPerson(code int64) Ref { return Ref{Kind: RefPerson, Int: code} }

// ByName names by name, in any letter case.
func ByName(s string) Ref { return Ref{Kind: RefName, Text: FoldName(s)} }

// ByEmail names a user by e-mail address, in any letter case.
func ByEmail(s string) Ref { return Ref{Kind: RefEmail, Text: FoldName(s)} }

// ByLogin names a user by what people sign in with: a name or, if nobody bears
// that, an e-mail address.
func ByLogin(s string) Ref { return Ref{Kind: RefLogin, Text: FoldName(s)} }

// Login returns the two things that a [ByLogin] may mean, in the order to try
// them; false if r is another kind of ref.
func (r Ref) Login() (name, email Ref, ok bool) {
	return Ref{Kind: RefName, Text: r.Text}, Ref{Kind: RefEmail, Text: r.Text}, r.Kind == RefLogin
}

// ByExternal names by the key that an outside source knows it by, exactly.
func ByExternal(source, key string) Ref { return Ref{Kind: RefExternal, Text: source + "/" + key} }

// External splits the text of a [RefExternal].
func (r Ref) External() (source, key string) {
	source, key, _ = strings.Cut(r.Text, "/")
	return source, key
}
