package rego_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/registry"
)

// world is a registry with images, and the engine that decides about them.
type world struct {
	registry *fixture.Registry
	engine   *engine.Engine

	signed, notation, unsigned, stranger, copied, uncovered string // references by tag
}

// newWorld has a policy for what lies below /acme: signed by one key, or by
// Notation.
func newWorld(t *testing.T) *world {
	t.Helper()
	r, err := fixture.NewRegistry(fixture.Options{Referrers: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	w := &world{registry: r}
	key, other := newKey(t), newKey(t)
	authority, err := fixture.NewAuthority(fixture.CertificateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Issue(fixture.CertificateOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Acme"}, CommonName: "release"}})
	if err != nil {
		t.Fatal(err)
	}
	push := func(name string) fixture.Image {
		t.Helper()
		image, err := r.PushImage(t.Context(), name, name)
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	sign := func(image fixture.Image, key fixture.Key, o fixture.CosignOptions) string {
		t.Helper()
		if _, err := r.SignCosign(t.Context(), image, key, o); err != nil {
			t.Fatal(err)
		}
		return image.Reference.String()
	}
	signed := push("acme/signed:v1")
	w.signed = sign(signed, key, fixture.CosignOptions{})
	w.unsigned = push("acme/unsigned:v1").Reference.String()
	w.stranger = sign(push("acme/stranger:v1"), other, fixture.CosignOptions{})
	w.copied = sign(push("acme/copied:v1"), key, fixture.CosignOptions{Digest: signed.Digest})
	w.uncovered = sign(push("elsewhere/signed:v1"), key, fixture.CosignOptions{})
	byNotation := push("acme/notation:v1")
	if _, err := r.SignNotation(t.Context(), byNotation, leaf, fixture.NotationOptions{}); err != nil {
		t.Fatal(err)
	}
	w.notation = byNotation.Reference.String()
	w.engine = newEngine(t, r, fmt.Sprintf(`apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: release}
spec:
  images: ["%s/acme/**"]
  signers:
  - name: release
    sigstore: {key: {pem: %q}, transparencyLog: Ignored}
  - name: corp
    notation:
      trustStores: [{type: ca, certificates: {pem: %q}}]
      trustedIdentities: ["x509.subject: C=US, ST=WA, O=Acme"]
  require:
  - signature: {anyOf: [release, corp]}
`, r.Host(), key.PublicPEM, authority.PEM()))
	return w
}

func newKey(t *testing.T) fixture.Key {
	t.Helper()
	key, err := fixture.NewKey(fixture.P256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEngine(t *testing.T, r *fixture.Registry, policies string) *engine.Engine {
	t.Helper()
	documents, err := dialect.Parse("policy.yaml", []byte(policies))
	if err != nil {
		t.Fatal(err)
	}
	loader := dialect.Loader{Dialects: []dialect.Dialect{native.New(policyset.NewSigners(nil), native.Options{})}}
	loaded, _, err := loader.Load(documents)
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(registry.Options{Clock: time.Now, InsecureHosts: []string{r.Host()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	e, err := engine.New(client, engine.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	e.Swap(engine.NewSnapshot(loaded))
	return e
}

// hang decides nothing until its context ends, and later still.
func hang(release <-chan struct{}) func(context.Context, engine.Request) engine.Decision {
	return func(context.Context, engine.Request) engine.Decision {
		<-release
		return engine.Decision{}
	}
}

// unloaded is an engine before its first policies.
func unloaded(t *testing.T) *engine.Engine {
	t.Helper()
	client, err := registry.New(registry.Options{Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	e, err := engine.New(client, engine.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func nilPool() *x509.CertPool { return nil }
