package softwareone

import (
	"fmt"
	"strconv"
	"strings"

	"roster/internal/directory"
)

// form is how the ids of one kind of object look: a prefix and a code in groups
// of four digits (the dialect's contract, section 1.4). A code too large for
// them widens the first group.
type form struct {
	prefix string
	groups int
}

var (
	accountID     = form{"ACC", 2}
	userID        = form{"USR", 2}
	groupID       = form{"UGR", 2}
	accountUserID = form{"AUSR", 3}
	tokenID       = form{"TKN", 2}
)

// render writes a code as an id.
func (f form) render(code int64) string {
	if f.groups == 3 {
		return fmt.Sprintf("%s-%04d-%04d-%04d", f.prefix, code/1_0000_0000, code/1_0000%1_0000, code%1_0000)
	}
	return fmt.Sprintf("%s-%04d-%04d", f.prefix, code/1_0000, code%1_0000)
}

// parse reads an id in any letter case; false if s is not the one way to write
// some code. The id of zeros names nothing.
func (f form) parse(s string) (int64, bool) {
	prefix, digits, ok := strings.Cut(s, "-")
	if !ok || !strings.EqualFold(prefix, f.prefix) {
		return 0, false
	}
	code, err := strconv.ParseInt(strings.ReplaceAll(digits, "-", ""), 10, 64)
	if err != nil || code <= 0 || !strings.EqualFold(f.render(code), s) {
		return 0, false
	}
	return code, true
}

// family says which object's id stands for an account user.
type family uint8

const (
	byUser       family = iota // A and B: the user's
	byMembership               // C: the account user's own
)

// ref reads what stands for an account user in the path: a USR- or AUSR- id and,
// where the account is in the path too, an e-mail address. False if it can name
// nobody.
func (f family) ref(s string) (directory.Ref, bool) {
	if code, ok := userID.parse(s); ok {
		return directory.ByPerson(code), true
	}
	if code, ok := accountUserID.parse(s); ok {
		return directory.ByCode(code), true
	}
	if f == byUser && directory.IsEmail(s) {
		return directory.ByEmail(s), true
	}
	return directory.Ref{}, false
}
