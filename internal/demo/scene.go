package demo

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// scene is one image and what must become of it.
type scene struct {
	image   string // repository and tag, without the host
	allowed bool
	reason  string // a word of the message of a refusal
}

// stage is the registry with its images, and the policy.
type stage struct {
	registry *fixture.Registry
	now      func() time.Time
	scenes   []scene
	policy   []byte
}

const policyTemplate = `apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata:
  name: release
spec:
  images: ["{{.Host}}/acme/**"]
  signers:
  - name: release-key
    sigstore:
      key:
        pem: |
{{.Key}}
      transparencyLog: Ignored
  - name: acme-corp
    notation:
      trustStores:
      - type: ca
        certificates:
          pem: |
{{.Authority}}
      trustedIdentities: ["x509.subject: C=US, ST=WA, O=Acme"]
  require:
  - signature: {anyOf: [release-key, acme-corp]}
`

// prepare fills a registry: one image for each way to be signed, and for each
// way to pretend.
func prepare(ctx context.Context, now func() time.Time) (*stage, error) {
	r, err := fixture.NewRegistry(fixture.Options{Referrers: true})
	if err != nil {
		return nil, err
	}
	s := &stage{registry: r, now: now}
	if err := s.fill(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("prepare the registry: %w", err)
	}
	return s, nil
}

// signing is what a scene does to its image.
type signing func(ctx context.Context, image fixture.Image) error

func (s *stage) fill(ctx context.Context) error {
	release, err := fixture.NewKey(fixture.P256)
	if err != nil {
		return err
	}
	stranger, err := fixture.NewKey(fixture.P256)
	if err != nil {
		return err
	}
	authority, err := fixture.NewAuthority(fixture.CertificateOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Acme"}, CommonName: "Acme CA"}})
	if err != nil {
		return err
	}
	leaf, err := authority.Issue(fixture.CertificateOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Acme"}, CommonName: "release"}})
	if err != nil {
		return err
	}
	cosign := func(key fixture.Key) signing {
		return func(ctx context.Context, image fixture.Image) error {
			_, err := s.registry.SignCosign(ctx, image, key, fixture.CosignOptions{})
			return err
		}
	}
	acts := []struct {
		scene
		sign signing
	}{
		{scene{"acme/app:cosign", true, ""}, cosign(release)},
		{scene{"acme/app:bundle", true, ""}, func(ctx context.Context, image fixture.Image) error {
			_, err := s.registry.SignBundle(ctx, image, release, fixture.BundleOptions{})
			return err
		}},
		{scene{"acme/app:notation", true, ""}, func(ctx context.Context, image fixture.Image) error {
			_, err := s.registry.SignNotation(ctx, image, leaf, fixture.NotationOptions{})
			return err
		}},
		{scene{"acme/app:unsigned", false, "no signature"}, nil},
		{scene{"acme/app:stranger", false, "key"}, cosign(stranger)},
		{scene{"acme/app:copied", false, "sha256:"}, func(ctx context.Context, image fixture.Image) error {
			genuine, err := s.registry.PushImage(ctx, "acme/app:genuine", "genuine")
			if err != nil {
				return err
			}
			if err := cosign(release)(ctx, genuine); err != nil {
				return err
			}
			return s.registry.CopySignatures(ctx, genuine, image)
		}},
		{scene{"acme/app:moved", false, "no signature"}, func(ctx context.Context, image fixture.Image) error {
			if err := cosign(release)(ctx, image); err != nil {
				return err
			}
			_, err := s.registry.PushImage(ctx, "acme/app:moved", "what the tag names now")
			return err
		}},
	}
	for _, act := range acts {
		image, err := s.registry.PushImage(ctx, act.image, act.image)
		if err != nil {
			return err
		}
		if act.sign != nil {
			if err := act.sign(ctx, image); err != nil {
				return fmt.Errorf("%s: %w", act.image, err)
			}
		}
		s.scenes = append(s.scenes, act.scene)
	}
	return s.write(release.PublicPEM, authority.PEM())
}

func (s *stage) write(key, authority []byte) error {
	var b bytes.Buffer
	err := template.Must(template.New("policy").Parse(policyTemplate)).Execute(&b, map[string]string{
		"Host": s.registry.Host(), "Key": indent(key, 10), "Authority": indent(authority, 12),
	})
	s.policy = b.Bytes()
	return err
}

func indent(pem []byte, by int) string {
	pad := strings.Repeat(" ", by)
	return pad + strings.ReplaceAll(strings.TrimSpace(string(pem)), "\n", "\n"+pad)
}

// timeout bounds one review, as a webhook configuration does.
const timeout = 10 * time.Second
