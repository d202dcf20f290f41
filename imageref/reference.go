package imageref

import "fmt"

// Repository is a registry host and a path on it, both canonical. It is
// comparable; the zero Repository names nothing.
type Repository struct {
	host, path string
}

// Host returns the canonical registry host. Its port is left out if it is 443,
// unless the name has neither dot nor colon and is not "localhost": it would
// then read as a path of Docker Hub.
func (r Repository) Host() string { return r.host }

// Path returns the repository's path on its host, such as "library/nginx".
func (r Repository) Path() string { return r.path }

// IsZero reports whether r names nothing.
func (r Repository) IsZero() bool { return r == Repository{} }

// String returns "host/path".
func (r Repository) String() string {
	if r.IsZero() {
		return ""
	}
	return r.host + "/" + r.path
}

// WithTag returns the reference to a tag of r. It is for tags that code builds,
// such as a signature's; the error wraps [ErrReference]. The zero Repository
// has no tags.
func (r Repository) WithTag(tag string) (Reference, error) {
	if r.IsZero() {
		return Reference{}, fmt.Errorf("%w: expected a repository for tag %q, got none", ErrReference, clip(tag))
	}
	if err := checkTag(tag); err != nil {
		return Reference{}, fmt.Errorf("%w: %w", ErrReference, err)
	}
	return Reference{repository: r, tag: tag, original: r.String() + ":" + tag}, nil
}

// WithDigest returns the reference to a digest of r: the zero Reference if one
// of the two is zero.
func (r Repository) WithDigest(d Digest) Reference {
	if r.IsZero() || d.IsZero() {
		return Reference{}
	}
	return Reference{repository: r, digest: d, original: r.String() + "@" + d.String()}
}

// Reference names an image: a repository with a tag, a digest, or both. It is
// comparable, but two spellings of one image are different values: compare
// their [Reference.Canonical] forms. The zero Reference names nothing.
type Reference struct {
	repository Repository
	tag        string // "" only if a digest is present
	digest     Digest
	original   string
}

// Parse reads an image reference as kubelet does, with the aliases of Docker
// Hub alone. The error wraps [ErrReference] or [ErrDigest].
func Parse(s string) (Reference, error) { return Parser{}.Parse(s) }

// MustParse is Parse for constants; it panics on a bad one.
func MustParse(s constant) Reference {
	r, err := Parse(string(s))
	if err != nil {
		panic(err)
	}
	return r
}

// Repository returns the host and path.
func (r Reference) Repository() Repository { return r.repository }

// Tag returns the tag: "latest" if neither tag nor digest was written, "" if
// only a digest was.
func (r Reference) Tag() string { return r.tag }

// Digest returns the digest that was written, or the zero Digest.
func (r Reference) Digest() Digest { return r.digest }

// IsZero reports whether r names nothing.
func (r Reference) IsZero() bool { return r.repository.IsZero() }

// Original returns the spelling that was parsed.
func (r Reference) Original() string { return r.original }

// Canonical returns r without the memory of its spelling: equal for two
// references exactly if their hosts, paths, tags and digests are. A tag beside
// a digest counts here, although only the digest decides what runs.
func (r Reference) Canonical() Reference {
	r.original = r.String()
	return r
}

// String returns the canonical form "host/path[:tag][@digest]".
func (r Reference) String() string {
	if r.IsZero() {
		return ""
	}
	s := r.repository.String()
	if r.tag != "" {
		s += ":" + r.tag
	}
	if !r.digest.IsZero() {
		s += "@" + r.digest.String()
	}
	return s
}

// Pin returns the original spelling with the digest added, the tag kept. A
// reference that has a digest is returned as it was written, whatever d is:
// that digest already decides what runs.
func (r Reference) Pin(d Digest) string {
	if !r.digest.IsZero() || d.IsZero() {
		return r.original
	}
	return r.original + "@" + d.String()
}
