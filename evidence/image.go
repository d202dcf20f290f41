package evidence

import (
	"context"

	"github.com/bonafide-dev/bonafide/imageref"
)

// Descriptor points at content in a registry (OCI image-spec descriptor.md).
// Unless it was computed from bytes, it is the registry's word: a hint.
type Descriptor struct {
	MediaType    string
	Digest       imageref.Digest
	Size         int64
	ArtifactType string
	Annotations  map[string]string
	Platform     *Platform
}

// Platform is the operating system and architecture that a child of an index
// is for.
type Platform struct {
	OS, Architecture, Variant string
}

// String returns the platform as policies write it: "linux/arm/v7".
func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Image is the subject of all evidence: a manifest or index as it was read,
// its descriptor computed from its bytes (TRUST R2).
type Image struct {
	Reference  imageref.Reference // what was asked for
	Repository imageref.Repository
	Manifest   Manifest
}

// Digest returns the image's digest.
func (i Image) Digest() imageref.Digest { return i.Manifest.Descriptor.Digest }

// Referrers is a registry's answer to "what refers to this digest".
type Referrers struct {
	Descriptors []Descriptor
	Supported   bool // the registry has the referrers API
	Cut         bool // there were more than the cap (TRUST R5)
}

// Source reads one registry with one set of credentials.
//
// Implementations are safe for concurrent use, verify every digest they were
// asked for against the bytes (TRUST R2), stop at the caps of TRUST R1, and
// return errors that wrap a [*Problem]. Absent content is a Problem with reason
// [ImageNotFound].
type Source interface {
	// Manifest returns the manifest that ref names: by digest if it has one,
	// else by tag.
	Manifest(ctx context.Context, ref imageref.Reference) (Manifest, error)
	// Blob returns the content of d, at most limit bytes.
	Blob(ctx context.Context, repository imageref.Repository, d Descriptor, limit int64) ([]byte, error)
	// Referrers asks the referrers API alone. A registry without it is not an
	// error: Supported is false.
	Referrers(ctx context.Context, repository imageref.Repository, digest imageref.Digest) (Referrers, error)
}

// Puller is whose credentials read the registry: those that kubelet would use.
// The zero Puller has none of its own.
type Puller struct {
	Namespace      string
	ServiceAccount string
	PullSecrets    []string // names of Secrets in Namespace, in the object's order
	// Operator are Secrets that the policies name, beside the object's own. They
	// are not the author's: what they let us read is not for the author's eyes
	// (TRUST R36).
	Operator []SecretName
}

// SecretName names a Secret.
type SecretName struct{ Namespace, Name string }
