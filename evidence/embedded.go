package evidence

import (
	"context"
	"slices"

	"github.com/bonafide-dev/bonafide/imageref"
)

// EmbeddedStatements is [Finder.EmbeddedStatements] with the default limits.
func EmbeddedStatements(ctx context.Context, src Source, index Image, child imageref.Digest) (Set, error) {
	return Finder{}.EmbeddedStatements(ctx, src, index, child)
}

// EmbeddedStatements returns what the index itself holds about one of its
// children, as BuildKit stores it: the bare in-toto statements of the attestation
// manifests that the index lists for the child (moby/buildkit
// docs/attestations/attestation-storage.md). They are Items of format [Embedded],
// in the index's order.
//
// index is the image whose manifest directly lists the child, as it was
// resolved; an index within another one is asked itself. Nobody signed the
// statements: every byte of them hangs on index's digest, so that they count only
// under a signature of exactly that digest (TRUST R31). The set's Image is the
// child as the index lists it, without its manifest.
//
// The limits are those of one discovery, and [MaxAttestationManifests]: where
// several looks share one decision's bytes, [Limits].DecisionBytes is what
// [Set.Read] of the others left, and at nothing left there is no look, as zero
// means the default. src reads index.Repository. A look-up or a layer that fails is a Problem of the Set, a cap
// that was reached shows in Cut (TRUST R5), and an index that holds nothing about
// the child gives an empty Set. The error, which wraps a [*Problem], means that
// index is no index of the child, or that the context ended before anything was
// found.
func (f Finder) EmbeddedStatements(ctx context.Context, src Source, index Image, child imageref.Digest) (Set, error) {
	entry, err := entryOf(index, child)
	if err != nil {
		return Set{}, err
	}
	l := newLook(f.Limits.withDefaults(), src, Set{Image: index}, Need{})
	l.embedded(ctx, child)
	l.image = Image{Reference: index.Repository.WithDigest(child), Repository: index.Repository, Manifest: Manifest{Descriptor: entry}}
	found := l.set()
	if err := ctx.Err(); err != nil && len(found.Items) == 0 {
		return Set{}, &Problem{Reason: contextReason(err), Path: "evidence", Err: err}
	}
	return found, nil
}

// entryOf returns how an index lists one of its children.
func entryOf(index Image, child imageref.Digest) (Descriptor, error) {
	// Everything that follows is as good as these bytes.
	if index.Digest().IsZero() || !index.Digest().Names(index.Manifest.Raw) {
		return Descriptor{}, &Problem{Reason: Internal, Path: "evidence", Expected: "an index with the bytes of its digest", Got: "none"}
	}
	children, err := Children(index.Manifest)
	if err != nil {
		return Descriptor{}, err
	}
	i := slices.IndexFunc(children, func(c Child) bool { return c.Digest == child })
	if i < 0 || child.IsZero() {
		return Descriptor{}, &Problem{Reason: Internal, Path: "evidence", Expected: "a child of the index " + index.Digest().String(), Got: "another digest"}
	}
	platform := children[i].Platform
	return Descriptor{MediaType: children[i].MediaType, Digest: child, Size: children[i].Size, Platform: &platform}, nil
}

// embedded reads the attestation manifests of a child, then their layers.
func (l *look) embedded(ctx context.Context, child imageref.Digest) {
	chosen := l.attestationsOf(child)
	manifests := make([]answer[Manifest], len(chosen))
	reads := newGroup()
	for i, d := range chosen {
		reads.run(func() {
			manifests[i] = answered(listed(ctx, l.src, l.image.Repository.WithDigest(d.Digest), d))
		})
	}
	l.wait(reads)

	var all []wanted
	for i, d := range chosen {
		all = append(all, l.statements(d, manifests[i], child)...)
	}
	reads = newGroup()
	all = l.fetch(ctx, reads, all, make(fetched))
	l.wait(reads)
	l.collect(all)
}

// attestationsOf returns the attestation manifests that the index lists for a
// child, within the limits. Those that are not to be read count too: an index has
// room for tens of thousands.
func (l *look) attestationsOf(child imageref.Digest) []Descriptor {
	var chosen []Descriptor
	seen := make(map[imageref.Digest]struct{})
	for _, d := range l.image.Manifest.Manifests {
		if !holdsStatements(d) {
			continue
		}
		about, err := imageref.ParseDigest(d.Annotations[annotationReferenceDigest])
		if err == nil && about != child {
			continue
		}
		if _, again := seen[d.Digest]; again {
			continue
		}
		if len(seen) == MaxAttestationManifests {
			l.cut = true
			break
		}
		seen[d.Digest] = struct{}{}
		switch {
		case err != nil: // it may be about this child
			l.trouble(attestationPath(d), malformedManifest("the digest of an image in "+annotationReferenceDigest, "", err))
		case d.Size > MaxManifestBytes:
			l.trouble(attestationPath(d), largeManifest(d.Size))
		case l.reserve(d.Size):
			chosen = append(chosen, d)
		}
	}
	return chosen
}

func attestationPath(d Descriptor) string { return "attestation manifest " + d.Digest.String() }

// statements returns the layers of an attestation manifest that are statements.
// What they are about is for whoever reads them: the manifest's own annotations
// are hints.
func (l *look) statements(d Descriptor, a answer[Manifest], child imageref.Digest) []wanted {
	path, m := attestationPath(d), a.value
	switch {
	case a.err != nil:
		l.trouble(path, a.err)
		return nil
	case m.Config == nil:
		l.trouble(path, malformedManifest("an image manifest", m.Descriptor.MediaType, nil))
		return nil
	case m.Subject != nil && m.Subject.Digest != child:
		l.trouble(path, &Problem{Reason: SubjectMismatch, Expected: "subject " + child.String(), Got: m.Subject.Digest.String()})
		return nil
	}
	return l.layersOf(path, m, Embedded)
}
