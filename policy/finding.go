package policy

import "github.com/bonafide-dev/bonafide/evidence"

// Finding mirrors one node of a requirement tree and says what was found. It
// is data: deterministic for the same inputs, and free of secrets.
type Finding struct {
	Path  string // such as "require[0].signature.anyOf[1]"
	Where string // the leaf's place as its dialect names it; may be empty
	// Of names the digest that was looked at, of an image that is an index: "index
	// sha256:…", or "linux/amd64 sha256:…" of a platform in it. Path begins with
	// it. Empty is the one above, or the image's own.
	Of       string
	Outcome  Outcome
	Expected string // what the node asks for, in words
	// Proofs are the facts that allowed a leaf.
	Proofs []Proof
	// Problems say why the node is not allowed, the most telling first.
	Problems []*evidence.Problem
	Children []Finding
}
