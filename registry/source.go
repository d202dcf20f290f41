package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// source reads one repository with one puller's credentials.
type source struct {
	client      *Client
	repository  imageref.Repository
	credentials []Credential // at least one, which may be anonymous
	identity    string
	settled     atomic.Int32 // 1 + the index of the credential that was accepted; 0 while none was
}

// Manifest implements [evidence.Source]: one GET, by digest or by tag. The
// digest is computed from the bytes; the registry's own word for it, the
// Docker-Content-Digest header, is not read.
func (s *source) Manifest(ctx context.Context, ref imageref.Reference) (evidence.Manifest, error) {
	name := ref.Tag()
	if !ref.Digest().IsZero() {
		name = ref.Digest().String()
	}
	q, err := s.query(KindManifest, ref.Repository(), "manifests", name)
	if err != nil {
		return evidence.Manifest{}, err
	}
	q.accept, q.limit = evidence.ManifestMediaTypes(), s.client.options.Limits.ManifestBytes
	a, err := s.get(ctx, q)
	if err != nil {
		return evidence.Manifest{}, err
	}
	return s.client.manifest(q, a, ref.Digest())
}

// manifest checks and parses what a registry calls a manifest.
func (c *Client) manifest(q query, a answer, asked imageref.Digest) (evidence.Manifest, error) {
	if encoding := a.header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return evidence.Manifest{}, c.locate(q, &evidence.Problem{
			Reason: evidence.RegistryProtocol, Expected: "no Content-Encoding, as none was asked for", Got: strconv.Quote(clip(encoding)),
		})
	}
	if !asked.IsZero() && !asked.Names(a.body) {
		return evidence.Manifest{}, c.locate(q, &evidence.Problem{
			Reason: evidence.DigestMismatch, Expected: asked.String(), Got: imageref.DigestOf(a.body).String(),
		})
	}
	m, err := evidence.ParseManifest(a.body, a.header.Get("Content-Type"))
	if err != nil {
		return evidence.Manifest{}, c.locate(q, err)
	}
	if !asked.IsZero() {
		m.Descriptor.Digest = asked
	}
	return m, nil
}

// Blob implements [evidence.Source]. Storage behind the registry may answer,
// without credentials; the digest decides.
func (s *source) Blob(ctx context.Context, repository imageref.Repository, d evidence.Descriptor, limit int64) ([]byte, error) {
	if d.Digest.IsZero() || d.Size < 0 {
		return nil, &evidence.Problem{Reason: evidence.MalformedManifest, Host: repository.Host(), Expected: "a descriptor with digest and size", Got: "another"}
	}
	q, err := s.query(KindBlob, repository, "blobs", d.Digest.String())
	if err != nil {
		return nil, err
	}
	if d.Size > limit {
		return nil, s.client.locate(q, &evidence.Problem{Reason: evidence.LimitExceeded, Expected: fmt.Sprintf("at most %d bytes", limit), Got: strconv.FormatInt(d.Size, 10)})
	}
	q.limit = limit
	if d.Size > 0 {
		q.limit = d.Size
	}
	a, err := s.get(ctx, q)
	if err != nil {
		return nil, err
	}
	if !d.Digest.Names(a.body) {
		return nil, s.client.locate(q, &evidence.Problem{Reason: evidence.DigestMismatch, Expected: d.Digest.String(), Got: imageref.DigestOf(a.body).String()})
	}
	return a.body, nil
}

// query builds the URL. Every part of it is of a checked type (TRUST R2).
func (s *source) query(kind Kind, repository imageref.Repository, what, name string) (query, error) {
	if repository != s.repository {
		return query{}, &evidence.Problem{Reason: evidence.Internal, Expected: "repository " + s.repository.String() + ", whose credentials these are", Got: repository.String()}
	}
	return query{kind: kind, repository: repository, url: registryURL(repository, what, name)}, nil
}

func registryURL(r imageref.Repository, what, name string) *url.URL {
	host := r.Host()
	if host == "docker.io" {
		host = "registry-1.docker.io" // where Docker Hub answers as a registry
	}
	return &url.URL{Scheme: "https", Host: host, Path: "/v2/" + r.Path() + "/" + what + "/" + name}
}

// get asks with the credential that was accepted before, or with one after the
// other until one is, as kubelet does. Registries answer 404 as well as 401 or
// 403 to those who may not see a repository.
func (s *source) get(ctx context.Context, q query) (answer, error) {
	if i := s.settled.Load(); i > 0 {
		q.credential = s.credentials[i-1]
		return s.client.get(ctx, q)
	}
	var first error
	for i, credential := range s.credentials {
		q.credential = credential
		a, err := s.client.get(ctx, q)
		if err == nil {
			s.settled.CompareAndSwap(0, int32(i)+1)
			return a, nil
		}
		if first == nil || statusOf(first) == http.StatusNotFound {
			first = err
		}
		if status := statusOf(err); status != http.StatusUnauthorized && status != http.StatusForbidden && status != http.StatusNotFound {
			return answer{}, err
		}
	}
	return answer{}, first
}

// OperatorCredentials reports whether what the source reads may be more than the
// puller could read (TRUST R36): some of the credentials are the operator's, and
// the registry has not accepted one of the puller's own yet. It is false for a
// workstation, whose person is the operator.
func (s *source) OperatorCredentials() bool {
	if s.client.options.Workstation {
		return false
	}
	if i := s.settled.Load(); i > 0 {
		return s.credentials[i-1].Operator && !s.credentials[i-1].IsZero()
	}
	return slices.ContainsFunc(s.credentials, func(c Credential) bool { return c.Operator && !c.IsZero() })
}

// isStatus reports whether the registry itself answered err with one of the
// statuses.
func isStatus(err error, statuses ...int) bool {
	var e *statusError
	if !errors.As(err, &e) {
		return false
	}
	for _, s := range statuses {
		if e.status == s {
			return true
		}
	}
	return false
}
