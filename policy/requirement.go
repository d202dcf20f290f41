package policy

import "time"

// Requirement is a node of the tree that says what must be proven: [All],
// [AnyOf], [AtLeast], [Signature], [Attestation], [Artifact] or [Static]. The
// zero values of the combining nodes allow nothing.
type Requirement interface{ requirement() }

// All is allowed if every child is. An empty All is denied: an empty set never
// allows (TRUST R48).
type All struct{ Of []Requirement }

// AnyOf is allowed if one child is.
type AnyOf struct{ Of []Requirement }

// AtLeast is allowed if Count children are, by distinct identities: one
// identity, and so one signature, fills one slot (TRUST R28).
type AtLeast struct {
	Count int
	Of    []Requirement
	Name  string // the group's name in the policy, for messages
}

// Signature is allowed if the signer signed the image.
type Signature struct {
	Name   string // the signer's name in the policy, for messages
	Signer Signer
	// Where is the leaf's place as the policy's own dialect names it, such as
	// ".attestors[0].entries[0].keys"; empty where the dialect names none.
	Where string
}

// Attestation is allowed if statements of the claim's predicate type about the
// image are signed by one of the claim's signers, each of which must be an
// [Attestor].
type Attestation struct{ Claim }

// Artifact is allowed if artifacts of the claim's artifact type that refer to
// the image are themselves signed by one of the claim's signers.
type Artifact struct{ Claim }

// Claim says which signed statements must be there and what they must say. An
// empty set of statements never satisfies (TRUST R23).
type Claim struct {
	// Type is the predicate type of an attestation, the artifact type of an
	// artifact, exactly.
	Type string
	// Signers are whose statements count; no signers allow nothing.
	Signers []Signature
	// Quantifier says which of the statements must meet the conditions.
	Quantifier Quantifier
	// MaxAge is the greatest age of a statement by its time: the proven one or,
	// with Dated, the one that it states. Zero asks for none. A statement without a
	// time is older than any (TRUST R32), as is one whose time has not come.
	MaxAge time.Duration
	// Conditions must all hold.
	Conditions []Condition
	// Where is as in [Signature].
	Where string
	// Dated returns the time that a statement states of itself, if it states
	// one: it counts for MaxAge and Newest beside the proven time, and the earlier
	// of the two decides. Nil knows of none.
	Dated func(*Statement) (time.Time, bool)
	// Embedded also counts statements that the image's own index holds, as
	// BuildKit stores them: unsigned, under a signature of the index by one of
	// the claim's signers (TRUST R31). It is for attestations of policies whose
	// Platform is [PlatformEach].
	Embedded bool
}

// Quantifier says which statements must meet a claim's conditions. At least one
// must be there, whatever the quantifier.
type Quantifier uint8

// The quantifiers. What decides over a whole list is undecided where the list
// may be incomplete (TRUST R5).
const (
	// Any asks for one verified statement that meets the conditions.
	Any Quantifier = iota
	// Every asks that every verified statement meets them.
	Every
	// EveryFound asks that everything found of the type is signed, and meets
	// them. It is for artifacts: who else makes statements about an image is not
	// known.
	EveryFound
	// Newest asks that the verified statement with the latest time meets them: the
	// time that counts for MaxAge. With several statements each needs one.
	Newest
)

// String returns the quantifier as policies write it.
func (q Quantifier) String() string {
	switch q {
	case Every:
		return "Every"
	case EveryFound:
		return "EveryFound"
	case Newest:
		return "Newest"
	case Any:
	}
	return "Any"
}

// Static is allowed or denied whatever the evidence.
type Static struct {
	Allow  bool
	Reason string // the author's words
}

func (All) requirement()         {}
func (AnyOf) requirement()       {}
func (AtLeast) requirement()     {}
func (Signature) requirement()   {}
func (Attestation) requirement() {}
func (Artifact) requirement()    {}
func (Static) requirement()      {}

// Leaves are the leaves of a tree that ask for evidence, each kind in order.
type Leaves struct {
	Signatures   []Signature
	Attestations []Attestation
	Artifacts    []Artifact
}

// LeavesOf returns the leaves of a tree.
func LeavesOf(r Requirement) Leaves {
	var found Leaves
	found.walk(r)
	return found
}

func (l *Leaves) walk(r Requirement) {
	switch n := r.(type) {
	case Signature:
		l.Signatures = append(l.Signatures, n)
	case Attestation:
		l.Attestations = append(l.Attestations, n)
	case Artifact:
		l.Artifacts = append(l.Artifacts, n)
	case All:
		l.each(n.Of)
	case AnyOf:
		l.each(n.Of)
	case AtLeast:
		l.each(n.Of)
	}
}

func (l *Leaves) each(of []Requirement) {
	for _, r := range of {
		l.walk(r)
	}
}

// Signatures returns the Signature leaves of a tree, in order.
func Signatures(r Requirement) []Signature { return LeavesOf(r).Signatures }
