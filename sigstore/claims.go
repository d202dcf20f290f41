package sigstore

import (
	"fmt"
	"maps"
	"slices"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// checkReference compares the reference that was signed with the one that the
// signer asks for (TRUST R33).
func (s *Signer) checkReference(image imageref.Repository, signed string) error {
	want := s.options.SignedReference
	if !want.match {
		return nil
	}
	repository := want.repository
	if repository.IsZero() {
		repository = image
	}
	problem := &evidence.Problem{Reason: evidence.ReferenceMismatch, Expected: "a signature made for " + repository.String()}
	if signed == "" {
		problem.Got = "one that records no reference"
		return problem
	}
	ref, err := imageref.Parse(signed)
	if err != nil {
		problem.Err = err
		return problem
	}
	if repository.IsZero() || ref.Repository() != repository {
		problem.Got = "one for " + ref.Repository().String()
		return problem
	}
	return nil
}

// checkAnnotations looks for the annotations that the signer asks for among
// those that were signed. Values are compared as text; a signed value of
// another type is no match.
func (s *Signer) checkAnnotations(signed map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(s.options.Annotations)) {
		want := fmt.Sprintf("annotation %q with value %q", name, s.options.Annotations[name])
		got, found := signed[name]
		if text, is := got.(string); is && text == s.options.Annotations[name] {
			continue
		}
		problem := &evidence.Problem{Reason: evidence.AnnotationMismatch, Expected: want, Got: "none"}
		if found {
			problem.Got = quote(fmt.Sprint(got))
		}
		return problem
	}
	return nil
}

// maxQuoted bounds what a message repeats of hostile input.
const maxQuoted = 200

func quote(s string) string {
	if len(s) > maxQuoted {
		s = s[:maxQuoted] + "…"
	}
	return fmt.Sprintf("%q", s)
}

func subjectMismatch(what, want, got string) error {
	return &evidence.Problem{Reason: evidence.SubjectMismatch, Expected: what + want, Got: got}
}
