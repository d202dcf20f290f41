package sigstore

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// Signer is who must have signed: who holds a key, whom an authority's
// certificate names, or who holds a certificate. It implements
// [policy.CoveredReader] and is safe for concurrent use.
type Signer struct {
	party    party
	options  Options
	id       policy.SignerID
	material root.TrustedMaterial // the trusted root, and the key under any hint
}

var _ policy.CoveredReader = (*Signer)(nil)

// party is what tells signers apart: with whose key a signature must verify, and
// who then has signed.
type party interface {
	// holder returns the key with which a signature must verify, given what
	// came along with it.
	holder(presented) (holder, error)
	// judge decides, when a signature verifies with the holder's key, whether
	// the holder is the party, given what proves when it was made.
	judge(holder, proven) (verdict, error)
	// describe returns who must have signed, for messages.
	describe() string
	// identify adds everything that a verdict depends on.
	identify(*hasher)
}

// newSigner binds a party to options that were checked.
func newSigner(p party, o Options, material root.TrustedMaterial) *Signer {
	o.Annotations = maps.Clone(o.Annotations)
	s := &Signer{party: p, options: o, material: material}
	s.id = s.identify()
	return s
}

// idFormat changes whenever a verdict for the same material and options may.
const idFormat = "sigstore/2"

// identify hashes everything that a verdict depends on (TRUST R34).
func (s *Signer) identify() policy.SignerID {
	h := newHasher()
	h.add(idFormat)
	s.party.identify(h)
	o := s.options
	h.add(strconv.Itoa(int(o.TransparencyLog)), strconv.Itoa(int(o.Timestamps)), o.TrustedRoot.Digest().String(), o.SignedReference.String())
	h.add(o.Place.Repository.String(), o.Place.TagPrefix)
	h.addMap(o.Annotations)
	return policy.SignerID("sigstore:" + h.sum())
}

// ID returns a hash of who must have signed, the trusted root and all options.
func (s *Signer) ID() policy.SignerID { return s.id }

// Describe returns who must have signed: "key sha256:1f2e…", or an identity and
// who vouches for it.
func (s *Signer) Describe() string { return s.party.describe() }

// Need returns cosign signatures and Sigstore bundles.
func (s *Signer) Need() evidence.Need {
	return evidence.Need{SimpleSigning: true, Bundle: true, Place: s.options.Place}
}

// StatementNeed returns cosign attestations and Sigstore bundles.
func (s *Signer) StatementNeed() evidence.Need {
	return evidence.Need{Envelope: true, Bundle: true, Place: s.options.Place}
}

// PerRepository reports whether signatures must be for the image's repository.
func (s *Signer) PerRepository() bool { return s.options.SignedReference == MatchRepository() }

// Verify decides whether item is a signature of the image by this signer. The
// context is not used: nothing here waits. A panic of a parser, which hostile
// input may provoke, becomes an undecided problem (TRUST R48).
func (s *Signer) Verify(_ context.Context, image evidence.Image, item evidence.Item) (policy.Proof, error) {
	return prove(item, func() (verdict, error) {
		if err := checkInput(image, item); err != nil {
			return verdict{}, err
		}
		switch item.Format {
		case evidence.SimpleSigning:
			return s.verifySimple(image, item)
		case evidence.Bundle:
			return s.verifyBundle(subjectOf(image), item.Payload, predicateSign)
		case evidence.Notation, evidence.Envelope, evidence.Artifact, evidence.Embedded:
		}
		return verdict{}, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "a cosign signature or Sigstore bundle", Got: described(item.Format)}
	})
}

// prove makes a proof or a problem of what verify returns.
func prove(item evidence.Item, verify func() (verdict, error)) (proof policy.Proof, err error) {
	defer func() {
		if r := recover(); r != nil {
			proof, err = policy.Proof{}, &evidence.Problem{Reason: evidence.Internal, Path: source(item), Err: fmt.Errorf("panic while verifying: %v", r)}
		}
	}()
	v, err := verify()
	if err != nil {
		p := *evidence.ProblemOf(err)
		p.Path = source(item)
		return policy.Proof{}, &p
	}
	proof = policy.Proof{
		Identity: v.identity, Key: v.key, Who: v.who, Source: source(item), Reference: v.reference,
		Time: v.made, Expires: v.expires, Testimony: &v.testimony,
	}
	if v.statement != nil {
		proof.Statement = policy.NewStatement(v.predicateType, v.statement)
	}
	return proof, nil
}

func checkInput(image evidence.Image, item evidence.Item) error {
	if image.Digest().IsZero() {
		return &evidence.Problem{Reason: evidence.Internal, Expected: "an image with a digest", Got: "none"}
	}
	if len(item.Payload) > evidence.MaxSignatureBytes {
		return tooMany("bytes", evidence.MaxSignatureBytes, len(item.Payload))
	}
	return nil
}

// source says where a signature is: "cosign signature sha256:…[0]".
func source(item evidence.Item) string {
	if item.Manifest.IsZero() { // a bundle that was handed in
		return item.Format.String()
	}
	return fmt.Sprintf("%s %s[%d]", item.Format, item.Manifest, item.Layer)
}

// described is a format's name with its article.
func described(f evidence.Format) string {
	if f == evidence.Artifact {
		return "an " + f.String()
	}
	return "a " + f.String()
}

// mismatch is the problem of a signature that is not by the signer.
func (s *Signer) mismatch(got string) error { return mismatchOf(s.party, got) }

func mismatchOf(p party, got string) error {
	return &evidence.Problem{Reason: evidence.SignerMismatch, Expected: "a signature by " + p.describe(), Got: got}
}

func malformed(what string, cause error) error {
	return &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: what, Err: cause}
}

func tooMany(what string, most, got int) error {
	return &evidence.Problem{Reason: evidence.LimitExceeded, Expected: fmt.Sprintf("at most %d %s", most, what), Got: strconv.Itoa(got)}
}
