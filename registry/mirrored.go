package registry

import (
	"context"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// mirrorTimeout bounds what a mirror may take of the caller's time before the
// next place is asked. A webhook's deadline holds it twice and the registry's
// own answer.
const mirrorTimeout = 3 * time.Second

// mirrored reads a repository from its mirrors, and from the registry itself
// what none of them has. Content by digest is what the digest says wherever it
// comes from. What a tag means and which evidence there is, a mirror is asked
// for only if the operator says so, and an empty list of its is no answer. The
// repository's name stays the registry's: policies and signatures are matched
// with that alone.
type mirrored struct {
	registry *source
	mirrors  []placed
}

type placed struct {
	*source
	tags bool
}

// mirroredSource returns the source and its identity. A mirror whose credentials
// cannot be had is passed over, as one that does not answer is.
func (c *Client) mirroredSource(ctx context.Context, puller evidence.Puller, upstream *source, mirrors []mirror) (evidence.Source, string) {
	s := &mirrored{registry: upstream}
	identity := []string{"mirrored", upstream.identity}
	for _, m := range mirrors {
		at, err := m.repository(upstream.repository)
		if err != nil {
			continue // too long a name there
		}
		found, err := c.credentialsFor(ctx, puller, at)
		if err != nil {
			continue
		}
		place := placed{source: c.newSource(at, found), tags: m.tags}
		s.mirrors = append(s.mirrors, place)
		identity = append(identity, at.String(), place.identity)
		if m.tags {
			identity = append(identity, "tags")
		}
	}
	if len(s.mirrors) == 0 {
		return upstream, upstream.identity
	}
	return s, hashOf(identity...)
}

// Manifest implements [evidence.Source].
func (s *mirrored) Manifest(ctx context.Context, ref imageref.Reference) (evidence.Manifest, error) {
	if ref.Repository() != s.registry.repository {
		return s.registry.Manifest(ctx, ref) // which refuses it
	}
	for _, m := range s.mirrors {
		at, err := movedTo(m.repository, ref)
		if err != nil || ref.Digest().IsZero() && !m.tags {
			continue
		}
		if found, err := inPart(ctx, func(ctx context.Context) (evidence.Manifest, error) { return m.Manifest(ctx, at) }); err == nil {
			return found, nil
		}
	}
	return s.registry.Manifest(ctx, ref)
}

func movedTo(r imageref.Repository, ref imageref.Reference) (imageref.Reference, error) {
	if !ref.Digest().IsZero() {
		return r.WithDigest(ref.Digest()), nil
	}
	return r.WithTag(ref.Tag())
}

// Blob implements [evidence.Source].
func (s *mirrored) Blob(ctx context.Context, repository imageref.Repository, d evidence.Descriptor, limit int64) ([]byte, error) {
	if repository != s.registry.repository {
		return s.registry.Blob(ctx, repository, d, limit)
	}
	for _, m := range s.mirrors {
		found, err := inPart(ctx, func(ctx context.Context) ([]byte, error) { return m.Blob(ctx, m.repository, d, limit) })
		if err == nil {
			return found, nil
		}
	}
	return s.registry.Blob(ctx, repository, d, limit)
}

// Referrers implements [evidence.Source].
func (s *mirrored) Referrers(ctx context.Context, repository imageref.Repository, digest imageref.Digest) (evidence.Referrers, error) {
	if repository != s.registry.repository {
		return s.registry.Referrers(ctx, repository, digest)
	}
	for _, m := range s.mirrors {
		if !m.tags {
			continue
		}
		found, err := inPart(ctx, func(ctx context.Context) (evidence.Referrers, error) { return m.Referrers(ctx, m.repository, digest) })
		if err == nil && found.Supported && len(found.Descriptors) > 0 {
			return found, nil
		}
	}
	return s.registry.Referrers(ctx, repository, digest)
}

// inPart gives a mirror its part of the caller's time.
func inPart[V any](ctx context.Context, read func(context.Context) (V, error)) (V, error) {
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	return read(ctx)
}

// OperatorCredentials is as that of a registry alone. What a mirror gives to
// everybody, the registry may not: a mirror counts as the operator's until it
// has accepted a credential of the puller's own (TRUST R36).
func (s *mirrored) OperatorCredentials() bool {
	if s.registry.client.options.Workstation {
		return false
	}
	for _, m := range s.mirrors {
		i := m.settled.Load()
		if i == 0 || m.credentials[i-1].IsZero() || m.credentials[i-1].Operator {
			return true
		}
	}
	return s.registry.OperatorCredentials()
}
