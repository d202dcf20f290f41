package dialect

import (
	"github.com/bonafide-dev/bonafide/policy"
)

// Signers makes signers of what policies say. The verifiers stand behind it.
//
// An error says what is wrong with the specification. If one field of it is to
// blame the error wraps a [*SpecError], so that the dialect can say in which
// line that field was written.
type Signers interface {
	// Key returns the signer that holds the key.
	Key(KeySpec) (policy.Signer, error)
	// Notation returns the signer whose certificates the stores admit.
	Notation(NotationSpec) (policy.Signer, error)
}

// KeySpec is a Sigstore signer that holds a key.
type KeySpec struct {
	PEM  []byte // one public key
	Hash string // sha256, sha384 or sha512; empty: the default of the key
	// LogIgnored accepts signatures without a transparency log entry: a
	// weakening (TRUST R25).
	LogIgnored bool
	// SignedReference is Any, MatchRepository or a repository (TRUST R33). Empty
	// is Any.
	SignedReference string
	// Annotations must have been signed along (cosign sign -a).
	Annotations map[string]string
}

// NotationSpec is a signer of the Notary Project: one statement of a trust
// policy, and the stores that it names.
type NotationSpec struct {
	TrustStores       []TrustStore
	TrustedIdentities []string          // as a trust policy writes them
	Level             string            // strict or permissive
	Override          map[string]string // check to action, as a trust policy writes them
	VerifyTimestamp   string            // always, afterCertExpiry or empty: the default
	// AdmitNotEnforced also accepts signatures of which the level enforces no more
	// than the integrity: a signature by anybody. Level may then be audit, and
	// Override may log the authenticity. It is for the dialects of the Notary
	// Project alone (TRUST R29); what is admitted by it carries a note.
	AdmitNotEnforced bool
	// Plugins are the verification plugins that a signature may call for
	// (TRUST R30).
	Plugins []PluginSpec
}

// PluginSpec allows a verification plugin of the Notary Project.
type PluginSpec struct {
	Name string
	// SHA256 is the digest of the executable, 64 hexadecimal digits.
	SHA256 string
	// Replaces are the checks that the plugin's answer replaces rather than adds
	// to: trustedIdentity, revocation.
	Replaces []string
	// Config is handed to the plugin; nil: what the operator has for the
	// executable of this name and digest, if anything.
	Config map[string]string
}

// TrustStore is a set of certificates of one type.
type TrustStore struct {
	Type         string // ca, signingAuthority or tsa
	Certificates []byte // PEM
}

// The fields that a [SpecError] names.
const (
	FieldKey               = "key"
	FieldHash              = "hash"
	FieldTransparencyLog   = "transparencyLog"
	FieldSignedReference   = "signedReference"
	FieldTrustStores       = "trustStores"
	FieldTrustedIdentities = "trustedIdentities"
	FieldLevel             = "level"
	FieldOverride          = "override"
	FieldVerifyTimestamp   = "verifyTimestamp"
	FieldAnnotations       = "annotations"
	FieldPlugins           = "plugins"
)

// SpecError is what is wrong with one field of a specification.
type SpecError struct {
	Field string // one of the Field constants
	Index int    // of the element, for FieldTrustStores; -1 if it is none in particular
	Err   error
}

// Error returns the cause's words: the dialect names the field as its own
// language does.
func (e *SpecError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *SpecError) Unwrap() error { return e.Err }
