package sigstore

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Log says what a signer asks of transparency logs. The zero Log is the strict
// one.
type Log uint8

const (
	// LogRequired asks for an entry in a log of the trusted root, bound to the
	// signature, the key or certificate and what was signed (TRUST R25).
	LogRequired Log = iota
	// LogIgnored asks for none and looks at none. It is a weakening that a
	// policy must state.
	LogIgnored
)

// Timestamps says what a signer asks of timestamp authorities.
type Timestamps uint8

const (
	// TimestampsIfPresent asks for none; one by an authority of the trusted root
	// must verify all the same (TRUST R26).
	TimestampsIfPresent Timestamps = iota
	// TimestampsRequired asks for one by an authority of the trusted root.
	TimestampsRequired
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

// Options say what any signature must bring along. The zero Options are strict:
// they ask for a log entry, and so need a TrustedRoot.
type Options struct {
	// TransparencyLog is required unless ignored.
	TransparencyLog Log
	// Timestamps are verified where they are present, unless required.
	Timestamps Timestamps
	// TrustedRoot holds the logs and authorities. It may be nil only for keys and
	// certificates whose log is ignored.
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
	// Place is where the signer's evidence is looked for. It proves nothing.
	Place evidence.Place
}

func (o Options) check() error {
	switch {
	case o.TrustedRoot != nil && o.TrustedRoot.root == nil:
		return errors.New("trusted root: expected one made by NewTrustedRoot, got an empty one")
	case o.TransparencyLog != LogRequired && o.TransparencyLog != LogIgnored:
		return fmt.Errorf("transparency log: expected required or ignored, got %d", o.TransparencyLog)
	case o.TransparencyLog == LogRequired && o.TrustedRoot == nil:
		return errors.New("transparency log: expected a trusted root for the log that is required, got none")
	case o.TransparencyLog == LogRequired && len(o.TrustedRoot.root.RekorLogs()) == 0:
		return errors.New("transparency log: expected a trusted root with a log, got one without")
	case o.Timestamps != TimestampsIfPresent && o.Timestamps != TimestampsRequired:
		return fmt.Errorf("timestamps: expected required or if present, got %d", o.Timestamps)
	case o.Timestamps == TimestampsRequired && (o.TrustedRoot == nil || len(o.TrustedRoot.root.TimestampingAuthorities()) == 0):
		return errors.New("timestamps: expected a trusted root with a timestamp authority, got none")
	}
	return nil
}

// materialOf is a trusted root as sigstore-go reads it.
func materialOf(t *TrustedRoot) root.TrustedMaterial {
	if t == nil {
		return root.TrustedMaterialCollection{}
	}
	return t.root
}

// KeyOptions say what a signature by a key must bring along.
type KeyOptions struct {
	Options
	// Hash is the only hash that signatures are accepted with: SHA-2 with 224,
	// 256, 384 or 512 bits. Zero is what cosign signs with: SHA-256, for P-384
	// also SHA-384 and for P-521 also SHA-512. It must be zero for an Ed25519
	// key.
	Hash crypto.Hash
	// NotBefore and NotAfter are when the key was in use; zero is unbounded.
	// With either of them, a signature needs a proven time within (TRUST R26),
	// and the log must not be ignored.
	NotBefore, NotAfter time.Time
}

func (o KeyOptions) check() error {
	if err := o.Options.check(); err != nil {
		return err
	}
	limited := !o.NotBefore.IsZero() || !o.NotAfter.IsZero()
	switch {
	case o.TransparencyLog == LogIgnored && limited:
		return errors.New("key validity: expected a required transparency log to prove when a signature was made, got an ignored one")
	case !o.NotBefore.IsZero() && !o.NotAfter.IsZero() && !o.NotBefore.Before(o.NotAfter):
		return fmt.Errorf("key validity: expected an end after %s, got %s", o.NotBefore.Format(time.RFC3339), o.NotAfter.Format(time.RFC3339))
	}
	return nil
}
