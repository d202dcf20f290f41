package main

import (
	"context"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
	"github.com/bonafide-dev/bonafide/workload"
)

// world is a registry with signed images, and the policy for them.
type world struct {
	registry *fixture.Registry
	key      fixture.Key
	leaf     fixture.Leaf
	policy   string
}

func newWorld(o fixture.Options) (*world, error) {
	r, err := fixture.NewRegistry(o)
	if err != nil {
		return nil, err
	}
	w := &world{registry: r}
	if w.key, err = fixture.NewKey(fixture.P256); err != nil {
		return nil, err
	}
	authority, err := fixture.NewAuthority(fixture.CertificateOptions{})
	if err != nil {
		return nil, err
	}
	subject := pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Acme"}, CommonName: "release"}
	if w.leaf, err = authority.Issue(fixture.CertificateOptions{Subject: subject}); err != nil {
		return nil, err
	}
	w.policy = fmt.Sprintf(`apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: release}
spec:
  images: ["%s/**"]
  signers:
  - name: release
    sigstore: {key: {pem: %q}, transparencyLog: Ignored}
  - name: corp
    notation:
      trustStores: [{type: ca, certificates: {pem: %q}}]
      trustedIdentities: ["x509.subject: C=US, ST=WA, O=Acme"]
  require:
  - signature: {anyOf: [release, corp]}
`, r.Host(), w.key.PublicPEM, authority.PEM())
	return w, nil
}

// kinds are the ways an image can be signed, and the reference it is asked by.
var kinds = []string{"cosign by tag", "cosign by digest", "bundle", "notation", "unsigned"}

// image pushes and signs an image of a kind and returns its reference.
func (w *world) image(ctx context.Context, kind, name string) (string, error) {
	image, err := w.registry.PushImage(ctx, name, name)
	if err != nil {
		return "", err
	}
	switch {
	case strings.HasPrefix(kind, "cosign"):
		_, err = w.registry.SignCosign(ctx, image, w.key, fixture.CosignOptions{})
	case kind == "bundle":
		_, err = w.registry.SignBundle(ctx, image, w.key, fixture.BundleOptions{})
	case kind == "notation":
		_, err = w.registry.SignNotation(ctx, image, w.leaf, fixture.NotationOptions{})
	}
	if kind == "cosign by digest" {
		return image.Pinned().String(), err
	}
	return image.Reference.String(), err
}

// counter counts verifications.
type counter struct{ verified chan struct{} }

func (counter) CacheLooked(string, bool)  {}
func (c counter) Verified(policy.Outcome) { c.verified <- struct{}{} }

// engine returns a new engine and registry client: cold.
func (w *world) engine(o engine.Observer) (*engine.Engine, error) {
	documents, err := dialect.Parse("policy.yaml", []byte(w.policy))
	if err != nil {
		return nil, err
	}
	loader := dialect.Loader{Dialects: []dialect.Dialect{native.New(policyset.NewSigners(nil), native.Options{})}}
	policies, _, err := loader.Load(documents)
	if err != nil {
		return nil, err
	}
	client, err := registry.New(registry.Options{Clock: time.Now, InsecureHosts: []string{w.registry.Host()}})
	if err != nil {
		return nil, err
	}
	e, err := engine.New(client, engine.Options{Now: time.Now, Observer: o})
	if err != nil {
		return nil, err
	}
	e.Swap(engine.NewSnapshot(policies))
	return e, nil
}

func request(ref string) engine.Request {
	return engine.Request{
		Request: policy.Request{Kind: "Pod", Namespace: policy.Namespace{State: policy.NamespaceKnown, Name: "shop"}},
		Images:  []workload.Image{{Ref: ref}},
		CanPin:  true,
	}
}

// wants is the outcome that a kind must have.
func wants(kind string) policy.Outcome {
	if kind == "unsigned" {
		return policy.Denied
	}
	return policy.Allowed
}
