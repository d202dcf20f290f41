package nirmata

import (
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

const anyScope = "*"

// scope reads a repository, with its host written out: without one the Notary
// Project means a folder on the local disk, and people mean Docker Hub.
func (r *reader) scope(path, text string) (imageref.Repository, bool) {
	host, rest, _ := strings.Cut(text, "/")
	if rest == "" || !strings.ContainsAny(host, ".:") && host != "localhost" {
		r.Errorf(path, "expected a repository with its registry's host, such as ghcr.io/acme/app, or %q alone, got %q", anyScope, dialect.Clip(text))
		return imageref.Repository{}, false
	}
	if strings.ContainsAny(rest, ":@") {
		r.Errorf(path, "expected a repository without tag and digest, got %q", dialect.Clip(text))
		return imageref.Repository{}, false
	}
	ref, err := r.options.Parser.Parse(text)
	if err != nil {
		r.Errorf(path, "expected a repository: %w", err)
		return imageref.Repository{}, false
	}
	return ref.Repository(), true
}

// repositoryScope selects the images of one repository, exactly.
type repositoryScope imageref.Repository

var _ policy.ImagePattern = repositoryScope{}

// Includes implements [policy.ImagePattern].
func (s repositoryScope) Includes(ref imageref.Reference) bool {
	return ref.Repository() == imageref.Repository(s)
}

// Excludes implements [policy.ImagePattern]. It never asks for a tag, so that a
// tag beside a digest is no way out (TRUST R13).
func (s repositoryScope) Excludes(ref imageref.Reference) bool { return s.Includes(ref) }

// String returns the repository.
func (s repositoryScope) String() string { return imageref.Repository(s).String() }

// everyScope selects every image.
type everyScope struct{}

// Includes implements [policy.ImagePattern].
func (everyScope) Includes(ref imageref.Reference) bool { return !ref.IsZero() }

// Excludes implements [policy.ImagePattern].
func (everyScope) Excludes(imageref.Reference) bool { return false }

// String returns "*".
func (everyScope) String() string { return anyScope }

func compareRepositories(a, b imageref.Repository) int {
	return strings.Compare(a.String(), b.String())
}
