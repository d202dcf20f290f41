package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bonafide-dev/bonafide/examples"
	"github.com/bonafide-dev/bonafide/internal/fixture"
)

const nativePolicy = `apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata:
  name: release
spec:
  images: ["%s/acme/**"]
  signers:
  - name: release-key
    sigstore:
      key:
        pem: %q
      transparencyLog: Ignored
  - name: example-corp
    notation:
      trustStores:
      - type: ca
        certificates:
          pem: %q
      trustedIdentities: ["x509.subject: C=US, ST=WA, O=Example"]
  require:
  - signature: {anyOf: [release-key, example-corp]}
`

// atAdmission adds an image of the stage's registry at the admission doors.
func (s *stage) atAdmission(namespace, image string, allowed bool, reason string) {
	s.scenes = append(s.scenes, scene{
		label: strings.TrimPrefix(image, "acme/"), allowed: allowed, reason: reason,
		ask: func(ctx context.Context, d *door) (heard, error) {
			return d.admission(ctx, namespace, s.registry.Host()+"/"+image)
		},
	})
}

// in tells scenes of two namespaces apart.
func (s *stage) in(namespace, image string, allowed bool, reason string) {
	s.atAdmission(namespace, image, allowed, reason)
	s.scenes[len(s.scenes)-1].label = namespace + ": " + image
}

// admission has one image for each way to be signed, and for each way to
// pretend.
func admission(ctx context.Context, s *stage, a actors) error {
	copied := func(ctx context.Context, image fixture.Image) error {
		genuine, err := s.registry.PushImage(ctx, "acme/app:genuine", "genuine")
		if err != nil {
			return err
		}
		if err := s.cosign(a.release)(ctx, genuine); err != nil {
			return err
		}
		return s.registry.CopySignatures(ctx, genuine, image)
	}
	moved := func(ctx context.Context, _ fixture.Image) error {
		_, err := s.registry.PushImage(ctx, "acme/app:moved", "what the tag names now")
		return err
	}
	for _, act := range []struct {
		image   string
		allowed bool
		reason  string
		marks   []mark
	}{
		{"acme/app:cosign", true, "pinned", []mark{s.cosign(a.release)}},
		{"acme/app:bundle", true, "pinned", []mark{s.bundle(a.release)}},
		{"acme/app:notation", true, "pinned", []mark{s.notation(a.leaf)}},
		{"acme/app:unsigned", false, "no signature", nil},
		{"acme/app:stranger", false, "key", []mark{s.cosign(a.stranger)}},
		{"acme/app:copied", false, "sha256:", []mark{copied}},
		{"acme/app:moved", false, "no signature", []mark{s.cosign(a.release), moved}},
	} {
		if err := s.push(ctx, act.image, act.marks...); err != nil {
			return err
		}
		s.atAdmission("shop", act.image, act.allowed, act.reason)
	}
	text := fmt.Sprintf(nativePolicy, s.registry.Host(), a.release.PublicPEM, a.authority.PEM())
	s.policies = []examples.File{{Name: "policy.yaml", Content: []byte(text)}}
	return nil
}

func kyvernoProvenance(ctx context.Context, s *stage, a actors) error {
	first := fixture.AttestationOptions{PredicateType: fixture.PredicateTypeSLSA02, Predicate: fixture.TektonProvenanceFirst()}
	wrong := first
	wrong.Predicate = map[string]any{"builder": map[string]any{"id": "a-laptop"}, "recipe": map[string]any{"type": "https://tekton.dev/attestations/chains@v1"}}
	for _, act := range []struct {
		namespace, image string
		allowed          bool
		reason           string
		marks            []mark
	}{
		{"shop", "org/app:signed", true, "pinned", []mark{s.cosign(a.release)}},
		{"shop", "org/app:unsigned", false, "no signature", nil},
		{"shop", "org/app:stranger", false, "key", []mark{s.cosign(a.stranger)}},
		{"shop", "vendor/tool:both", true, "pinned", []mark{s.cosign(a.release), s.cosign(a.vendor)}},
		{"shop", "vendor/tool:one", false, "key", []mark{s.cosign(a.release)}},
		{"prod", "org/app:attested", true, "pinned", []mark{s.cosign(a.release), s.attest(a.release, first)}},
		{"prod", "org/app:signed", false, "attestation", nil},
		{"prod", "org/app:laptop", false, "tekton-chains", []mark{s.cosign(a.release), s.attest(a.release, wrong)}},
		{"prod", "chains/app:v1", true, "pinned", []mark{s.cosign(a.release), s.attest(a.release, fixture.TektonChains())}},
	} {
		if err := s.push(ctx, act.image, act.marks...); err != nil { // what is pushed twice is the same image
			return err
		}
		s.in(act.namespace, act.image, act.allowed, act.reason)
	}
	return s.follow(examples.KyvernoProvenance, [][]byte{a.release.PublicPEM, a.vendor.PublicPEM}, nil)
}

func kyvernoChains(ctx context.Context, s *stage, a actors) error {
	if err := s.push(ctx, "test/chains/demo-1:latest", s.cosign(a.release)); err != nil {
		return err
	}
	if err := s.push(ctx, "test/chains/unsigned:latest"); err != nil {
		return err
	}
	s.in("policy", "test/chains/demo-1:latest", true, "pinned")
	s.in("policy", "test/chains/unsigned:latest", false, "no signature")
	s.in("default", "test/chains/unsigned:latest", true, "no policy covers")
	s.scenes = append(s.scenes, scene{
		label: "policy: ghcr.io/trusted/tool:v1", allowed: true, reason: "no policy covers",
		ask: func(ctx context.Context, d *door) (heard, error) {
			return d.admission(ctx, "policy", "ghcr.io/trusted/tool:v1")
		},
	})
	return s.follow(examples.KyvernoChains, [][]byte{a.release.PublicPEM}, nil)
}

// atProvider adds an image at one of Gatekeeper's paths.
func (s *stage) atProvider(image string, allowed bool, reason string, ask func(*door, context.Context, string) (heard, error)) {
	s.scenes = append(s.scenes, scene{label: image, allowed: allowed, reason: reason, ask: func(ctx context.Context, d *door) (heard, error) {
		return ask(d, ctx, s.registry.Host()+"/"+image)
	}})
}

func gatekeeperRatify(ctx context.Context, s *stage, a actors) error {
	sign := s.notation(a.leaf)
	sbom := func(marks ...mark) mark { return s.attach("application/spdx+json", fixture.SPDX(), marks...) }
	scan := s.attach("application/sarif+json", fixture.SARIF(), sign)
	critical := strings.NewReplacer(`"5.5"`, `"9.8"`).Replace(string(fixture.SARIF()))
	for _, act := range []struct {
		image   string
		allowed bool
		reason  string
		marks   []mark
	}{
		{"hello-world:signed", true, "mutator", []mark{sign}},
		{"hello-world:unsigned", false, "no signature", nil},
		{"shop/app:complete", true, "mutator", []mark{sign, sbom(sign), scan}},
		{"shop/app:no-sbom", false, "application/spdx+json", []mark{sign, scan}},
		{"shop/app:unsigned-sbom", false, "has signed", []mark{sign, sbom(), scan}},
		{"shop/app:vulnerable", false, "above MEDIUM", []mark{sign, sbom(sign), s.attach("application/sarif+json", []byte(critical), sign)}},
	} {
		if err := s.push(ctx, act.image, act.marks...); err != nil {
			return err
		}
		s.atProvider(act.image, act.allowed, act.reason, (*door).ratify)
	}
	return s.follow(examples.GatekeeperRatify, nil, [][]byte{a.authority.PEM()})
}

func gatekeeperCosign(ctx context.Context, s *stage, a actors) error {
	for _, act := range []struct {
		image   string
		allowed bool
		marks   []mark
	}{
		{"nginx:signed", true, []mark{s.cosign(a.release)}},
		{"nginx:unsigned", false, nil},
		{"nginx:stranger", false, []mark{s.cosign(a.stranger)}},
	} {
		if err := s.push(ctx, act.image, act.marks...); err != nil {
			return err
		}
		reason := act.image + "_invalid"
		if act.allowed {
			reason = act.image + "_valid"
		}
		s.atProvider(act.image, act.allowed, reason, (*door).cosignProvider)
	}
	return s.follow(examples.GatekeeperCosign, [][]byte{a.release.PublicPEM}, nil)
}

func kyvernoExtension(ctx context.Context, s *stage, a actors) error {
	sign := s.notation(a.leaf)
	licences := func(list string) mark {
		document := fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"zlib","version":"1.3","licenses":[{"expression":%q}]}]}`, list)
		return s.attach("application/vnd.cyclonedx", []byte(document), sign)
	}
	asked := json.RawMessage(`[{"imageReference":"*","type":[{"name":"application/vnd.cyclonedx","conditions":{"all":[
		{"key":"{{ element.components[].licenses[].expression }}","operator":"AllNotIn","value":["GPL-2.0","GPL-3.0"],"message":"a licence that may not be used"}]}}]}]`)
	for _, act := range []struct {
		label, trustPolicy, tag string
		allowed                 bool
		reason                  string
		attestations            any
		marks                   []mark
	}{
		{"demo:signed", "tp-test-venafi", "signed", true, "verified", nil, []mark{sign}},
		{"demo:unsigned", "tp-test-venafi", "unsigned", false, "no signature", nil, nil},
		{"demo:licensed, SBOM asked", "tp-test-venafi", "licensed", true, "verified", asked, []mark{sign, licences("Zlib")}},
		{"demo:gpl, SBOM asked", "tp-test-venafi", "gpl", false, "may not be used", asked, []mark{sign, licences("GPL-3.0")}},
		{"demo:bare, SBOM asked", "tp-test-venafi", "bare", false, "application/vnd.cyclonedx", asked, []mark{sign}},
		{"demo:signed, another team", "tp-other", "signed", false, "no trust policy found", nil, nil},
	} {
		if act.trustPolicy == "tp-test-venafi" {
			if err := s.push(ctx, "demo:"+act.tag, act.marks...); err != nil {
				return err
			}
		}
		s.scenes = append(s.scenes, scene{label: act.label, allowed: act.allowed, reason: act.reason, ask: func(ctx context.Context, d *door) (heard, error) {
			return d.extension(ctx, act.trustPolicy, s.registry.Host(), "demo", act.tag, act.attestations)
		}})
	}
	return s.follow(examples.KyvernoExtension, nil, [][]byte{a.authority.PEM()})
}
