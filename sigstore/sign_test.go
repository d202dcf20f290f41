package sigstore_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// ignored asks for a key alone.
var ignored = sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored}}

// subject is an image of which only the name and the manifest matter.
func subject(tb testing.TB, name, content string) fixture.Image {
	tb.Helper()
	digest := imageref.DigestOf([]byte(content)).String()
	raw := []byte(`{"schemaVersion":2,"mediaType":"` + evidence.MediaTypeImage + `","config":{"mediaType":"a/b","digest":"` + digest + `","size":2},"layers":[]}`)
	ref, err := imageref.Parse(name)
	if err != nil {
		tb.Fatal(err)
	}
	return fixture.Image{Reference: ref, Digest: imageref.DigestOf(raw), MediaType: evidence.MediaTypeImage, Size: int64(len(raw)), Raw: raw}
}

func app(tb testing.TB) fixture.Image { return subject(tb, "registry.test/acme/app:v1", "app") }

func found(tb testing.TB, i fixture.Image) evidence.Image {
	tb.Helper()
	m, err := evidence.ParseManifest(i.Raw, i.MediaType)
	if err != nil {
		tb.Fatal(err)
	}
	return evidence.Image{Reference: i.Reference, Repository: i.Reference.Repository(), Manifest: m}
}

func newKey(tb testing.TB, kind fixture.KeyKind) fixture.Key {
	tb.Helper()
	k, err := fixture.NewKey(kind)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func signer(tb testing.TB, k fixture.Key, o sigstore.KeyOptions) *sigstore.Signer {
	tb.Helper()
	s, err := sigstore.NewKey(k.PublicPEM, o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// simple signs as cosign does and returns the layer as discovery would.
func simple(tb testing.TB, i fixture.Image, k fixture.Key, o fixture.CosignOptions) evidence.Item {
	tb.Helper()
	r, err := fixture.NewRegistry(fixture.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	pushed := i
	if pushed.Reference, err = r.Reference("acme/app:v1"); err != nil {
		tb.Fatal(err)
	}
	if o.Reference == "" {
		o.Reference = i.Reference.Repository().String()
	}
	if _, err := r.SignCosign(tb.Context(), pushed, k, o); err != nil {
		tb.Fatal(err)
	}
	tag, err := pushed.Reference.Repository().WithTag(fixture.SignatureTag(i.Digest))
	if err != nil {
		tb.Fatal(err)
	}
	raw, mediaType, err := r.Manifest(tb.Context(), tag)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := evidence.ParseManifest(raw, mediaType)
	if err != nil {
		tb.Fatal(err)
	}
	payload, err := r.Blob(tb.Context(), tag.Repository(), m.Layers[0].Digest)
	if err != nil {
		tb.Fatal(err)
	}
	return evidence.Item{
		Format: evidence.SimpleSigning, Manifest: m.Descriptor.Digest, MediaType: m.Layers[0].MediaType,
		Payload: payload, Annotations: m.Layers[0].Annotations,
	}
}

// bundled signs as cosign does since version 3.
func bundled(tb testing.TB, i fixture.Image, k fixture.Key, o fixture.BundleOptions) evidence.Item {
	tb.Helper()
	raw, err := fixture.NewBundle(i, k, o)
	if err != nil {
		tb.Fatal(err)
	}
	return evidence.Item{
		Format: evidence.Bundle, Manifest: imageref.DigestOf([]byte("manifest")), MediaType: fixture.MediaTypeBundle, Payload: raw, Subject: i.Digest,
	}
}

func trustedRoot(tb testing.TB, raw []byte) *sigstore.TrustedRoot {
	tb.Helper()
	r, err := sigstore.NewTrustedRoot(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func required(tb testing.TB, s *testca.Sigstore) sigstore.KeyOptions {
	tb.Helper()
	return sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trustedRoot(tb, s.TrustedRoot())}}
}

// rootWith writes a trusted root with logs and, unless it is nil, the timestamp
// authority of another Sigstore.
func rootWith(tb testing.TB, logs map[string]*root.TransparencyLog, stamps *ca.VirtualSigstore) *sigstore.TrustedRoot {
	tb.Helper()
	var authorities []root.TimestampingAuthority
	if stamps != nil {
		authorities = stamps.TimestampingAuthorities()
	}
	r, err := root.NewTrustedRoot(root.TrustedRootMediaType01, nil, nil, authorities, logs)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := json.Marshal(r)
	if err != nil {
		tb.Fatal(err)
	}
	return trustedRoot(tb, raw)
}

func authority(tb testing.TB) *ca.VirtualSigstore {
	tb.Helper()
	v, err := ca.NewVirtualSigstore()
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// result is a proof or a problem.
type result struct {
	proof   policy.Proof
	problem *evidence.Problem
}

// want is what comes of a verification: a proof if reason is "".
func want(tb testing.TB, s *sigstore.Signer, i fixture.Image, item evidence.Item, reason evidence.Reason) result {
	tb.Helper()
	proof, err := s.Verify(tb.Context(), found(tb, i), item)
	if reason == "" {
		if err != nil {
			tb.Fatalf("want a proof, got %v", err)
		}
		return result{proof: proof}
	}
	var p *evidence.Problem
	if !errors.As(err, &p) {
		tb.Fatalf("want a problem with reason %s, got %v", reason, err)
	}
	if p.Reason != reason {
		tb.Fatalf("want reason %s, got %s: %v", reason, p.Reason, err)
	}
	if p.Path == "" || (p.Expected == "" && p.Err == nil) {
		tb.Errorf("want a problem that says where and what, got %q", p.Error())
	}
	if proof.Identity != "" {
		tb.Errorf("want no proof beside a problem, got %v", proof)
	}
	return result{problem: p}
}
