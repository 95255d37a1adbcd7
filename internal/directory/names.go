package directory

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Limits on text, in characters.
const (
	MaxName        = 255
	MaxEmail       = 254
	MaxDescription = 2000
	MaxReason      = 500
	MaxAttributes  = 64 << 10 // bytes of one thing's attributes when encoded
)

// FoldName returns the form in which names and e-mail addresses are compared
// and stored beside what was typed: Unicode NFC, then full case folding. It is
// done here, so that no database's collation has a say.
func FoldName(s string) string {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			// Folding turns Cherokee capitals into small letters and small
			// letters into capitals; lower case after it makes them one.
			return norm.NFC.String(strings.ToLower(cases.Fold().String(norm.NFC.String(s))))
		}
		if 'A' <= c && c <= 'Z' {
			ascii = false
		}
	}
	if ascii {
		return s
	}
	return strings.ToLower(s)
}

// checkText refuses text that no door may write: too long, not UTF-8, or with
// control characters in it.
func checkText(field, s string, most int) error {
	switch {
	case !utf8.ValidString(s):
		return invalid(field+".invalid", field, "The %s is not valid UTF-8.", field)
	case utf8.RuneCountInString(s) > most:
		return invalid(field+".long", field, "The %s is longer than %d characters.", field, most)
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }):
		return invalid(field+".invalid", field, "The %s holds a control character.", field)
	}
	return nil
}

func checkName(field, s string) error {
	if strings.TrimSpace(s) == "" {
		return invalid(field+".blank", field, "The %s must not be blank.", field)
	}
	if strings.TrimSpace(s) != s || strings.ContainsAny(s, "\r\n\t") {
		return invalid(field+".invalid", field, "The %s must be one line without spaces around it.", field)
	}
	return checkText(field, s, MaxName)
}

// IsEmail reports whether s is a bare address such as ann@example.com, no
// longer than [MaxEmail].
func IsEmail(s string) bool {
	if len(s) > MaxEmail || strings.ContainsAny(s, " \t\r\n<>") {
		return false
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && a.Name == ""
}

// checkSlug refuses a tenant name that could not stand in a URL or a host name:
// 1 to 64 lower-case letters, digits and inner hyphens, not starting with a digit.
func checkSlug(field, s string) error {
	ok := len(s) >= 1 && len(s) <= 64 && 'a' <= s[0] && s[0] <= 'z' && s[len(s)-1] != '-'
	for _, c := range []byte(s) {
		ok = ok && ('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-')
	}
	if !ok {
		return invalid(field+".invalid", field, "The %s must be 1 to 64 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen.", field)
	}
	return nil
}

// IsTenantName reports whether s could be a tenant's name.
func IsTenantName(s string) bool { return checkSlug("name", s) == nil }
