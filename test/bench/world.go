package main

import (
	"context"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/dialect/nirmata"
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
	workflow workflow
	policy   string
}

func newWorld(o fixture.Options) (*world, error) {
	r, err := fixture.NewRegistry(o)
	if err != nil {
		return nil, err
	}
	w := &world{registry: r, workflow: newWorkflow()}
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
  images: ["%[1]s/**"]
  exclude: ["%[1]s/keyless/**"]
  signers:
  - name: release
    sigstore: {key: {pem: %[2]q}, transparencyLog: Ignored}
  - name: corp
    notation:
      trustStores: [{type: ca, certificates: {pem: %[3]q}}]
      trustedIdentities: ["x509.subject: C=US, ST=WA, O=Acme"]
  require:
  - signature: {anyOf: [release, corp]}
---
apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: stated}
spec:
  images: ["%[1]s/stated/**"]
  signers:
  - name: release
    sigstore: {key: {pem: %[2]q}, transparencyLog: Ignored}
  require:
  - attestation:
      type: slsaprovenance
      signedBy: {anyOf: [release]}
      conditions: [{cel: "provenance.builder(predicate) == 'https://tekton.dev/chains/v2'"}]
  - attestation: {type: spdxjson, signedBy: {anyOf: [release]}, quantifier: Every, conditions: [{cel: "sbom.packages(predicate).size() > 0"}]}
---
apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: attached}
spec:
  images: ["%[1]s/attached/**"]
  signers:
  - name: corp
    notation:
      trustStores: [{type: ca, certificates: {pem: %[3]q}}]
      trustedIdentities: ["x509.subject: C=US, ST=WA, O=Acme"]
  require:
  - artifact: {type: application/spdx+json, signedBy: {anyOf: [corp]}, quantifier: Every, conditions: [{cel: "sbom.packages(predicate).size() > 0"}]}
---
apiVersion: notation.nirmata.io/v1alpha1
kind: TrustStore
metadata: {name: corp}
spec: {trustStoreName: corp, type: ca, caBundle: %[3]q}
---
apiVersion: notation.nirmata.io/v1alpha1
kind: TrustPolicy
metadata: {name: tp}
spec:
  version: "1.0"
  trustPolicyName: tp
  trustPolicies:
  - {name: all, registryScopes: ["*"], signatureVerification: {level: strict}, trustStores: ["ca:corp"], trustedIdentities: ["*"]}
`, r.Host(), w.key.PublicPEM, authority.PEM()) + w.workflow.policy(r.Host())
	return w, nil
}

// kinds are the ways an image can be signed, and the reference it is asked by.
var kinds = []string{"cosign by tag", "cosign by digest", "bundle", "keyless", "notation", "unsigned", "signature, 2 statements", "signed SBOM"}

// repository is where images of a kind are: it chooses the policies.
func repository(kind string) string {
	switch kind {
	case "signature, 2 statements":
		return "stated/app"
	case "keyless":
		return "keyless/app"
	case "signed SBOM":
		return "attached/app"
	}
	return "acme/app"
}

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
	case kind == "keyless":
		err = w.workflow.sign(ctx, w.registry, image)
	case kind == "notation":
		_, err = w.registry.SignNotation(ctx, image, w.leaf, fixture.NotationOptions{})
	case kind == "signature, 2 statements": // beside a signature
		err = w.state(ctx, image)
	case kind == "signed SBOM":
		err = w.attach(ctx, image)
	}
	if kind == "cosign by digest" {
		return image.Pinned().String(), err
	}
	return image.Reference.String(), err
}

func (w *world) state(ctx context.Context, image fixture.Image) error {
	if _, err := w.registry.SignCosign(ctx, image, w.key, fixture.CosignOptions{}); err != nil {
		return err
	}
	for _, o := range []fixture.AttestationOptions{fixture.TektonChains(), {PredicateType: fixture.PredicateTypeSPDX, Predicate: fixture.SPDX()}} {
		if _, err := w.registry.SignAttestation(ctx, image, w.key, o); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) attach(ctx context.Context, image fixture.Image) error {
	sbom, err := w.registry.PushArtifact(ctx, image, "application/spdx+json", "application/spdx+json", fixture.SPDX())
	if err != nil {
		return err
	}
	for _, signed := range []fixture.Image{image, sbom} {
		if _, err := w.registry.SignNotation(ctx, signed, w.leaf, fixture.NotationOptions{}); err != nil {
			return err
		}
	}
	return nil
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
	signers := policyset.NewSigners(nil)
	loader := dialect.Loader{Dialects: []dialect.Dialect{native.New(signers, native.Options{}), nirmata.New(signers, nirmata.Options{})}}
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
