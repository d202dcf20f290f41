package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

// outside lends the virtual Sigstore what it wants of a test.
type outside struct{ testing.TB }

// Helper does nothing: nobody reads lines of tests.
func (outside) Helper() {}

// Fatal ends the program: there is nothing to measure.
func (outside) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// workflow is a private Sigstore and a certificate of its authority.
type workflow struct {
	sigstore    *testca.Sigstore
	certificate testca.Certificate
}

func newWorkflow() workflow {
	s := testca.New(outside{}, testca.Options{Whole: true})
	return workflow{sigstore: s, certificate: s.Issue(outside{}, testca.CertificateOptions{})}
}

// policy is that of the images that the workflow signs.
func (k workflow) policy(host string) string {
	return fmt.Sprintf(`---
apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: keyless}
spec:
  images: [%[1]q]
  signers:
  - name: ci
    sigstore:
      keyless: {issuer: %[2]q, subject: %[3]q}
      trustedRoot: {json: %[4]q}
  require:
  - signature: {anyOf: [ci]}
`, host+"/keyless/**", testca.DefaultIssuer, testca.DefaultSubject, k.sigstore.TrustedRoot())
}

func (k workflow) sign(ctx context.Context, r *fixture.Registry, image fixture.Image) error {
	_, err := r.SignBundle(ctx, image, k.certificate.Key, k.certificate.Bundle(fixture.BundleOptions{LogEntries: k.sigstore.LogEntries()}))
	return err
}
