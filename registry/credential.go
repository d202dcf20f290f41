package registry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Keychain finds the credentials with which a puller reads a repository.
type Keychain interface {
	// Credentials returns the credentials to try, the best first; none means
	// that the repository is read anonymously. Implementations are safe for
	// concurrent use. The error is a *evidence.Problem with reason
	// CredentialsFailed: credentials are configured and cannot be had.
	Credentials(ctx context.Context, puller evidence.Puller, repository imageref.Repository) ([]Credential, error)
}

// KeychainFunc is a function that is a [Keychain].
type KeychainFunc func(context.Context, evidence.Puller, imageref.Repository) ([]Credential, error)

// Credentials calls f.
func (f KeychainFunc) Credentials(ctx context.Context, p evidence.Puller, r imageref.Repository) ([]Credential, error) {
	return f(ctx, p, r)
}

// Multi asks each keychain and returns what the first has that has any. An
// error of one ends the search.
func Multi(keychains ...Keychain) Keychain {
	return KeychainFunc(func(ctx context.Context, p evidence.Puller, r imageref.Repository) ([]Credential, error) {
		for _, k := range keychains {
			found, err := k.Credentials(ctx, p, r)
			if err != nil || len(found) > 0 {
				return found, err
			}
		}
		return nil, nil
	})
}

// Credential is what a registry or its token realm asks for: a username and a
// password, an identity token (OAuth 2 refresh token), or a registry token that
// is sent as it is. The zero Credential is anonymous. It does not print.
type Credential struct {
	Username, Password string
	IdentityToken      string
	RegistryToken      string
	// Operator says that the credential is not the puller's own: what it lets us
	// read, the puller may not see (TRUST R36). It is no part of the content.
	Operator bool
	// OwnHostOnly says that the credential goes to the registry's own host over
	// verified TLS, and to no token realm elsewhere, as a cloud's must (TRUST R6).
	// It is no part of the content.
	OwnHostOnly bool
}

// IsZero reports whether c is anonymous.
func (c Credential) IsZero() bool { return c.content() == Credential{} }

// content is c whoever it belongs to.
func (c Credential) content() Credential {
	c.Operator, c.OwnHostOnly = false, false
	return c
}

// Identity returns a hash of the content, for keys of caches (TRUST R36); ""
// for the anonymous. It is no secret, but a weak password can be guessed from
// it: keep it out of logs.
func (c Credential) Identity() string {
	if c.IsZero() {
		return ""
	}
	return hashOf("credential", c.Username, c.Password, c.IdentityToken, c.RegistryToken)
}

// asOperator marks credentials as the operator's.
func asOperator(all []Credential) []Credential {
	var marked []Credential
	for _, c := range all {
		c.Operator = true
		marked = append(marked, c)
	}
	return marked
}

// identityOf is the identity of a list: the order counts.
func identityOf(all []Credential) string {
	if len(all) == 0 {
		return ""
	}
	parts := []string{"credentials"}
	for _, c := range all {
		parts = append(parts, c.Identity())
	}
	return hashOf(parts...)
}

func hashOf(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		_, _ = io.WriteString(h, part) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

const redacted = "[credential]"

// String returns a placeholder: a credential does not print.
func (c Credential) String() string {
	if c.IsZero() {
		return "[anonymous]"
	}
	return redacted
}

// Format prints String for every verb.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue implements [slog.LogValuer] with String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText implements [encoding.TextMarshaler] with String, so that JSON
// does not hold a secret either.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
