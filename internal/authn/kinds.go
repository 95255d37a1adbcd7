package authn

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"roster/internal/directory"
)

// The kinds of credential. A secret is looked up together with its kind, so one
// that opens one door opens no other.
const (
	Native          directory.CredentialKind = "native"
	Password                                 = directory.PasswordKind
	SyncanoAccount  directory.CredentialKind = "syncano_account"
	SyncanoAPIKey   directory.CredentialKind = "syncano_api_key"
	SyncanoUserKey  directory.CredentialKind = "syncano_user_key"
	ContensisClient directory.CredentialKind = "contensis_client"
	ContensisAccess directory.CredentialKind = "contensis_access"
	ContensisFresh  directory.CredentialKind = "contensis_refresh"
	DronaHQ         directory.CredentialKind = "dronahq"
	DronaHQNonce    directory.CredentialKind = "dronahq_nonce" // proves one sign-in once
	SoftwareOne     directory.CredentialKind = "softwareone"
)

// Form is how the secrets of one kind look and where they belong.
type Form struct {
	Mint func() string

	// Valid reports whether a given secret, for moving here with the keys that
	// programs have stored, has the form the kind's clients expect and entropy
	// enough to be kept as a hash.
	Valid func(string) bool

	// ReadBack is set where the kind's clients read the secret back: it is
	// sealed beside its hash.
	ReadBack bool

	// Issued is set for what only a sign-in makes, never an administrator.
	Issued bool
}

var forms = map[directory.CredentialKind]Form{
	Native: {
		Mint: func() string { return "roster_" + hex.EncodeToString(random(24)) },
		Valid: func(s string) bool {
			return strings.HasPrefix(s, "roster_") && len(s) >= 7+32 && len(s) <= 256 && printable(s)
		},
	},
	SyncanoAccount: {Mint: func() string { return syncanoKey(0) }, Valid: func(s string) bool { return isSyncanoKey(s, 0) }, ReadBack: true},
	SyncanoAPIKey:  {Mint: func() string { return syncanoKey(1) }, Valid: func(s string) bool { return isSyncanoKey(s, 1) }, ReadBack: true},
	SyncanoUserKey: {Mint: func() string { return syncanoKey(0) }, Valid: func(s string) bool { return isSyncanoKey(s, 0) }, ReadBack: true},
	ContensisClient: {
		Mint:  func() string { return groups(random(16)) + "-" + groups(random(16)) },
		Valid: func(s string) bool { return len(s) >= 20 && len(s) <= 256 && printable(s) },
	},
	ContensisAccess: {Mint: func() string { return hex.EncodeToString(random(32)) }, Issued: true},
	ContensisFresh:  {Mint: func() string { return hex.EncodeToString(random(32)) }, Issued: true},
	DronaHQ: {
		Mint: func() string { return hex.EncodeToString(random(25)) },
		Valid: func(s string) bool {
			return len(s) == 50 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
		},
	},
	DronaHQNonce: {
		Mint: func() string { return hex.EncodeToString(random(16)) },
		Valid: func(s string) bool {
			return len(s) >= 32 && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
		},
	},
	SoftwareOne: {
		// What follows "idt:TKN-dddd-dddd:"; the id in front is the credential's code.
		Mint:  func() string { return hex.EncodeToString(random(32)) },
		Valid: func(s string) bool { return len(s) >= 32 && len(s) <= 256 && printable(s) && !strings.Contains(s, ":") },
	},
}

// FormOf returns the form of a kind's secrets; false if there is no such kind,
// or, as with passwords, its secrets have no form.
func FormOf(kind directory.CredentialKind) (Form, bool) {
	f, ok := forms[kind]
	return f, ok
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: it crashes the program instead
	return b
}

func groups(b []byte) string {
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:16], h[16:24], h[24:]}, "-")
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// syncanoKey makes 40 hex digits whose last has the given parity, which is how
// Syncano clients' servers tell an account's key from an API key.
func syncanoKey(parity byte) string {
	b := random(20)
	b[19] = b[19]&^1 | parity
	return hex.EncodeToString(b)
}

func isSyncanoKey(s string, parity byte) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 20 && b[19]&1 == parity && s == strings.ToLower(s)
}

// TokenID is how a SoftwareOne token begins: "idt:TKN-1000-0002:".
func TokenID(code int64) string {
	return fmt.Sprintf("idt:TKN-%04d-%04d:", code/10000, code%10000)
}
