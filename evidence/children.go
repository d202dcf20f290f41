package evidence

import (
	"context"
	"fmt"

	"github.com/bonafide-dev/bonafide/imageref"
)

// How BuildKit marks the manifests of an index that hold statements rather than
// something to run (moby/buildkit docs/attestations/attestation-storage.md).
const (
	annotationReferenceType   = "vnd.docker.reference.type"
	annotationReferenceDigest = "vnd.docker.reference.digest"
	attestationManifest       = "attestation-manifest"
	unknownPlatform           = "unknown"
)

// Child is an entry of an index that a runtime may run.
type Child struct {
	Digest    imageref.Digest
	MediaType string // as the index lists it; may be empty
	Size      int64  // as the index lists it
	// Platform is the one that the index states; zero if it states none. A child
	// without one may run anywhere (TRUST R31).
	Platform Platform
}

// IsIndex reports whether the index lists the child as an index of its own. Only
// the child's own manifest decides; [ResolveChild] holds both together.
func (c Child) IsIndex() bool { return isIndexType(c.MediaType) }

// Children returns the entries of an index that may run, in its order: all but
// those that are both for platform unknown/unknown and annotated as BuildKit's
// attestation manifests (TRUST R31). Either mark alone does not make an entry
// harmless. An entry that is listed twice alike is returned once; one digest for two
// platforms is two children. Of an unknown media type an entry is a child too:
// whoever counts it finds out by reading it.
//
// An index that runs in Each mode is walked with Children and [ResolveChild]:
// nested indexes are walked likewise, at most [MaxIndexDepth] indexes deep and
// with at most [MaxChildren] children in all. An index without children holds
// nothing that could be proven: it must not count as proven.
//
// The error is a [*Problem]: [MalformedManifest] if m is no index, and
// [LimitExceeded] for more than MaxChildren, as no part of them would do.
func Children(m Manifest) ([]Child, error) {
	if !m.IsIndex() {
		return nil, malformedManifest("an image index", fmt.Sprintf("%q", clip(m.Descriptor.MediaType)), nil)
	}
	var all []Child
	seen := make(map[Child]struct{})
	for _, d := range m.Manifests {
		if holdsStatements(d) {
			continue
		}
		c := Child{Digest: d.Digest, MediaType: d.MediaType, Size: d.Size}
		if d.Platform != nil {
			c.Platform = *d.Platform
		}
		if _, again := seen[c]; again {
			continue
		}
		if len(all) == MaxChildren {
			return nil, &Problem{Reason: LimitExceeded, Expected: fmt.Sprintf("an index of at most %d images", MaxChildren), Got: "more"}
		}
		seen[c] = struct{}{}
		all = append(all, c)
	}
	return all, nil
}

// holdsStatements reports whether an entry of an index is one of BuildKit's
// attestation manifests.
func holdsStatements(d Descriptor) bool {
	return d.Platform != nil && *d.Platform == Platform{OS: unknownPlatform, Architecture: unknownPlatform} &&
		d.Annotations[annotationReferenceType] == attestationManifest
}

// ResolveChild reads a child of an index, in the index's repository. What the
// index says of the child's type and size must be true (TRUST R3): a runtime may
// go by either. The error wraps a [*Problem].
func ResolveChild(ctx context.Context, src Source, index Image, c Child) (Image, error) {
	ref := index.Repository.WithDigest(c.Digest)
	m, err := listed(ctx, src, ref, Descriptor{MediaType: c.MediaType, Digest: c.Digest, Size: c.Size})
	if err != nil {
		return Image{}, err
	}
	return Image{Reference: ref, Repository: index.Repository, Manifest: m}, nil
}

// listed reads the manifest that an index or a list of referrers has as d, and
// holds it to what is said there. An empty media type says nothing.
func listed(ctx context.Context, src Source, ref imageref.Reference, d Descriptor) (Manifest, error) {
	if d.Size > MaxManifestBytes {
		return Manifest{}, largeManifest(d.Size)
	}
	m, err := src.Manifest(ctx, ref)
	if err != nil {
		return Manifest{}, err
	}
	if m, err = named(m, d.Digest); err != nil {
		return Manifest{}, err
	}
	if m.Descriptor.Size != d.Size { // the size was what the byte limit counted
		return Manifest{}, malformedManifest(fmt.Sprintf("%d bytes, as listed", d.Size), fmt.Sprintf("%d", m.Descriptor.Size), nil)
	}
	if d.MediaType != "" && m.Descriptor.MediaType != d.MediaType {
		return Manifest{}, malformedManifest(fmt.Sprintf("%q, as listed", clip(d.MediaType)), fmt.Sprintf("%q", m.Descriptor.MediaType), nil)
	}
	return m, nil
}
