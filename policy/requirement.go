package policy

// Requirement is a node of the tree that says what must be proven: [All],
// [AnyOf], [AtLeast], [Signature] or [Static]. The zero values of the
// combining nodes allow nothing.
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
}

// Static is allowed or denied whatever the evidence.
type Static struct {
	Allow  bool
	Reason string // the author's words
}

func (All) requirement()       {}
func (AnyOf) requirement()     {}
func (AtLeast) requirement()   {}
func (Signature) requirement() {}
func (Static) requirement()    {}
