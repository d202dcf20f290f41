package dialect

import "github.com/bonafide-dev/bonafide/policy"

// Rulings are what a document says about images beside policies: from which
// policies are lifted, and which are stopped whatever policies say.
type Rulings struct {
	Exceptions []policy.Exception
	Denials    []policy.Denial
}

// Ruler is a Dialect that also reads documents which hold no policy.
type Ruler interface {
	Dialect
	// RulingKinds returns the kinds whose documents hold rulings. None is among
	// Kinds.
	RulingKinds() []Kind
	// Rulings returns the rulings that a document holds, in its order. It is called
	// for documents of its RulingKinds alone. The error is [Errors] and holds
	// everything that is wrong; a document with an error holds no ruling.
	Rulings(Document) (Rulings, error)
}
