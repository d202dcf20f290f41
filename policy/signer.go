package policy

import (
	"context"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
)

// SignerID identifies a signer by everything that its verdicts depend on: its
// keys or trust roots by content, identities and options (TRUST R34). Two
// signers with one ID accept the same signatures.
type SignerID string

// Signer verifies what one party may have signed. It is bound to its material
// when it is made; material that changes makes another Signer.
//
// Implementations are safe for concurrent use and do not reach for the network
// without the context's leave.
type Signer interface {
	// ID returns the signer's identity by content.
	ID() SignerID
	// Describe returns who must have signed in one short phrase for a message,
	// such as "key sha256:1f2e…".
	Describe() string
	// Need returns the formats that the signer can verify.
	Need() evidence.Need
	// PerRepository reports whether verdicts depend on the image's repository
	// beside its digest, as Notation's do.
	PerRepository() bool
	// Verify decides whether item proves that this signer signed the image. A
	// nil error means that the Proof holds. Otherwise the error wraps an
	// [*evidence.Problem]; one that does not is undecided.
	Verify(ctx context.Context, image evidence.Image, item evidence.Item) (Proof, error)
}

// Attestor is a Signer that also signs statements about images.
type Attestor interface {
	Signer
	// StatementNeed returns the formats in which statements are looked for.
	StatementNeed() evidence.Need
	// VerifyStatement decides whether item holds a statement of the predicate
	// type about the image that this signer signed. The Proof then has a
	// Statement. Errors are as those of Verify; a statement of another type is
	// a Problem with reason [evidence.NotAttested].
	VerifyStatement(ctx context.Context, image evidence.Image, item evidence.Item, predicateType string) (Proof, error)
}

// CoveredReader is an Attestor that reads statements which a signature of its own
// covers, without one of theirs: those that an index holds which it signed, as
// BuildKit stores them (TRUST R31).
type CoveredReader interface {
	Attestor
	// ReadCovered returns what a statement of the predicate type says about the
	// image, a child of the index that by is a proof of. Its Identity, Time and
	// Testimony are those of by. Errors are as those of VerifyStatement.
	ReadCovered(image evidence.Image, item evidence.Item, predicateType string, by Proof) (Proof, error)
}

// Unavailable is a Signer that cannot verify anything yet: it stands in for one
// whose trust material is not known. Every question about it is undecided,
// whatever evidence there is, even if there is none.
type Unavailable interface {
	Signer
	// Unavailable returns why, and never nil.
	Unavailable() *evidence.Problem
}

// Proof is a verified fact: a signer signed this digest, or a statement about
// it.
type Proof struct {
	// Identity is who signed, the same string for the same key, certificate
	// identity or (issuer, subject), whichever Signer found it. Thresholds count
	// distinct identities (TRUST R28).
	Identity string
	// Key identifies the key that signed, if the verifier tells: one holder's
	// signatures fill one slot, by whatever identity a policy knows the holder.
	Key string
	// Who is Identity for people, such as a certificate's subject.
	Who string
	// Source says where the signature was found, for messages:
	// "cosign signature sha256:…[0]".
	Source string
	// Evidence names the piece of evidence that holds the signature, the same for
	// whichever Signer verified it. Whoever gathered it sets it; signers leave it
	// empty.
	Evidence string
	// Reference is the image reference that the signer signed, if the format
	// records one (TRUST R33).
	Reference string
	// Expires is when the proof stops being one, whatever a cache thinks: the
	// earliest of the signature's expiry, NotAfter where validity was judged at
	// the current time, and the nextUpdate of revocation answers (TRUST R35).
	// Zero means never.
	Expires time.Time
	// Time is when the signature was made, if a log or a timestamp authority
	// proves it; zero if nothing does.
	Time time.Time
	// Statement is what was signed about the image; nil for a signature.
	Statement *Statement
	// Testimony is what the signature rests on, for people; nil if the verifier
	// does not tell.
	Testimony *Testimony
	// Notes are things that a reader of the decision should know, such as a
	// check that was only logged.
	Notes []string
}
