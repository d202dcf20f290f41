package sigstore

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/bonafide-dev/bonafide/imageref"
)

// Log says what a signer asks of transparency logs. The zero Log is the strict
// one.
type Log uint8

const (
	// LogRequired asks for an entry in a log of the trusted root, bound to the
	// signature, the key and what was signed (TRUST R25).
	LogRequired Log = iota
	// LogIgnored asks for none and looks at none. It is a weakening that a
	// policy must state.
	LogIgnored
)

// SignedReference says for which image reference a signature must have been
// made (TRUST R33). It is comparable; the zero SignedReference accepts any.
type SignedReference struct {
	match      bool
	repository imageref.Repository
}

// MatchRepository accepts signatures that were made for the repository in which
// the image is.
func MatchRepository() SignedReference { return SignedReference{match: true} }

// SignedFor accepts signatures that were made for one repository, wherever the
// image is now: for mirrors.
func SignedFor(r imageref.Repository) SignedReference {
	return SignedReference{match: true, repository: r}
}

// String returns "Any", "MatchRepository" or the repository.
func (s SignedReference) String() string {
	switch {
	case !s.match:
		return "Any"
	case s.repository.IsZero():
		return "MatchRepository"
	}
	return s.repository.String()
}

// KeyOptions say what a signature by a key must bring along. The zero
// KeyOptions are strict: they ask for a log entry, and so need a TrustedRoot.
type KeyOptions struct {
	// Hash is the only hash that signatures are accepted with. Zero is what
	// cosign signs with: SHA-256, for P-384 also SHA-384 and for P-521 also
	// SHA-512. It must be zero for an Ed25519 key.
	Hash crypto.Hash
	// TransparencyLog is required unless ignored.
	TransparencyLog Log
	// TrustedRoot holds the logs and timestamp authorities. It may be nil only
	// if the log is ignored.
	TrustedRoot *TrustedRoot
	// SignedReference limits what the signature was made for. Bundles and
	// attestations record no reference, so nothing but the zero value accepts
	// them.
	SignedReference SignedReference
	// Annotations are names and values that must have been signed along, as
	// cosign does with "sign -a". Others may be there too. No tool annotates
	// attestations, so they count without; one whose subject is annotated must
	// have these.
	Annotations map[string]string
	// NotBefore and NotAfter are when the key was in use; zero is unbounded.
	// With either of them, a signature needs a proven time within (TRUST R26),
	// and the log must not be ignored.
	NotBefore, NotAfter time.Time
}

// expires reports whether the key's own validity is limited.
func (o KeyOptions) expires() bool { return !o.NotBefore.IsZero() || !o.NotAfter.IsZero() }

func (o KeyOptions) check() error {
	switch {
	case o.TrustedRoot != nil && o.TrustedRoot.root == nil:
		return errors.New("trusted root: expected one made by NewTrustedRoot, got an empty one")
	case o.TransparencyLog != LogRequired && o.TransparencyLog != LogIgnored:
		return fmt.Errorf("transparency log: expected required or ignored, got %d", o.TransparencyLog)
	case o.TransparencyLog == LogRequired && o.TrustedRoot == nil:
		return errors.New("transparency log: expected a trusted root for the log that is required, got none")
	case o.TransparencyLog == LogRequired && len(o.TrustedRoot.root.RekorLogs()) == 0:
		return errors.New("transparency log: expected a trusted root with a log, got one without")
	case o.TransparencyLog == LogIgnored && o.expires():
		return errors.New("key validity: expected a required transparency log to prove when a signature was made, got an ignored one")
	case !o.NotBefore.IsZero() && !o.NotAfter.IsZero() && !o.NotBefore.Before(o.NotAfter):
		return fmt.Errorf("key validity: expected an end after %s, got %s", o.NotBefore.Format(time.RFC3339), o.NotAfter.Format(time.RFC3339))
	}
	return nil
}
