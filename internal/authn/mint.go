package authn

import (
	"context"

	"roster/internal/directory"
)

// Mint returns a new secret of the kind with what keeps it, to be put into a
// [directory.NewCredential] or [directory.Credential].
func (a *Authenticator) Mint(kind directory.CredentialKind) (secret string, hash, sealed []byte) {
	secret = forms[kind].Mint()
	hash, sealed = a.Keep(kind, secret)
	return secret, hash, sealed
}

// Keep returns what keeps a given secret of a kind that has a form.
func (a *Authenticator) Keep(kind directory.CredentialKind, secret string) (hash, sealed []byte) {
	if forms[kind].ReadBack {
		sealed = a.sealer.Seal(string(kind), secret)
	}
	return Hash(kind, secret), sealed
}

// Reveal opens the secret of a credential whose kind's clients read it back.
func (a *Authenticator) Reveal(c directory.Credential) (string, error) {
	return a.sealer.Open(string(c.Kind), c.Sealed)
}

// PasswordCredential hashes a password into a credential for
// [directory.NewUser] or, with its hash, [directory.NewCredential]. Who signs in
// with it can do what the user's groups grant.
func PasswordCredential(ctx context.Context, password string) (directory.Credential, error) {
	hash, err := HashPassword(ctx, password)
	return directory.Credential{Kind: Password, Name: "password", Grants: directory.InTenant, Hash: hash}, err
}
