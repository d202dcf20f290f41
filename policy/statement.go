package policy

import (
	"context"
	"sync"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Statement is a signed document: an in-toto statement about an image, or the
// content of an artifact that refers to one. It is immutable and safe for
// concurrent use; what its methods return is shared and must not be changed.
type Statement struct {
	// Type is the predicate type or the artifact type.
	Type string
	// Payload are the signed bytes.
	Payload []byte

	member string // of the document that holds the predicate; "" for all of it
	once   sync.Once
	value  any
	err    error
}

// NewStatement returns the in-toto statement in payload, of the predicate type.
func NewStatement(predicateType string, payload []byte) *Statement {
	return &Statement{Type: predicateType, Payload: payload, member: "predicate"}
}

// NewArtifact returns the content of an artifact of the type.
func NewArtifact(artifactType string, payload []byte) *Statement {
	return &Statement{Type: artifactType, Payload: payload}
}

// Document returns the payload as JSON, parsed strictly (TRUST R4): objects are
// map[string]any, whole numbers int64, others float64. The error, for a payload
// that is no JSON, is a [*evidence.Problem].
func (s *Statement) Document() (any, error) {
	s.once.Do(func() {
		if err := evidence.DecodeJSON(s.Payload, &s.value); err != nil {
			s.value, s.err = nil, &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: "a JSON document of type " + s.Type, Err: err}
		}
	})
	return s.value, s.err
}

// Predicate returns what conditions look at: the predicate of an in-toto
// statement, nil if it has none, or the whole content of an artifact.
func (s *Statement) Predicate() (any, error) {
	document, err := s.Document()
	if err != nil || s.member == "" {
		return document, err
	}
	object, is := document.(map[string]any)
	if !is {
		return nil, &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: "an in-toto statement", Got: "no object"}
	}
	return object[s.member], nil
}

// IsArtifact reports whether the statement is the content of an artifact rather
// than an in-toto statement.
func (s *Statement) IsArtifact() bool { return s.member == "" }

// Size is about what the statement costs in memory, parsed, in bytes.
func (s *Statement) Size() int {
	const parsed = 5 // a parsed document weighs some four times its bytes
	return parsed * len(s.Payload)
}

// Condition is a compiled test of what a statement says. Implementations are
// comparable, as pointers are, immutable, safe for concurrent use, bounded in time and memory whatever the
// statement holds, and have no side effects.
type Condition interface {
	// Check returns nil if the condition holds. Otherwise the error wraps an
	// [*evidence.Problem]; one that does not, as any that is met while evaluating,
	// counts as not met (TRUST R32).
	Check(ctx context.Context, in ConditionInput) error
	// String returns the condition as its author wrote it, bounded.
	String() string
}

// ConditionInput is what a condition may look at.
type ConditionInput struct {
	Statement *Statement
	Proof     Proof // by which the statement counts
	Image     imageref.Reference
	Digest    imageref.Digest // that was verified
	Request   Request
	Now       time.Time
}
