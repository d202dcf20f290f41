package sigstore

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
)

const (
	// predicateSign is the predicate type by which cosign marks a statement as
	// an image's signature (cosign specs/BUNDLE_SPEC.md).
	predicateSign = "https://sigstore.dev/cosign/sign/v1"
	// anyType is no predicate type and stands for each.
	anyType = "*"

	// maxSubjects and maxDigests bound a statement (TRUST R1; CVE-2024-45395).
	maxSubjects = 1024
	maxDigests  = 32
	// maxNamed bounds the digests' names in a message.
	maxNamed = 4
	// maxSubjectParts bounds what reading subjects costs, before they are
	// counted: the commas between them and within. It is what subjects and
	// digests within bounds come to.
	maxSubjectParts = maxSubjects * maxDigests
)

// statementTypes are the versions of in-toto statements (in-toto attestation
// spec/v1/statement.md and spec/v0.1.0/statement.md).
var statementTypes = [...]string{"https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"}

type statement struct {
	Type          string
	Subject       []subject
	PredicateType string
}

// statementDocument leaves the predicate alone, and the subjects until they are
// counted.
type statementDocument struct {
	Type          string          `json:"_type"`
	Subject       json.RawMessage `json:"subject"`
	PredicateType string          `json:"predicateType"`
}

type subject struct {
	Name        string            `json:"name"`
	Digest      map[string]string `json:"digest"`
	Annotations map[string]any    `json:"annotations"`
}

func parseStatement(payload []byte) (statement, error) {
	var d statementDocument
	if err := evidence.DecodeJSON(payload, &d); err != nil {
		return statement{}, malformed("an in-toto statement", err)
	}
	s := statement{Type: d.Type, PredicateType: d.PredicateType}
	if !slices.Contains(statementTypes[:], s.Type) {
		return statement{}, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "an in-toto statement", Got: "type " + quote(s.Type)}
	}
	if n := commas(d.Subject); n > maxSubjectParts {
		return statement{}, tooMany("parts of subjects", maxSubjectParts, n)
	}
	if len(d.Subject) > 0 {
		if err := evidence.DecodeJSON(d.Subject, &s.Subject); err != nil {
			return statement{}, malformed("an in-toto statement", err)
		}
	}
	if n := len(s.Subject); n > maxSubjects {
		return statement{}, tooMany("subjects", maxSubjects, n)
	}
	for _, subject := range s.Subject {
		if n := len(subject.Digest); n > maxDigests {
			return statement{}, tooMany("digests of a subject", maxDigests, n)
		}
	}
	return s, nil
}

// signs reports whether the statement is an image's signature.
func (s statement) signs() bool { return s.PredicateType == predicateSign }

// checkType tells a signature from other statements about an image: what a
// build or a scanner says is no release, nor is a release what a scanner says
// (TRUST R23). want is predicateSign for a signature.
func (s statement) checkType(want string) error {
	switch {
	case s.PredicateType == want, want == anyType:
		return nil
	case want == predicateSign:
		return &evidence.Problem{
			Reason: evidence.UnsupportedEvidence, Expected: "a signature, predicate type " + quote(predicateSign),
			Got: "an attestation of type " + quote(s.PredicateType) + ", which is no signature",
		}
	}
	return notAttested(want, "one of type "+quote(s.PredicateType))
}

// subject returns the subject that is the image or file (TRUST R21). A digest
// that is not known of it says nothing; one that differs makes it another.
func (s statement) subject(of thing) (subject, error) {
	for _, subject := range s.Subject {
		if subject.is(of) {
			return subject, nil
		}
	}
	got := "one without a subject"
	if len(s.Subject) > 0 {
		got = "one " + s.Subject[0].describe(of)
	}
	if n := len(s.Subject) - 1; n > 0 {
		got += fmt.Sprintf(" and %d more", n)
	}
	what := "a statement about "
	if s.signs() {
		what = "a signature of "
	}
	return subject{}, subjectMismatch(what, of.name, got)
}

// is reports whether the subject is the thing.
func (s subject) is(of thing) bool {
	var same bool
	for algorithm, value := range of.digests {
		if named, found := s.Digest[algorithm]; found {
			if named != value {
				return false
			}
			same = true
		}
	}
	return same
}

// describe says what the subject is, which is not the thing.
func (s subject) describe(of thing) string {
	for _, algorithm := range slices.Sorted(maps.Keys(of.digests)) {
		if value, found := s.Digest[algorithm]; found && value != of.digests[algorithm] {
			return "of " + quote(algorithm+":"+value)
		}
	}
	if len(s.Digest) == 0 {
		return "of a subject without a digest"
	}
	names := slices.Sorted(maps.Keys(s.Digest))
	more := ""
	if n := len(names) - maxNamed; n > 0 {
		names, more = names[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	for i, name := range names {
		if hashNamed(name) == 0 {
			names[i] = quote(name)
		}
	}
	return "named by " + strings.Join(names, ", ") + more + " only"
}
