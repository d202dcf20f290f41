package registry

import (
	"context"
	"fmt"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Manifest implements [evidence.Source].
func (l *Layout) Manifest(ctx context.Context, ref imageref.Reference) (evidence.Manifest, error) {
	if err := l.check(ctx, ref.Repository()); err != nil {
		return evidence.Manifest{}, err
	}
	digest := ref.Digest()
	if digest.IsZero() {
		var err error
		if digest, err = l.named(ref.Tag()); err != nil {
			return evidence.Manifest{}, err
		}
	}
	raw, err := l.blob(digest, DefaultManifestBytes)
	if err != nil {
		return evidence.Manifest{}, err
	}
	m, err := evidence.ParseManifest(raw, "")
	if err != nil {
		return evidence.Manifest{}, at(digest.String(), err)
	}
	m.Descriptor.Digest = digest
	return m, nil
}

// Blob implements [evidence.Source].
func (l *Layout) Blob(ctx context.Context, repository imageref.Repository, d evidence.Descriptor, limit int64) ([]byte, error) {
	if err := l.check(ctx, repository); err != nil {
		return nil, err
	}
	if d.Digest.IsZero() || d.Size < 0 {
		return nil, &evidence.Problem{Reason: evidence.MalformedManifest, Expected: "a descriptor with digest and size", Got: "another"}
	}
	if d.Size > 0 {
		limit = min(limit, d.Size)
	}
	return l.blob(d.Digest, limit)
}

// Referrers implements [evidence.Source]: the members of the layout, at any
// depth, whose manifest names the digest as its subject. The descriptors are
// computed from their bytes.
func (l *Layout) Referrers(ctx context.Context, repository imageref.Repository, digest imageref.Digest) (evidence.Referrers, error) {
	if err := l.check(ctx, repository); err != nil {
		return evidence.Referrers{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.referrers == nil {
		s := scan{layout: l, found: map[imageref.Digest][]evidence.Descriptor{}, seen: map[imageref.Digest]struct{}{}}
		if err := s.index(ctx, l.index, 0); err != nil {
			return evidence.Referrers{}, err
		}
		l.referrers = s.found
	}
	all := l.referrers[digest]
	cut := len(all) > DefaultReferrers
	if cut {
		all = all[:DefaultReferrers]
	}
	return evidence.Referrers{Descriptors: all[:len(all):len(all)], Supported: true, Cut: cut}, nil
}

// check refuses what is not about this layout, and callers that have gone.
func (l *Layout) check(ctx context.Context, repository imageref.Repository) error {
	if err := ctx.Err(); err != nil {
		return contextProblem(err)
	}
	if repository != l.repository {
		return &evidence.Problem{Reason: evidence.Internal, Expected: "repository " + l.repository.String(), Got: repository.String()}
	}
	return nil
}

// blob reads content by digest and checks it (image-layout.md, "Blobs").
func (l *Layout) blob(d imageref.Digest, limit int64) ([]byte, error) {
	data, err := l.read("blobs/"+d.Algorithm()+"/"+d.Hex(), limit)
	if err != nil {
		return nil, err
	}
	if !d.Names(data) {
		return nil, &evidence.Problem{Reason: evidence.DigestMismatch, Expected: d.String(), Got: imageref.DigestOf(data).String()}
	}
	return data, nil
}

// scan reads the manifests of a layout once, to learn their subjects.
type scan struct {
	layout *Layout
	found  map[imageref.Digest][]evidence.Descriptor
	seen   map[imageref.Digest]struct{}
}

func (s *scan) index(ctx context.Context, index evidence.Manifest, depth int) error {
	for _, d := range index.Manifests {
		if err := s.member(ctx, d, depth); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) member(ctx context.Context, d evidence.Descriptor, depth int) error {
	if _, again := s.seen[d.Digest]; again {
		return nil
	}
	s.seen[d.Digest] = struct{}{}
	if len(s.seen) > maxLayoutManifests || depth > maxLayoutDepth {
		return &evidence.Problem{
			Reason: evidence.LimitExceeded, Path: "index.json",
			Expected: fmt.Sprintf("at most %d manifests, %d levels deep", maxLayoutManifests, maxLayoutDepth), Got: "more",
		}
	}
	m, err := s.layout.Manifest(ctx, s.layout.repository.WithDigest(d.Digest))
	if evidence.ProblemOf(err) != nil && evidence.ProblemOf(err).Reason == evidence.ImageNotFound && depth > 0 {
		return nil // a platform that was not copied into the layout
	}
	if err != nil {
		return err
	}
	if m.Subject != nil {
		described := m.Descriptor
		described.Annotations = m.Annotations
		s.found[m.Subject.Digest] = append(s.found[m.Subject.Digest], described)
	}
	return s.index(ctx, m, depth+1)
}

// companionOf splits a tag of the form "<algorithm>-<hex><suffix>", which names
// something about the digest: cosign's tags, and the referrers tag
// (distribution-spec, "Referrers Tag Schema"), whose suffix is empty.
func companionOf(tag string) (of imageref.Digest, suffix string, found bool) {
	algorithm, rest, found := strings.Cut(tag, "-")
	if !found {
		return imageref.Digest{}, "", false
	}
	hex, suffix, dotted := strings.Cut(rest, ".")
	of, err := imageref.ParseDigest(algorithm + ":" + hex)
	if err != nil {
		return imageref.Digest{}, "", false
	}
	if dotted {
		suffix = "." + suffix
	}
	return of, suffix, true
}
