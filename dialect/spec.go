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
	// Keyless returns the signer with the identity.
	Keyless(KeylessSpec) (policy.Signer, error)
	// Certificate returns the signer with the certificate.
	Certificate(CertificateSpec) (policy.Signer, error)
	// Notation returns the signer whose certificates the stores admit.
	Notation(NotationSpec) (policy.Signer, error)
}

// SigstoreSpec is what all Sigstore signers have in common.
type SigstoreSpec struct {
	// LogIgnored accepts signatures without a transparency log entry: a
	// weakening (TRUST R25).
	LogIgnored bool
	// TimestampsRequired asks for a timestamp by an authority of the trusted root.
	TimestampsRequired bool
	// SignedReference is Any, MatchRepository or a repository (TRUST R33). Empty
	// is Any.
	SignedReference string
	// Annotations must have been signed along (cosign sign -a).
	Annotations map[string]string
	// TrustedRoot is the signer's own; nil is the operator's.
	TrustedRoot *TrustedRootSpec
	// Repository is where signatures are, if not with the image, and TagPrefix
	// what stands in front of their tags (cosign's COSIGN_REPOSITORY and prefix).
	Repository, TagPrefix string
}

// KeySpec is a Sigstore signer that holds a key: PEM or KMS.
type KeySpec struct {
	SigstoreSpec
	PEM  []byte // one public key
	KMS  string // URI of a key that a key management service holds
	Hash string // sha224, sha256, sha384 or sha512; empty: the default of the key
}

// KeylessSpec is a Sigstore signer that a certificate authority vouches for.
type KeylessSpec struct {
	SigstoreSpec
	// One of each pair; the regular expressions are RE2, and match the whole
	// (TRUST R14) unless PartialMatch.
	Issuer, IssuerRegExp   string
	Subject, SubjectRegExp string
	// PartialMatch is for dialects that document it.
	PartialMatch bool
	// AnySubject admits expressions that match every identity of the issuer.
	AnySubject bool
	// SourceRepository names the repository whose workflow may sign, where it is
	// not the subject's own (TRUST R27).
	SourceRepository string
	// Extensions are further facts that the certificate must state, by the names
	// of sigstore.ExtensionNames, and ExtensionsRegExp what their values must
	// match as a whole.
	Extensions, ExtensionsRegExp map[string]string
	// CTLogIgnored accepts certificates that no certificate transparency log has
	// promised to hold: a weakening.
	CTLogIgnored bool
}

// CertificateSpec is a Sigstore signer that holds a certificate of an authority
// of its own. At least one of the two is given.
type CertificateSpec struct {
	SigstoreSpec
	Certificate []byte // PEM: the certificate that must have signed
	Chain       []byte // PEM: the authorities, intermediates first, the root last
	// Subject and SubjectRegExp limit, with Chain alone, whose certificates count,
	// by their subject alternative name.
	Subject, SubjectRegExp string
	AnySubject             bool
}

// TrustedRootSpec says what a signer trusts. Exactly one field is given.
type TrustedRootSpec struct {
	JSON       []byte     // a trusted_root.json
	PublicGood bool       // Sigstore's public instance, as of the snapshot that we ship
	Parts      *RootParts // its parts
	TUF        *TUFSpec   // a mirror that is asked for it
}

// RootParts are the parts of a trusted root. Keys and certificates are PEM.
type RootParts struct {
	Fulcio               [][]byte // chains of certificate authorities, the root last
	Rekor                [][]byte // public keys of transparency logs
	CTLogs               [][]byte // public keys of certificate transparency logs
	TimestampAuthorities [][]byte // chains of timestamp authorities, the leaf first if it is there
	// Rest takes from the operator's trusted root, if there is one, the lists that
	// are empty here.
	Rest bool
}

// TUFSpec is a TUF repository with a trusted_root.json.
type TUFSpec struct {
	Mirror string // URL
	Root   []byte // root.json, by which the first answer is believed
	Target string // name of the target; empty: trusted_root.json
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

// The fields that a [SpecError] names. That of a trusted root wraps another, of
// the list of its parts, where that is to blame.
const (
	FieldKey               = "key"
	FieldKMS               = "kms"
	FieldIssuer            = "issuer"
	FieldSubject           = "subject"
	FieldSourceRepository  = "sourceRepository"
	FieldExtensions        = "extensions"
	FieldCTLog             = "ctLog"
	FieldCertificate       = "certificate"
	FieldChain             = "chain"
	FieldTrustedRoot       = "trustedRoot"
	FieldFulcio            = "fulcio"
	FieldRekor             = "rekor"
	FieldCTLogs            = "ctLogs"
	FieldTimestampCAs      = "timestampAuthorities"
	FieldTimestamps        = "timestamps"
	FieldRepository        = "repository"
	FieldTagPrefix         = "tagPrefix"
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
